//! In the place of `collector`, where the feature `otlp` is left out: there is none.

use super::super::config::Config;
use super::super::failure::Failure;
use super::super::tls::Tls;
use super::{Here, OTLP};

/// # Errors
///
/// When [`OTLP`] names one.
pub async fn is_there(config: &Config) -> Result<(), Failure> {
    config.collector.as_ref().map_or(Ok(()), |_| Err(left_out()))
}

/// # Errors
///
/// Always.
pub(super) fn to(_url: &str, _tls: &Tls) -> Result<Here, Failure> {
    Err(left_out())
}

fn left_out() -> Failure {
    Failure::left_out(OTLP, "a collector", "otlp")
}
