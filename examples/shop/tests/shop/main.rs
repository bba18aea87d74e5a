//! The shop from outside: its process, its ports, its customers.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

#[cfg(feature = "stage")]
mod again;
mod arrows;
mod bank;
#[cfg(feature = "stage")]
mod breaches;
#[cfg(feature = "stage")]
mod check;
#[cfg(feature = "stage")]
mod config;
mod customer;
#[cfg(feature = "stage")]
mod faults;
mod guards;
mod input;
mod journey;
#[cfg(feature = "stage")]
mod ledgers;
mod limits;
#[cfg(feature = "stage")]
mod load;
mod mail;
#[cfg(feature = "stage")]
mod ops;
#[cfg(feature = "stage")]
mod page;
mod process;
#[cfg(feature = "stage")]
mod protect;
mod races;
mod redis;
#[cfg(feature = "stage")]
mod registry;
#[cfg(feature = "stage")]
mod replicas;
mod saga;
#[cfg(feature = "stage")]
mod stale;
mod start;
#[cfg(feature = "stage")]
mod surge;
#[cfg(feature = "stage")]
mod survives;
