//! Follows a config service, or a file.

use super::super::config::Config;
use super::super::failure::Failure;
use super::super::tls::Tls;
use super::values::Values;
use bartizan::policy::{ConfigServer, Policy};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// How often a source is asked whether there is anything new.
const EVERY: Duration = Duration::from_secs(1);

/// Below the data folder: what a service that runs alone follows, and what a config service told each instance last.
const FILE: &str = "policy.toml";
pub(super) const FOLDER: &str = "config";

impl Values {
    /// Follows the config service, if there is one, or the file that is named, or else the one in the data folder, if that is there; on the current runtime, for as
    /// long as that lives. A config service that is away is waited for no longer than for an answer: what it told last holds then, or what
    /// the code says.
    ///
    /// # Errors
    ///
    /// When the file is no good.
    pub async fn follow(&self, config: &Config, service: &str) -> Result<(), Failure> {
        let file = config.policy_file.clone().unwrap_or_else(|| config.data_dir.join(FILE));
        if let Some(url) = &config.settings {
            let policy = Policy::empty().named(config.here.clone());
            let kept = config.data_dir.join(FOLDER);
            let unwritten = |why| Failure::new(format!("{} cannot be used: {why}.", kept.display()));
            std::fs::create_dir_all(&kept).map_err(unwritten)?;
            let source = Source {
                url: url.clone(),
                tls: config.tls.clone(),
                service: service.to_owned(),
                kept: kept.join(format!("{}.json", config.here)),
            };
            let found = source.ask(&policy).await;
            if !found {
                tracing::warn!(
                    instance = config.here,
                    "no config service answers, and the values of the code hold"
                );
            }
            self.heed(policy.clone());
            tokio::spawn(source.go_on(policy, self.clone(), found, config.refresh.asked()));
        } else if config.policy_file.is_some() || file.exists() {
            let wrong = |why| Failure::new(format!("{why}."));
            let policy = Policy::open(file).map_err(wrong)?.named(config.here.clone());
            policy.watch(EVERY).map_err(wrong)?;
            self.heed(policy.clone());
            tokio::spawn(tell(policy, self.clone()));
        }
        Ok(())
    }
}

/// What a config service has for a service.
struct Source {
    url: String,
    tls: Tls,
    service: String,
    kept: PathBuf,
}

impl Source {
    /// Has a policy follow it; false when there is nothing to begin with.
    async fn ask(&self, policy: &Policy) -> bool {
        let Ok(server) = ConfigServer::try_new(&self.url, &self.service, "default") else { return false };
        let server = match self.tls.each() {
            Some(client) => server.client(client),
            None => server,
        };
        policy.follow(server.every(EVERY).keep(&self.kept)).await.is_ok()
    }

    /// Asks until it is found, and at once when somebody says so.
    async fn go_on(self, policy: Policy, values: Values, mut found: bool, mut asked: watch::Receiver<()>) {
        while !found {
            sleep(EVERY).await;
            found = self.ask(&policy).await;
        }
        let refresh = async {
            while asked.changed().await.is_ok() {
                // Whether it was of use, the policy tells itself.
                let _ = policy.refresh().await;
            }
        };
        tokio::join!(refresh, tell(policy.clone(), values));
    }
}

/// Tells the layers whenever the policy is another.
async fn tell(policy: Policy, values: Values) {
    let policy = policy.handle();
    let mut told = 0;
    loop {
        told = policy.changed(told).await;
        values.tell();
    }
}
