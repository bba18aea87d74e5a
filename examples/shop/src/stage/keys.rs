//! `shop keys`: for the operator who has lost a key, or fears so.

use super::remote::Ops;
use crate::parts::config::{Config, Name};
use crate::parts::failure::Failure;
use crate::up::{block_on, say};
use clap::Subcommand;
use http::Method;

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Withdraws all keys that sign log-ins, and makes a new one: everybody has to log in again
    Rotate,
}

/// # Errors
///
/// When no user service is there, or it does not do what is asked; in its own words.
pub fn run(config: &Config, KeysCommand::Rotate: &KeysCommand) -> Result<(), Failure> {
    let users = config.urls(Name::User).into_iter().next().unwrap_or_default();
    block_on(async {
        Ops::at(config, users)?.ask(Method::POST, "/keys", None).await?;
        say(&["the keys are withdrawn: everybody logs in again".into()]);
        Ok(())
    })
}
