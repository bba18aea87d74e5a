//! Where the buckets of limits are kept: in the process, or in Redis, so that several gateways share them.

#[cfg(not(feature = "redis"))]
mod no_redis;
#[cfg(feature = "redis")]
mod redis;

#[cfg(not(feature = "redis"))]
use self::no_redis as redis;
use super::config::{Config, REDIS};
use super::failure::{Failure, root};
use bartizan::Refused;
use bartizan::http::Http;
use bartizan::limit::{
    Ask, Keyed, KeyedHandle, LimitLayer, Limiting, SharedHandle, SharedLimitLayer, Store, Verb,
};
use redis::RedisStore;
use std::time::Duration;
use tokio::time::timeout;
use tower::util::Either;

/// How long Redis has to answer when the gateway is started.
const PATIENCE: Duration = Duration::from_secs(2);

/// The place of the buckets. Its clones share one connection, which lives on the runtime of who first asks.
#[derive(Clone, Debug)]
pub struct Buckets(Option<RedisStore>);

/// A limit by a key, wherever its buckets are.
pub type Kept<K, F, P> =
    Either<SharedLimitLayer<Keyed<K, F, Http>, P>, LimitLayer<Limiting<Keyed<K, F, Http>, P>>>;

impl Buckets {
    /// In the Redis of `REDIS_URL`, if it is set. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// When that is no URL of a Redis.
    pub fn open(config: &Config) -> Result<Self, Failure> {
        Ok(Self(config.redis.as_deref().map(redis::open).transpose()?))
    }

    /// Keeps those of a layer, which has its name already.
    pub fn keep<K, F, P>(&self, limit: LimitLayer<Limiting<Keyed<K, F, Http>, P>>) -> Kept<K, F, P>
    where
        K: 'static,
        F: Clone + Send + Sync + 'static,
    {
        match &self.0 {
            Some(store) => Either::Left(limit.store(store.clone())),
            None => Either::Right(limit),
        }
    }

    /// Keeps those of a limit that a handler asks, and which has its name already.
    pub fn keep_asked(&self, limit: KeyedHandle<str>) -> Asked {
        match &self.0 {
            Some(store) => Asked::Shared(limit.store(store.clone())),
            None => Asked::Here(limit),
        }
    }
}

/// Takes a token in the Redis of `REDIS_URL`, if it is set, as each request will. Whether it is there later, the limits do not need to
/// know.
///
/// # Errors
///
/// When that cannot be done.
pub async fn is_there(config: &Config) -> Result<(), Failure> {
    does(config, Verb::Take).await
}

/// The same, and no token is taken.
///
/// # Errors
///
/// When it is not said whether there is one.
pub async fn answers(config: &Config) -> Result<(), Failure> {
    does(config, Verb::Peek).await
}

async fn does(config: &Config, verb: Verb) -> Result<(), Failure> {
    let Buckets(Some(store)) = Buckets::open(config)? else { return Ok(()) };
    let (bucket, interval) = (0, Duration::from_millis(1));
    let asked =
        timeout(PATIENCE, store.ask(Ask { name: "start", bucket, interval, burst: 1, cost: 1, verb }));
    let why = match asked.await {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(why)) => root(&why),
        Err(_) => "it gives no answer".into(),
    };
    Err(Failure::new(format!("{REDIS} is set, but the Redis that it names cannot be used: {why}.")))
}

/// A limit that a handler asks, wherever its buckets are. Clones share them.
#[derive(Clone)]
pub enum Asked {
    Here(KeyedHandle<str>),
    Shared(SharedHandle<str>),
}

impl Asked {
    /// Takes a token of a key.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn check(&self, key: &str) -> Result<(), Refused> {
        match self {
            Self::Here(limit) => limit.check(key, 1),
            Self::Shared(limit) => limit.check(key, 1).await,
        }
    }

    /// Whether there is a token of a key.
    pub async fn has(&self, key: &str) -> bool {
        match self {
            Self::Here(limit) => limit.peek(key, 1).is_ok(),
            Self::Shared(limit) => limit.peek(key, 1).await.is_ok(),
        }
    }

    /// Takes a token of a key, if there is one.
    pub async fn charge(&self, key: &str) {
        match self {
            Self::Here(limit) => limit.charge(key, 1),
            Self::Shared(limit) => limit.charge(key, 1).await,
        }
    }
}
