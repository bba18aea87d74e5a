mod entries;
mod index;

use crate::agent::{Agent, encode, go_time};
use crate::asking::{Ask, Asking, Found, streams};
use crate::error::BoxError;
use crate::exchange::{Client, Payload};
use crate::known::Known;
use crate::{Error, pace};
use bartizan_core::{Dice, Instant, Invalid};
use entries::Entries;
use http::uri::Scheme;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body::Body;
use index::Index;
use std::fmt;
use std::time::Duration;
use tokio::time::sleep_until;
use tower_service::Service;

/// A source that asks Consul for the passing instances of a service, and waits there for news: its blocking health query.
///
/// An instance is a member at `Service.Address`, or at its node's if that is empty, with the weight `Weights.Passing` and the zone
/// that the metadata of service or node name. Instances without a host and port that can be called are left out.
///
/// Consul's rules for clients are kept: the index is never sent on as zero and begins anew when it goes backwards; answers that
/// bring no news are asked for at most once a second; each query waits a little less than [`wait`](Self::wait), not all of them the
/// same. When Consul does not answer, answers nonsense, more than 4 MiB, too slowly, or a redirect, that is an error, and it is asked
/// again after about a second, then twice as long each time, up to half a minute. When there is no passing instance, that is an
/// error too, told once: see [`allow_empty`](Self::allow_empty).
///
/// It needs tokio's timers, and moves when it is polled. Settings are read when it is polled first, later ones have no effect.
pub struct Consul {
    asking: Asking<Query>,
}

streams!(Consul);

#[derive(Debug)]
struct Query {
    agent: Agent,
    service: String,
    /// What is asked for besides, each with its `&`.
    filters: String,
    scheme: Scheme,
    zone: String,
    wait: Duration,
    jitter: f64,
    allow_empty: bool,
    dice: Dice,
    known: Known,
    index: Index,
    failures: u32,
    told_empty: bool,
    /// When the next query may begin.
    due: Option<Instant>,
}

/// The longest wait between two queries of which none is answered.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(30);

impl Consul {
    /// Longest wait for news for which none was set: 5 minutes.
    pub const DEFAULT_WAIT: Duration = Duration::from_secs(300);
    /// Share by which that wait is shortened if none was set: 0.1.
    pub const DEFAULT_JITTER: f64 = 0.1;
    /// Longest time in which an answer must come, once it is due, if none was set: 10 s.
    pub const DEFAULT_TIME_OUT: Duration = Agent::DEFAULT_TIME_OUT;

    /// Creates a source of a service's instances, as the Consul at `base` knows them, such as `http://127.0.0.1:8500`.
    ///
    /// # Panics
    ///
    /// If `base` is no `Uri` with a scheme and a host.
    #[must_use]
    #[track_caller]
    pub fn new<U: TryInto<Uri>>(base: U, service: impl Into<String>) -> Self {
        match Self::try_new(base, service) {
            Ok(consul) => consul,
            Err(invalid) => panic!("{invalid}"),
        }
    }

    /// As [`new`](Self::new), for a `Uri` out of a file.
    ///
    /// # Errors
    ///
    /// If `base` is no `Uri` with a scheme and a host.
    pub fn try_new<U: TryInto<Uri>>(base: U, service: impl Into<String>) -> Result<Self, Invalid> {
        let query = Query {
            agent: Agent::new(base)?,
            service: service.into(),
            filters: String::new(),
            scheme: Scheme::HTTP,
            zone: String::from("zone"),
            wait: Self::DEFAULT_WAIT,
            jitter: Self::DEFAULT_JITTER,
            allow_empty: false,
            dice: Dice::new(None),
            known: Known::default(),
            index: Index::default(),
            failures: 0,
            told_empty: false,
            due: None,
        };
        Ok(Self { asking: Asking::Idle(query) })
    }

    /// Sets the token of Consul's access control. It is sent as `X-Consul-Token`. Default: none.
    ///
    /// # Errors
    ///
    /// If it cannot stand in a header.
    pub fn token(self, token: &str) -> Result<Self, Invalid> {
        let mut set = Ok(());
        let this = self.with(|query| set = query.agent.set_token(token));
        set.map(|()| this)
    }

    /// Asks for instances with this tag only; with several, for those that have all. Default: whatever their tags.
    #[must_use]
    pub fn tag(self, tag: &str) -> Self {
        self.filter("tag", tag)
    }

    /// Asks for another datacenter's instances. Default: those of the one that is asked.
    #[must_use]
    pub fn datacenter(self, name: &str) -> Self {
        self.filter("dc", name)
    }

    /// Lets any server answer, also one that has lost touch with the others. It spares their leader, and answers without one.
    /// Default: false.
    #[must_use]
    pub fn stale(self, stale: bool) -> Self {
        self.with(|query| {
            query.filters = query.filters.replace("&stale", "");
            query.filters.push_str(if stale { "&stale" } else { "" });
        })
    }

    /// Sets the scheme of the members. Default: `http`.
    #[must_use]
    pub fn scheme(self, scheme: Scheme) -> Self {
        self.with(|query| query.scheme = scheme)
    }

    /// Sets which metadata names the zone, of the service or else of its node. Default: `zone`.
    #[must_use]
    pub fn zone_key(self, key: impl Into<String>) -> Self {
        self.with(|query| query.zone = key.into())
    }

