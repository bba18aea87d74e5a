mod link;

use crate::store::{Ask, Asking, DEFAULT_TIME_OUT, Store, StoreError, Told, Verb};
use link::Link;
use redis::{Client, Script};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A [`Store`] in Redis, or in what speaks its protocol, such as Valkey. Version 5 or later; one server, not a cluster.
///
/// A decision is one round trip: a script on the server reads its clock, decides and writes. Two processes never take the same token, and
/// it does not matter what their own clocks say. The rate is exact to the nanosecond, the time to the microsecond.
///
/// A bucket is one key, and leaves when it is full again. Redis holds no key of a request in clear: it is named by the limit's name and a
/// hash, `bartizan:limit:login:6f0c…`, so that addresses of people are not found where nobody looks for them. It is no secret, though:
/// who may read Redis can try out whether a certain address is there.
///
/// How many keys there are is up to Redis: a bucket that is not full takes some 200 bytes there. `maxmemory` with the policy `volatile-ttl`
/// bounds that by forgiving those first that would soon be full. A user of its own needs `+evalsha +script|load +time +get +set`.
///
/// One connection serves all requests. It is made at the first question, and anew after an error or when answers stay away; to clone the
/// store is cheap, and its clones share the connection.
///
/// ```no_run
/// use bartizan_limit::{Limit, LimitLayer, RedisStore};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = RedisStore::open("redis://127.0.0.1/")?;
/// let limit = LimitLayer::new(Limit::per_second(100)).named("api").store(store);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RedisStore {
    shared: Arc<Shared>,
    prefix: Arc<str>,
    time_out: Duration,
}

struct Shared {
    link: Link,
    script: Script,
}

/// What the names of all keys begin with, if not said otherwise: `bartizan:limit:`.
pub const DEFAULT_PREFIX: &str = "bartizan:limit:";

impl RedisStore {
    /// Creates a store at a URL, as in `redis://user:password@host:6379/0`, or `unix:///path/to.sock?db=0`. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// The URL is none of Redis', or asks for TLS (`rediss:`), which is not spoken here.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        let refused = |why| StoreError::new(format!("no URL of a Redis server: {why}"));
        let client = Client::open(url).map_err(refused)?;
        let shared = Shared { link: Link::new(client), script: Script::new(include_str!("redis/take.lua")) };
        Ok(Self { shared: Arc::new(shared), prefix: DEFAULT_PREFIX.into(), time_out: DEFAULT_TIME_OUT })
    }

    /// Sets what the names of all keys begin with: services with limits of the same name in one Redis need their own, those that share
    /// the limits the same. Default: [`DEFAULT_PREFIX`].
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<Arc<str>>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets how long a request waits for an answer, the time to connect included. Default: [`DEFAULT_TIME_OUT`], 20 ms.
    #[must_use]
    pub const fn with_time_out(mut self, time_out: Duration) -> Self {
        self.time_out = time_out;
        self
    }
}

impl Store for RedisStore {
    fn ask(&self, ask: Ask<'_>) -> Asking {
        let shared = self.shared.clone();
        let bucket = format!("{}{}:{:032x}", self.prefix, ask.name, ask.bucket);
        let [cost, whole, one] = [ask.cost, ask.burst, 1].map(|tokens| nanos(ask.interval, tokens));
        let times = [cost / 1000, cost % 1000, whole / 1000, whole % 1000];
        let pace = format!("{one}:{whole}");
        let verb = match ask.verb {
            Verb::Take => "take",
            Verb::Charge => "charge",
            Verb::Peek => "peek",
        };
        Box::pin(async move {
            let mut line = shared.link.line().await.map_err(StoreError::new)?;
            let mut call = shared.script.prepare_invoke();
            call.key(bucket).arg(&times).arg(pace).arg(verb);
            // Known to the server by its hash; sent as a whole to one that does not know it.
            let answer = call.invoke_async(line.connection()).await;
            let (wait, debt) = line.hear(answer).map_err(StoreError::new)?;
            Ok(Told { wait: Duration::from_micros(wait), debt: Duration::from_micros(debt) })
        })
    }

    fn time_out(&self) -> Duration {
        self.time_out
    }
}

/// The nanoseconds in which so many tokens come back; at most a hundred years, so that in microseconds a sum of two and the time of day
/// stays below 2^53.
fn nanos(interval: Duration, tokens: u32) -> u64 {
    const MOST: u128 = 100 * 365 * 86_400 * 1_000_000_000;
    (interval.as_nanos() * u128::from(tokens)).min(MOST) as u64
}

impl fmt::Debug for RedisStore {
    /// Without the user's name and the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("at", &self.shared.link)
            .field("prefix", &self.prefix)
            .field("time_out", &self.time_out)
            .finish_non_exhaustive()
    }
}
