//! Ops, as the commands ask it.

use super::token;
use crate::parts::ask::ask;
use crate::parts::config::{Config, Name};
use crate::parts::failure::Failure;
use crate::parts::tls::Https;
use bartizan::Client;
use http::Method;
use serde_json::Value;
use std::time::Duration;

/// How long the shop has for an answer. A rolling restart of all replicas is the longest.
const PATIENCE: Duration = Duration::from_secs(60);

/// The ops endpoint of the shop at the same ports.
pub struct Ops {
    http: Client<Https>,
    url: String,
    token: String,
}

impl Ops {
    /// # Errors
    ///
    /// When the token is not known.
    pub fn of(config: &Config) -> Result<Self, Failure> {
        Self::at(config, config.local(Name::Ops.replica(1)?))
    }

    /// A service that the token of ops opens as well.
    ///
    /// # Errors
    ///
    /// When the token is not known.
    pub fn at(config: &Config, url: String) -> Result<Self, Failure> {
        Ok(Self { http: Client::new(config.tls.http()), url, token: token::find(config)? })
    }

    /// Asks, and returns what is answered; null when that is nothing.
    ///
    /// # Errors
    ///
    /// When nobody is there, or says no; in the words of ops.
    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, Failure> {
        let mut request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let nobody =
            |_| Failure::new(format!("no shop is open at {}: start one, or name its --port-base.", self.url));
        let answer = ask(request, PATIENCE).await.map_err(nobody)?;
        let (status, body) = (answer.status(), answer.body());
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        if !status.is_success() {
            let detail = body["detail"].as_str().unwrap_or("it does not say why");
            return Err(Failure::new(format!(
                "{} answered {status}: {}.",
                self.url,
                detail.trim_end_matches('.')
            )));
        }
        Ok(body)
    }
}
