//! `shop load`: customers who come whether or not the shop keeps up.

use crate::parts::config::Config;
use crate::parts::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct LoadArgs {}

/// # Errors
///
/// When the gateway cannot be reached at all.
pub fn run(_: &Config, _: &LoadArgs) -> Result<(), Failure> {
    Err(Failure::new("there are no customers yet."))
}
