//! A config service that somebody has named must be there.

use super::super::config::{CONFIG, Config};
use super::super::failure::{Failure, root};
use serde_json::Value;
use std::time::Duration;

/// How long it has to answer when the shop is started.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks the service of `CONFIG_URL`, if it is set, for the values of the gateway.
///
/// # Errors
///
/// When it does not answer, or answers something else.
pub async fn is_there(config: &Config) -> Result<(), Failure> {
    let Some(url) = &config.settings else { return Ok(()) };
    let no = |why: &dyn std::fmt::Display| {
        Failure::new(format!("{CONFIG} is set, but no config service can be used at {url}: {why}."))
    };
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build();
    let answer = client.map_err(|why| no(&why))?.get(format!("{url}/gateway/default")).send().await;
    let answer = answer.map_err(|why| no(&root(&why)))?;
    let status = answer.status();
    if !status.is_success() {
        return Err(no(&format!("it answered {}", status.as_u16())));
    }
    match serde_json::from_slice::<Value>(&answer.bytes().await.unwrap_or_default()) {
        Ok(answer) if answer["propertySources"].is_array() => Ok(()),
        _ => Err(no(&"it speaks another language")),
    }
}
