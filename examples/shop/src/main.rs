//! A shop of five services that stands on Bartizan's layers. `shop` opens it; `README.md` says what it is.

mod args;
mod contracts;
mod host;
mod parts;
mod services;
mod stacks;
#[cfg(feature = "stage")]
mod stage;
mod up;

use args::{Args, Command};
use clap::Parser;
use parts::config::Config;
use parts::failure::Failure;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
    log();
    match open(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("shop: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn open(args: Args) -> Result<(), Failure> {
    let config = Config::new(args.data_dir, args.port_base)?;
    match args.command.unwrap_or(Command::Up) {
        Command::Up => up::up(&config),
        Command::Run { service } => up::run(&config, service),
    }
}

/// Logs go to standard error, from the level of `SHOP_LOG` on; `warn` when it is unset.
fn log() {
    let level = std::env::var("SHOP_LOG").ok().and_then(|level| level.parse().ok());
    let level = level.unwrap_or(tracing::Level::WARN);
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_ansi(false).init();
}
