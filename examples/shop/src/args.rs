use crate::parts::config::Name;
use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// A whole shop on loopback: gateway, user, product, order, payment.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Where the data of the services is kept
    #[arg(long, global = true, value_name = "DIR", default_value = "var")]
    pub data_dir: PathBuf,

    /// The gateway's port; the others are counted from it
    #[arg(long, global = true, value_name = "N", default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..=65_520))]
    pub port_base: u16,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Opens the shop: every service in one process (the default)
    Up,
    /// Runs one service alone
    Run { service: Name },
}
