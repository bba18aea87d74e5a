//! The services. None knows another but through `contracts`; each is a folder to copy.

pub mod bank;
pub mod gateway;
pub mod mail;
pub mod order;
pub mod payment;
pub mod product;
pub mod user;
