//! The shop from outside: its process, its ports, its customers.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

#[cfg(feature = "planted")]
mod acts;
#[cfg(feature = "stage")]
mod again;
#[cfg(feature = "stage")]
mod apart;
mod arrows;
#[cfg(feature = "stage")]
mod backup;
mod bank;
#[cfg(feature = "stage")]
mod breaches;
mod broker;
#[cfg(feature = "stage")]
mod browser;
#[cfg(feature = "stage")]
mod certificates;
#[cfg(all(feature = "rabbitmq", feature = "stage"))]
mod chaos;
#[cfg(feature = "stage")]
mod check;
#[cfg(feature = "stage")]
mod chromium;
#[cfg(feature = "stage")]
mod config;
#[cfg(feature = "stage")]
mod crash;
mod customer;
#[cfg(feature = "stage")]
mod demo;
#[cfg(feature = "stage")]
mod disk;
mod doctor;
#[cfg(feature = "stage")]
mod fare;
#[cfg(feature = "stage")]
mod faults;
mod guards;
#[cfg(feature = "stage")]
mod hostile;
#[cfg(feature = "stage")]
mod incidents;
#[cfg(feature = "stage")]
mod infrastructure;
mod input;
mod issuer;
mod journey;
#[cfg(feature = "stage")]
mod known;
#[cfg(feature = "stage")]
mod ledgers;
mod limits;
mod listen;
#[cfg(feature = "stage")]
mod load;
#[cfg(feature = "stage")]
mod loads;
mod mail;
#[cfg(feature = "stage")]
mod metrics;
#[cfg(feature = "stage")]
mod ops;
#[cfg(feature = "stage")]
mod page;
#[cfg(feature = "planted")]
mod planted;
mod process;
#[cfg(feature = "stage")]
mod procs;
#[cfg(feature = "stage")]
mod protect;
mod races;
#[cfg(feature = "stage")]
mod reach;
#[cfg(feature = "stage")]
mod redeploy;
mod redis;
#[cfg(feature = "stage")]
mod registry;
#[cfg(feature = "stage")]
mod replicas;
mod saga;
#[cfg(feature = "stage")]
mod scene;
mod sessions;
#[cfg(feature = "stage")]
mod settings;
#[cfg(feature = "stage")]
mod stale;
mod start;
mod stores;
#[cfg(feature = "stage")]
mod surge;
#[cfg(feature = "stage")]
mod survives;
#[cfg(feature = "stage")]
mod tls;
mod tokens;
#[cfg(feature = "stage")]
mod traces;
#[cfg(feature = "stage")]
mod wire;
