//! A shop of services that stands on Bartizan's layers. `shop` opens it; `README.md` says what it is.

mod args;
mod backup;
mod claim;
mod contracts;
mod dead_letters;
mod doctor;
mod handed;
#[cfg_attr(not(feature = "stage"), expect(dead_code, reason = "only the stage kills, holds and replaces"))]
mod host;
mod listen;
#[cfg_attr(not(feature = "stage"), expect(dead_code, reason = "only the stage has ops and does harm"))]
#[cfg_attr(
    all(feature = "stage", not(feature = "servers")),
    allow(dead_code, reason = "for the servers that are left out")
)]
mod parts;
mod services;
#[cfg_attr(not(feature = "stage"), expect(dead_code, reason = "only the stage lists layers, to switch them"))]
mod stacks;
#[cfg(feature = "stage")]
#[cfg_attr(not(feature = "rabbitmq"), allow(dead_code, reason = "what `check` has of a broker is left out"))]
mod stage;
mod up;

use args::{Args, Command, Up};
use clap::Parser;
use parts::config::{self, Config};
use parts::failure::Failure;
use parts::traces::{self, Traces};
use std::process::ExitCode;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

fn main() -> ExitCode {
    match open(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("shop: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn open(args: Args) -> Result<(), Failure> {
    #[cfg(feature = "planted")]
    parts::planted::plant()?;
    #[cfg(feature = "stage")]
    if let Some(Command::Demo(how)) = &args.command {
        return stage::demo::run(how, args.data_dir, args.port_base);
    }
    let data_dir = args.data_dir.unwrap_or_else(|| "var".into());
    if let Some(Command::Doctor(how)) = &args.command {
        return doctor::run(how, data_dir, args.port_base);
    }
    let config = Config::new(data_dir, args.port_base)?;
    let command = args.command.unwrap_or(Command::Up(Up::default()));
    #[cfg(feature = "stage")]
    let kept = stage::kept(&command);
    #[cfg(not(feature = "stage"))]
    let kept = None::<traces::Here>;
    let name = if let Command::Run { service, .. } = &command { service.as_str() } else { "shop" };
    let traces = Traces::new(&config, name, kept.clone())?;
    log(&traces)?;
    parts::serve::raise_files();
    #[cfg(feature = "stage")]
    let config = stage::tls::lent(config, &command)?;
    match command {
        #[cfg(feature = "stage")]
        Command::Up(how) => stage::up(&config, how.procs, kept),
        #[cfg(not(feature = "stage"))]
        Command::Up(Up {}) => up::up(&config),
        #[cfg(feature = "stage")]
        Command::Run { service, replica, at } => stage::run(config, service.replica(replica)?, &at, kept),
        #[cfg(not(feature = "stage"))]
        Command::Run { service, replica, at } => up::run(&config, service.replica(replica)?, &at, None),
        Command::Doctor(_) => Ok(()),
        Command::Backup(args) => backup::run(&config, &args),
        Command::Restore(args) => backup::restore(&config, &args),
        #[cfg(feature = "stage")]
        Command::Demo(_) => Ok(()),
        Command::DeadLetters(args) => dead_letters::run(&config, &args),
        #[cfg(feature = "stage")]
        Command::Fault(command) => stage::command::run(&config, command),
        #[cfg(feature = "stage")]
        Command::Keys(command) => stage::keys::run(&config, &command),
        #[cfg(feature = "stage")]
        Command::Protect(args) => stage::protect::run(&config, args),
        #[cfg(feature = "stage")]
        Command::Redeploy(args) => stage::redeploy::run(&config, args),
        #[cfg(feature = "stage")]
        Command::Load(args) => stage::load::run(&config, &args),
        #[cfg(feature = "stage")]
        Command::Check(args) => stage::check::run(&config, &args),
    }
}

/// Logs go to standard error, from the level of `SHOP_LOG` on, `warn` when it is unset; and spans to where they are looked at.
fn log(traces: &Traces) -> Result<(), Failure> {
    let level = match config::set("SHOP_LOG")? {
        None => tracing::Level::WARN,
        Some(level) => level.parse().map_err(|_| {
            Failure::new(format!(
                "SHOP_LOG must be one of error, warn, info, debug and trace, not {level:?}."
            ))
        })?,
    };
    // The broker's client writes down whole messages that come back, with who they are about.
    let targets = Targets::new().with_default(level).with_target("lapin", LevelFilter::OFF);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let spans = traces.tracer().map(|tracer| {
        let spans = tracing_opentelemetry::layer().with_tracer(tracer).with_tracked_inactivity(false);
        let spans = spans.with_location(false).with_threads(false).with_target(false);
        spans.with_filter(Targets::new().with_target(traces::TARGET, LevelFilter::INFO))
    });
    tracing_subscriber::registry().with(lines.with_filter(targets)).with(spans).init();
    Ok(())
}
