//! A registry that somebody has named must be there, or have been.

use super::super::ask::ask;
use super::super::config::{CONSUL, Config};
use super::super::failure::Failure;
use super::known;
use bartizan::Client;
use std::time::Duration;

/// How long an agent has to answer when the shop is started.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is wrong with an agent.
enum No {
    /// It may be well later.
    Away(String),
    /// It is none.
    Other(String),
}

/// Asks the agent of `CONSUL_HTTP_ADDR`, if it is set, who leads. One that is away is missed, unless what it told last was
/// written down: who falls over while it is away can start again.
///
/// # Errors
///
/// When it does not answer, or knows no leader, and nothing is known of it; or when it is no agent.
pub async fn is_there(config: &Config) -> Result<(), Failure> {
    let Some(url) = &config.registry else { return Ok(()) };
    let why = match leads(config, url).await {
        Ok(()) => return Ok(()),
        Err(No::Away(why)) if known::is_known(&config.data_dir, url) => {
            tracing::warn!(url, why, "the registry is away, and those that it knew last are asked");
            return Ok(());
        }
        Err(No::Away(why) | No::Other(why)) => why,
    };
    Err(Failure::new(format!("{CONSUL} is set, but no Consul agent can be used at {url}: {why}.")))
}

async fn leads(config: &Config, url: &str) -> Result<(), No> {
    let question = Client::new(config.tls.http()).get(format!("{url}/v1/status/leader"));
    let answer = ask(question, PATIENCE).await.map_err(|why| No::Away(why.to_string()))?;
    let status = answer.status();
    if !status.is_success() {
        let why = format!("it answered {}", status.as_u16());
        return Err(if status.is_server_error() { No::Away(why) } else { No::Other(why) });
    }
    match serde_json::from_slice::<String>(answer.body()) {
        Ok(leader) if !leader.is_empty() => Ok(()),
        Ok(_) => Err(No::Away("it has no leader".into())),
        Err(_) => Err(No::Other("it speaks another language".into())),
    }
}
