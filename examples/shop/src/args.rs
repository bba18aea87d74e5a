use crate::backup::{BackupArgs, RestoreArgs};
use crate::dead_letters::DeadLettersArgs;
use crate::doctor::DoctorArgs;
use crate::parts::config::Name;
#[cfg(feature = "stage")]
use crate::stage::check::CheckArgs;
#[cfg(feature = "stage")]
use crate::stage::command::FaultCommand;
#[cfg(feature = "stage")]
use crate::stage::demo::DemoArgs;
#[cfg(feature = "stage")]
use crate::stage::keys::KeysCommand;
#[cfg(feature = "stage")]
use crate::stage::load::LoadArgs;
#[cfg(feature = "stage")]
use crate::stage::protect::ProtectArgs;
#[cfg(feature = "stage")]
use crate::stage::redeploy::RedeployArgs;
use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// A whole shop on loopback
#[derive(Debug, Parser)]
#[command(version)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Where the data of the services is kept [default: var]
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// The gateway's port; the others are counted from it
    #[arg(long, global = true, value_name = "N", default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..=65_520))]
    pub port_base: u16,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Opens the shop (the default): every service in one process
    Up(Up),
    /// Runs one service alone
    Run {
        service: Name,
        /// Which of its replicas, where it has several
        #[arg(long, value_name = "N", default_value_t = 1)]
        replica: u16,
        #[command(flatten)]
        at: At,
    },
    /// Says what is missing or unreachable; exit code 1 when something is
    Doctor(DoctorArgs),
    /// Copies a shop, open or not, into a folder
    Backup(BackupArgs),
    /// Makes a shop of what was copied
    Restore(RestoreArgs),
    /// Shows what nobody could handle, delivers it again, or drops it
    DeadLetters(DeadLettersArgs),
    /// Sets, lists and clears what is done to the shop on purpose
    #[cfg(feature = "stage")]
    #[command(subcommand)]
    Fault(FaultCommand),
    /// Looks after the keys that sign log-ins
    #[cfg(feature = "stage")]
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Lists the layers of each call, and switches them off and on
    #[cfg(feature = "stage")]
    Protect(ProtectArgs),
    #[cfg(feature = "stage")]
    Redeploy(RedeployArgs),
    /// Sends customers to a gateway, and says how they fared
    #[cfg(feature = "stage")]
    Load(LoadArgs),
    /// Plays a story of faults and layers on a shop of its own; exit code 1 when a figure is missed
    #[cfg(feature = "stage")]
    Demo(DemoArgs),
    /// Checks that money and stock are where they must be; exit code 1 when they are not
    #[cfg(feature = "stage")]
    Check(CheckArgs),
}

/// Where a service that runs alone listens.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct At {
    /// The address it listens at, or a name of this machine [default: SHOP_LISTEN, or 127.0.0.1]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Its port [default: that of the table, counted from --port-base]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
}

#[derive(clap::Args, Clone, Copy, Debug, Default)]
pub struct Up {
    /// Every service in a process of its own
    #[cfg(feature = "stage")]
    #[arg(long)]
    pub procs: bool,
}
