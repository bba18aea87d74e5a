//! A shop of services that stands on Bartizan's layers. `shop` opens it; `README.md` says what it is.

mod args;
mod claim;
mod contracts;
#[cfg_attr(not(feature = "stage"), expect(dead_code, reason = "only the stage kills, holds and replaces"))]
mod host;
#[cfg_attr(not(feature = "stage"), expect(dead_code, reason = "only the stage has ops and does harm"))]
mod parts;
mod services;
#[cfg_attr(not(feature = "stage"), expect(dead_code, reason = "only the stage lists layers, to switch them"))]
mod stacks;
#[cfg(feature = "stage")]
mod stage;
mod up;

use args::{Args, Command};
use clap::Parser;
use parts::config::{self, Config};
use parts::failure::Failure;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
    match log().and_then(|()| open(args)) {
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
        #[cfg(feature = "stage")]
        Command::Up => stage::up(&config),
        #[cfg(not(feature = "stage"))]
        Command::Up => up::up(&config),
        Command::Run { service, replica } => up::run(&config, service.replica(replica)?),
        #[cfg(feature = "stage")]
        Command::Fault(command) => stage::command::run(&config, command),
        #[cfg(feature = "stage")]
        Command::Protect(args) => stage::protect::run(&config, args),
        #[cfg(feature = "stage")]
        Command::Load(args) => stage::load::run(&config, &args),
        #[cfg(feature = "stage")]
        Command::Check(args) => stage::check::run(&config, &args),
    }
}

/// Logs go to standard error, from the level of `SHOP_LOG` on; `warn` when it is unset.
fn log() -> Result<(), Failure> {
    let level = match config::set("SHOP_LOG")? {
        None => tracing::Level::WARN,
        Some(level) => level.parse().map_err(|_| {
            Failure::new(format!(
                "SHOP_LOG must be one of error, warn, info, debug and trace, not {level:?}."
            ))
        })?,
    };
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_ansi(false).init();
    Ok(())
}
