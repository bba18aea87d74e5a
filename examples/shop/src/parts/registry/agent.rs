//! A registry that somebody has named must be there.

use super::super::config::{CONSUL, Config};
use super::super::failure::{Failure, root};
use std::time::Duration;

/// How long an agent has to answer when the shop is started.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks the agent of `CONSUL_HTTP_ADDR`, if it is set, who leads.
///
/// # Errors
///
/// When it does not answer, or knows no leader.
pub async fn is_there(config: &Config) -> Result<(), Failure> {
    let Some(url) = &config.registry else { return Ok(()) };
    let no = |why: &dyn std::fmt::Display| {
        Failure::new(format!("{CONSUL} is set, but no Consul agent can be used at {url}: {why}."))
    };
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build();
    let answer = client.map_err(|why| no(&why))?.get(format!("{url}/v1/status/leader")).send().await;
    let answer = answer.map_err(|why| no(&root(&why)))?;
    let status = answer.status();
    if !status.is_success() {
        return Err(no(&format!("it answered {}", status.as_u16())));
    }
    match serde_json::from_slice::<String>(&answer.bytes().await.unwrap_or_default()) {
        Ok(leader) if !leader.is_empty() => Ok(()),
        Ok(_) => Err(no(&"it has no leader")),
        Err(_) => Err(no(&"it speaks another language")),
    }
}