    /// Sets how long a query may wait for news. Consul waits up to a sixteenth longer, and 10 minutes at most. Default:
    /// [`DEFAULT_WAIT`](Self::DEFAULT_WAIT).
    #[must_use]
    pub fn wait(self, wait: Duration) -> Self {
        self.with(|query| query.wait = pace::interval(wait).min(Duration::from_secs(600)))
    }

    /// Sets the share, within 0 to 1, by which that wait is shortened at most. Default: [`DEFAULT_JITTER`](Self::DEFAULT_JITTER).
    #[must_use]
    pub fn jitter(self, share: f64) -> Self {
        self.with(|query| query.jitter = pace::share(share))
    }

    /// Sets how long Consul may take to accept a connection, then to answer once the wait is over, then to end its answer. Default:
    /// [`DEFAULT_TIME_OUT`](Self::DEFAULT_TIME_OUT).
    #[must_use]
    pub fn time_out(self, time_out: Duration) -> Self {
        self.with(|query| query.agent.time_out = pace::interval(time_out))
    }

    /// Sets whether an answer without any instance is believed. Where it is not, the last good set is kept, as Consul answers so too
    /// when checks fail for reasons of their own. Default: false.
    #[must_use]
    pub fn allow_empty(self, allow: bool) -> Self {
        self.with(|query| query.allow_empty = allow)
    }

    /// Sets the client to send by, one with TLS, say: a tower service, cloned for each query. It must wait as long as the query does.
    /// Default: a connection for each query, without TLS.
    #[must_use]
    pub fn client<S, B>(self, client: S) -> Self
    where
        S: Service<Request<Payload>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        self.with(|query| query.agent.client = Client::new(client))
    }

    /// Sets the seed of the jitter. Default: one that nobody knows.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        self.with(|query| query.dice.reseed(seed))
    }

    fn filter(self, name: &str, value: &str) -> Self {
        self.with(|query| query.filters.push_str(&format!("&{name}={}", encode(value))))
    }

    fn with(self, change: impl FnOnce(&mut Query)) -> Self {
        Self { asking: self.asking.with(change) }
    }
}

impl Query {
    /// Asks once, and returns the index of the answer with what it says.
    async fn query(&self) -> Result<(Option<String>, Entries), BoxError> {
        let mut path = format!("/v1/health/service/{}?passing=1{}", encode(&self.service), self.filters);
        let mut news = None;
        if let Some(index) = self.index.waits_by() {
            let wait = self.waits();
            path.push_str(&format!("&index={index}&wait={}", go_time(wait)));
            // Consul adds up to a sixteenth, so that its clients do not come back all at once.
            news = Some(wait + wait / 16);
        }
        let answer = self.agent.send(Method::GET, &path, Vec::new(), news).await?;
        if answer.status != StatusCode::OK {
            return Err(answer.unexpected());
        }
        let index = answer.headers.get("x-consul-index");
        let index = index.map(|index| String::from_utf8_lossy(index.as_bytes()).into_owned());
        Ok((index, entries::read(&answer.body, &self.scheme, &self.zone)?))
    }

    /// How long to wait for news this time: whole seconds, if it is that long.
    fn waits(&self) -> Duration {
        let wait = self.wait.mul_f64(1.0 - self.jitter * self.dice.unit());
        if wait.as_secs() > 0 {
            Duration::from_secs(wait.as_secs())
        } else {
            wait.max(Duration::from_millis(1))
        }
    }

    /// Takes the members of an answer. None: they are no news.
    fn hear(&mut self, entries: Entries) -> Option<Found> {
        let Entries { members, unusable } = entries;
        if members.is_empty() && (unusable > 0 || !self.allow_empty) {
            let told = std::mem::replace(&mut self.told_empty, true);
            let kept = if self.known.is_empty() { "" } else { "; the last ones are kept" };
            let text = match unusable {
                0 => format!("has no passing instance{kept}"),
                _ => format!("has {unusable} instances without a host and port{kept}"),
            };
            return (!told).then(|| Err(self.error(text)));
        }
        self.told_empty = false;
        let news = self.known.news(members)?;
        if unusable > 0 {
            tracing::warn!(
                service = self.service,
                unusable,
                "instances without a host and port are left out"
            );
        }
        Some(Ok(news))
    }

    fn error(&self, text: impl Into<Box<str>>) -> Error {
        Error::new(format!("consul {}", self.service), text)
    }
}

impl Ask for Query {
    async fn ask(&mut self) -> Found {
        loop {
            if let Some(due) = self.due {
                sleep_until(due).await;
            }
            let began = Instant::now();
            match self.query().await {
                Ok((index, entries)) => {
                    self.failures = 0;
                    let found = self.hear(entries);
                    let news = matches!(found, Some(Ok(_)));
                    self.due = Some(began + self.index.answered(index.as_deref(), news));
                    if let Some(found) = found {
                        return found;
                    }
                }
                Err(cause) => {
                    self.index.lost();
                    self.failures = self.failures.saturating_add(1);
                    let wait = pace::back_off(self.failures, LONGEST_BACK_OFF, self.dice.unit());
                    self.due = Some(Instant::now() + wait);
                    return Err(self.error("cannot be asked").because(cause));
                }
            }
        }
    }
}

impl fmt::Debug for Consul {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Consul").field(&self.asking).finish()
    }
}
