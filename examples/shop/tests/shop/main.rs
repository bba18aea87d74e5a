//! The shop from outside: its process, its ports, its customers.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod arrows;
mod bank;
mod customer;
mod guards;
mod input;
mod journey;
mod process;
mod races;
mod saga;
mod start;
