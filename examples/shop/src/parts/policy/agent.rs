//! A config service that somebody has named must be there, or have been. A file must be there.

use super::super::ask::ask;
use super::super::config::{CONFIG, Config};
use super::super::failure::Failure;
use super::follow::FOLDER;
use bartizan::Client;
use bartizan::policy::Policy;
use serde_json::Value;
use std::fs::{read, read_dir};
use std::time::Duration;

/// How long it has to answer when the shop is started.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is wrong with a config service.
enum No {
    /// It may be well later.
    Away(String),
    /// It is none.
    Other(String),
}

/// Asks the service of `CONFIG_URL`, if it is set, for the values of the gateway, or reads its file. A service that is away is
/// missed, unless what it told last was written down: who falls over while it is away can start again.
///
/// # Errors
///
/// When it does not answer, and nothing is known of it; or when it is no config service, or no policy.
pub async fn is_there(config: &Config) -> Result<(), Failure> {
    if let Some(file) = &config.policy_file {
        let policy = Policy::open(file);
        return policy.map(drop).map_err(|why| Failure::new(format!("{CONFIG} is set, but {why}.")));
    }
    let Some(url) = &config.settings else { return Ok(()) };
    let why = match answers(config, url).await {
        Ok(()) => return Ok(()),
        Err(No::Away(why)) if is_known(config, url) => {
            tracing::warn!(url, why, "the config service is away, and what it told last holds");
            return Ok(());
        }
        Err(No::Away(why) | No::Other(why)) => why,
    };
    Err(Failure::new(format!("{CONFIG} is set, but no config service can be used at {url}: {why}.")))
}

async fn answers(config: &Config, url: &str) -> Result<(), No> {
    let question = Client::new(config.tls.http()).get(format!("{url}/gateway/default"));
    let answer = ask(question, PATIENCE).await.map_err(|why| No::Away(why.to_string()))?;
    let status = answer.status();
    if !status.is_success() {
        let why = format!("it answered {}", status.as_u16());
        return Err(if status.is_server_error() { No::Away(why) } else { No::Other(why) });
    }
    match serde_json::from_slice::<Value>(answer.body()) {
        Ok(answer) if answer["propertySources"].is_array() => Ok(()),
        _ => Err(No::Other("it speaks another language".into())),
    }
}

/// Whether some instance has written down what a service told it.
fn is_known(config: &Config, url: &str) -> bool {
    let Ok(files) = read_dir(config.data_dir.join(FOLDER)) else { return false };
    let kept =
        files.flatten().filter_map(|file| serde_json::from_slice::<Value>(&read(file.path()).ok()?).ok());
    kept.into_iter()
        .any(|kept| kept["from"].as_str().is_some_and(|from| from.starts_with(&format!("{url}/"))))
}
