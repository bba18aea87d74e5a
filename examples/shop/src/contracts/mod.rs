//! What the services say to each other, and all that one may know of another.

pub mod bank;
pub mod events;
pub mod mail;
pub mod object;
pub mod order;
pub mod payment;
pub mod problems;
pub mod product;
pub mod user;
