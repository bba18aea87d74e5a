//! Follows a config service, or a file.

use super::super::config::Config;
use super::super::failure::root;
use super::PATIENCE;
use super::known::Known;
use super::properties::tree;
use super::values::Values;
use bartizan::policy::Format;
use http::StatusCode;
use http::header::{ETAG, IF_NONE_MATCH};
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::timeout;

/// How often a source is asked whether there is anything new.
const EVERY: Duration = Duration::from_secs(1);

/// Below the data folder: what a service that runs alone follows.
const FILE: &str = "policy.toml";

impl Values {
    /// Follows the config service, if there is one, or else the file in the data folder, if that is there; on the current runtime, for as
    /// long as that lives. What was known last holds at once, and until there is something else.
    pub fn follow(&self, config: &Config, service: &str) {
        let asked = config.refresh.asked();
        if let Some(url) = &config.settings {
            let service = Service {
                url: format!("{url}/{service}/default"),
                known: Known::new(&config.data_dir, url, service),
                etag: None,
            };
            let known = service.known.read();
            if let Some(text) = known {
                self.heed(Format::Json, &text, "what was known last");
            }
            tokio::spawn(service.follow(self.clone(), asked));
        } else {
            let file = config.data_dir.join(FILE);
            if file.exists() {
                tokio::spawn(watch(file, self.clone(), asked));
            }
        }
    }

    /// Takes over a text if it is good; true when it is.
    fn heed(&self, format: Format, text: &str, from: &str) -> bool {
        let taken = self.take(format, text.to_owned());
        taken.inspect_err(|why| tracing::warn!(from, %why, "the policy stays as it was")).is_ok()
    }
}

struct Service {
    url: String,
    known: Known,
    etag: Option<http::HeaderValue>,
}

impl Service {
    async fn follow(mut self, values: Values, mut asked: tokio::sync::watch::Receiver<()>) {
        let http = match reqwest::Client::builder().no_proxy().timeout(PATIENCE).build() {
            Ok(http) => http,
            Err(why) => return tracing::warn!(%why, "the config service cannot be asked"),
        };
        loop {
            asked.borrow_and_update();
            match self.ask(&http).await {
                Ok(None) => {}
                Ok(Some(text)) => {
                    if values.heed(Format::Json, &text, &self.url) {
                        self.known.keep(&text);
                    }
                }
                Err(why) => tracing::debug!(url = self.url, why = root(&*why), "nothing new is known"),
            }
            // Nobody can ask any more when the other end is gone, and time goes on.
            if let Ok(Err(_)) = timeout(EVERY, asked.changed()).await {
                tokio::time::sleep(EVERY).await;
            }
        }
    }

    /// The policy, if there is a new one.
    async fn ask(&mut self, http: &reqwest::Client) -> Result<Option<String>, Box<dyn Error + Send + Sync>> {
        let mut request = http.get(&self.url);
        if let Some(etag) = &self.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let answer = request.send().await?;
        let (status, etag) = (answer.status(), answer.headers().get(ETAG).cloned());
        if status == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        let body = answer.error_for_status()?.bytes().await?;
        let tree = tree(&body)?;
        self.etag = etag;
        Ok(Some(tree.to_string()))
    }
}

/// Follows a file. What cannot be read changes nothing.
async fn watch(file: PathBuf, values: Values, mut asked: tokio::sync::watch::Receiver<()>) {
    let mut known = None;
    loop {
        asked.borrow_and_update();
        if let Ok(text) = std::fs::read_to_string(&file)
            && known.as_ref() != Some(&text)
        {
            values.heed(Format::Toml, &text, &file.display().to_string());
            known = Some(text);
        }
        if let Ok(Err(_)) = timeout(EVERY, asked.changed()).await {
            tokio::time::sleep(EVERY).await;
        }
    }
}
