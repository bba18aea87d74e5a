//! A config server as the source of a policy.

mod answer;
mod exchange;
mod follow;
mod kept;

pub use exchange::Payload;
pub(crate) use follow::follow;

use crate::PolicyError;
use bartizan_core::{Dice, Invalid};
use bartizan_http::http::uri::Scheme;
use bartizan_http::http::{HeaderValue, Request, Response, Uri};
use bartizan_http::http_body::Body;
use exchange::Client;
use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use tower::Service;

/// Any error: what is behind what a client of yours may fail with.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// A server that is asked for a policy as Spring Cloud Config is: `GET /{application}/{profile}[/{label}]`.
///
/// It answers with properties, of which those below the [prefix](Self::prefix) are the policy: `bartizan.clients.stock.breaker.probes` is
/// `3` or `"3"`, lists are `bartizan.clients.stock.endpoints[0]` or one text with commas, a name with dots in it stands in brackets,
/// `bartizan.clients[stock.eu].deadline`. Where two of its sources have a property, the first one counts; a list is taken from one source.
///
/// It is asked again and again, and by its `ETag` does not send what is known. While it does not answer, or answers what is
/// wrong, the old policy holds; where it does not answer, or with another status, it is asked ever more rarely, up to a minute apart.
pub struct ConfigServer {
    base: Uri,
    path: String,
    prefix: String,
    every: Duration,
    time_out: Duration,
    jitter: f64,
    keep: Option<PathBuf>,
    authorization: Option<HeaderValue>,
    client: Client,
    dice: Dice,
}

const BASE: Invalid = Invalid::new("base", "base must be a URI with a scheme and a host");
const AUTHORIZATION: Invalid =
    Invalid::new("authorization", "authorization must be text that can stand in a header");

impl ConfigServer {
    /// Below what the properties of a policy are, if no prefix was set.
    pub const DEFAULT_PREFIX: &str = "bartizan";
    /// Time between two questions for which none was set: 10 s.
    pub const DEFAULT_EVERY: Duration = Duration::from_secs(10);
    /// Longest time that an answer may take for which none was set: 300 ms.
    pub const DEFAULT_TIME_OUT: Duration = Duration::from_millis(300);
    /// Share by which the time between two questions is made longer or shorter if none was set: 0.1.
    pub const DEFAULT_JITTER: f64 = 0.1;

    /// Creates a source of the policy that the server at `base`, such as `http://127.0.0.1:8888`, has for an application in a profile.
    ///
    /// # Panics
    ///
    /// If `base` is no URI with a scheme and a host.
    #[must_use]
    #[track_caller]
    pub fn new(base: &str, application: &str, profile: &str) -> Self {
        match Self::try_new(base, application, profile) {
            Ok(server) => server,
            Err(invalid) => panic!("{invalid}"),
        }
    }

    /// As [`new`](Self::new), for a URI from outside.
    ///
    /// # Errors
    ///
    /// If `base` is no URI with a scheme and a host.
    pub fn try_new(base: &str, application: &str, profile: &str) -> Result<Self, Invalid> {
        let base: Uri = base.parse().map_err(|_| BASE)?;
        let port = base.authority().and_then(|authority| authority.as_str().rsplit_once(':'));
        let is_port =
            port.is_none_or(|(_, port)| port.ends_with(']') || base.port_u16().is_some_and(|port| port > 0));
        if base.scheme().is_none() || base.host().is_none_or(str::is_empty) || !is_port {
            return Err(BASE);
        }
        Ok(Self {
            base,
            path: format!("/{}/{}", encode(application), encode(profile)),
            prefix: String::from(Self::DEFAULT_PREFIX),
            every: Self::DEFAULT_EVERY,
            time_out: Self::DEFAULT_TIME_OUT,
            jitter: Self::DEFAULT_JITTER,
            keep: None,
            authorization: None,
            client: Client::default(),
            dice: Dice::new(None),
        })
    }

    /// Asks for a label, such as a branch. Default: the one that the server has by default.
    #[must_use]
    pub fn label(mut self, label: &str) -> Self {
        // Spring's way to write a label with slashes in it.
        self.path = format!("{}/{}", self.path, encode(&label.replace('/', "(_)")));
        self
    }

    /// Sets below what the properties of the policy are. Others are left to those whom they concern. Empty: there are no others.
    /// Default: [`DEFAULT_PREFIX`](Self::DEFAULT_PREFIX).
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.trim_end_matches('.').to_owned();
        self
    }

    /// Sets the time between two questions, within 1 ms and a year. Default: [`DEFAULT_EVERY`](Self::DEFAULT_EVERY).
    #[must_use]
    pub fn every(mut self, every: Duration) -> Self {
        self.every = every.clamp(crate::file::EVERY.0, crate::file::EVERY.1);
        self
    }

    /// Sets how long an answer may take, from the connection to the end of it. Default:
    /// [`DEFAULT_TIME_OUT`](Self::DEFAULT_TIME_OUT).
    #[must_use]
    pub const fn time_out(mut self, time_out: Duration) -> Self {
        self.time_out = time_out;
        self
    }

    /// Sets the share, within 0 and 1, by which the time between two questions is made longer or shorter at random. Default:
    /// [`DEFAULT_JITTER`](Self::DEFAULT_JITTER).
    #[must_use]
    pub fn jitter(mut self, share: f64) -> Self {
        self.jitter = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
        self
    }

    /// Keeps the last answer that was good in a file, from which a process can start while the server is away. It is replaced as a
    /// whole, and one that is damaged counts as none. Default: not kept.
    #[must_use]
    pub fn keep(mut self, path: impl Into<PathBuf>) -> Self {
        self.keep = Some(path.into());
        self
    }

    /// Sets what is sent as `Authorization`. It is shown nowhere. Default: nothing.
    ///
    /// # Errors
    ///
    /// If it cannot stand in a header.
    pub fn authorization(mut self, authorization: &str) -> Result<Self, Invalid> {
        let mut value = HeaderValue::try_from(authorization).map_err(|_| AUTHORIZATION)?;
        value.set_sensitive(true);
        self.authorization = Some(value);
        Ok(self)
    }

    /// Sets the client to ask by, one with TLS, say: a tower service, cloned for each question. Default: a connection for each question,
    /// without TLS.
    #[must_use]
    pub fn client<S, B>(mut self, client: S) -> Self
    where
        S: Service<Request<Payload>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        self.client = Client::new(client);
        self
    }

    /// Sets the seed of the jitter. Default: one that nobody knows.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        self.dice.reseed(seed);
        self
    }

    /// Whom it asks for what, without who asks.
    fn shown(&self) -> String {
        let scheme = self.base.scheme().unwrap_or(&Scheme::HTTP);
        let authority = self.base.authority().map_or("", |authority| authority.as_str());
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        format!("{scheme}://{host}{}{}", self.base.path().trim_end_matches('/'), self.path)
    }

    fn error(&self, text: &str) -> PolicyError {
        PolicyError::new(text).origin(&format!("config server {}", self.shown()))
    }
}

impl fmt::Debug for ConfigServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigServer")
            .field("asks", &self.shown())
            .field("prefix", &self.prefix)
            .field("every", &self.every)
            .field("keep", &self.keep)
            .finish_non_exhaustive()
    }
}

/// A name as it stands in a path.
fn encode(name: &str) -> String {
    let mut encoded = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~(),".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
