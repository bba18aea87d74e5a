use crate::access::Access;
use crate::looks::{Looks, WATCH};
use crate::picture;
use crate::places::Places;
use crate::routes;
use crate::token::Token;
use axum::Router;
use axum::body::Bytes;
use bartizan_core::{Instant, Invalid, registry};
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep_until;

/// Shows every named handle of the process to those who ask over HTTP. Cheap to clone.
#[derive(Clone)]
pub struct Console {
    every: Duration,
    max_streams: usize,
    access: Access,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    born: Instant,
    places: Arc<Places>,
    looks: Looks,
}

impl Console {
    /// How often a stream looks: 250 ms.
    pub const DEFAULT_EVERY: Duration = Duration::from_millis(250);
    /// Shortest time between two looks: 50 ms.
    pub const MIN_EVERY: Duration = Duration::from_millis(50);
    /// Longest time between two looks: 1 h.
    pub const MAX_EVERY: Duration = Duration::from_secs(3600);
    /// Streams that may be open at once: 32.
    pub const DEFAULT_MAX_STREAMS: usize = 32;
    /// After how long a stream sends what has not changed: 5 s, or at its next look if that comes later.
    pub const HEARTBEAT: Duration = Duration::from_secs(5);

    /// Creates a console that looks every [`DEFAULT_EVERY`](Self::DEFAULT_EVERY), for
    /// [`DEFAULT_MAX_STREAMS`](Self::DEFAULT_MAX_STREAMS) and loopback names, and cannot be written.
    #[must_use]
    pub fn new() -> Self {
        let shared = Shared { born: Instant::now(), places: Arc::default(), looks: Looks::default() };
        Self {
            every: Self::DEFAULT_EVERY,
            max_streams: Self::DEFAULT_MAX_STREAMS,
            access: Access::default(),
            shared: Arc::new(shared),
        }
    }

    /// Sets how often a stream looks for changes, at least [`MIN_EVERY`](Self::MIN_EVERY) and at most
    /// [`MAX_EVERY`](Self::MAX_EVERY): what lies outside is taken as the nearer of the two. Default:
    /// [`DEFAULT_EVERY`](Self::DEFAULT_EVERY), 250 ms.
    ///
    /// Where there are so many handles that a look takes more than a twentieth of that, it looks less often.
    #[must_use]
    pub fn every(mut self, every: Duration) -> Self {
        self.every = every.clamp(Self::MIN_EVERY, Self::MAX_EVERY);
        self
    }

    /// Sets how many streams may be open at once, over all routers of this console; one more is answered with 503. Zero: none. A history is one as
    /// long as it is sent: it is up to 4 MiB, which whoever does not read would else hold.
    ///
    /// Default: [`DEFAULT_MAX_STREAMS`](Self::DEFAULT_MAX_STREAMS), 32.
    #[must_use]
    pub fn max_streams(mut self, most: usize) -> Self {
        self.max_streams = most;
        self
    }

    /// Answers whatever `Host` is asked for, not loopback names alone (`localhost`, `*.localhost`, `127.0.0.0/8`, `::1`).
    ///
    /// With a [token](Self::token), those read it who know it. Without one, everybody does, and nobody writes: for a console behind something
    /// that lets in only whom it knows. Any web page can have its name resolve to this machine and read such a console through the browser
    /// of somebody who looks at the page.
    #[must_use]
    pub fn any_host(mut self) -> Self {
        self.access.any_host = true;
        self
    }

    /// Lets verbs be done and settings be changed, by the page and by `POST /layers/{layer}/{name}`. Off by default.
    ///
    /// Pages of other origins cannot: see [who may write](crate#who-may-write). Every program of the machine can, unless there is a
    /// [token](Self::token). With [`any_host`](Self::any_host) there must be one.
    #[must_use]
    pub fn writable(mut self) -> Self {
        self.access.writable = true;
        self
    }

    /// Asks those who write for `Authorization: Bearer` with this secret, and with [`any_host`](Self::any_host) those who read as well. At
    /// least 16 bytes of visible ASCII. None by default.
    ///
    /// The page has a field for it, and keeps it in memory alone.
    ///
    /// # Panics
    ///
    /// If the token is shorter, or has another character. [`try_token`](Self::try_token) returns that as an error.
    #[must_use]
    pub fn token(self, secret: impl Into<Arc<str>>) -> Self {
        self.try_token(secret).unwrap_or_else(|why| panic!("{why}"))
    }

    /// [`token`](Self::token) of what comes from a file or an environment.
    ///
    /// # Errors
    ///
    /// If the token is shorter than 16 bytes, or has what is no visible ASCII character.
    pub fn try_token(mut self, secret: impl Into<Arc<str>>) -> Result<Self, Invalid> {
        self.access.token = Some(Token::new(secret.into())?);
        Ok(self)
    }

    /// Returns the routes `/layers`, `/stream` and `/history`, and the page at `/console`. It has no fallback, so that it can be merged as
    /// well as nested.
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        routes::router(self)
    }

    /// Looks once a second, or less often if [`every`](Self::every) says so, until the console is closed: for `/history`, which else knows
    /// only what was seen while somebody read a stream. Give it to a task of its own.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it looks no more; what it has seen stays.
    pub fn watch(&self) -> impl Future<Output = ()> + Send + 'static {
        let console = self.clone();
        async move {
            while !console.places().are_closed() {
                let now = Instant::now();
                let (_, next) = console.look(now);
                sleep_until(next.max(now + WATCH)).await;
            }
        }
    }

    /// The streams that are open, with the histories that are being sent.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.shared.places.count()
    }

    /// Ends all streams and refuses new ones, and histories, for good. All else goes on.
    ///
    /// A server that shuts down gracefully waits for its responses to end, and a stream has no end of its own: close the console first.
    pub fn close(&self) {
        self.shared.places.close();
    }

    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    pub(crate) fn most_streams(&self) -> usize {
        self.max_streams
    }

    pub(crate) fn places(&self) -> &Arc<Places> {
        &self.shared.places
    }

    pub(crate) fn looks(&self) -> &Looks {
        &self.shared.looks
    }

    /// What the page is told of the console.
    pub(crate) fn about(&self) -> Value {
        json!({
            "writable": self.access.takes_writes(),
            "token_to_read": self.access.guards_reads(),
            "token_to_write": self.access.token.is_some(),
            "every_seconds": self.every.as_secs_f64(),
        })
    }

    /// The event of the look that is due at `now`, and when to look again.
    pub(crate) fn look(&self, now: Instant) -> (Bytes, Instant) {
        let (begun, next) = self.grid(now);
        let look = self.looks().since(begun, now, || {
            let handles = registry::handles();
            (picture::event(&handles), picture::states(&handles))
        });
        (look.event, next.max(look.rest))
    }

    /// When the look that is due at `now` began, and when the next one will. Counted from the birth of the console, so that all
    /// its streams look at once.
    fn grid(&self, now: Instant) -> (Instant, Instant) {
        let gone = now.saturating_duration_since(self.shared.born);
        let into = gone.as_nanos() % self.every.as_nanos();
        // Less than `every`, which is at most an hour.
        let into = Duration::from_nanos(u64::try_from(into).unwrap_or_default());
        let begun = now.checked_sub(into).unwrap_or(now);
        (begun, begun + self.every)
    }
}

impl Default for Console {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console")
            .field("every", &self.every)
            .field("max_streams", &self.max_streams)
            .field("any_host", &self.access.any_host)
            .field("writable", &self.access.writable)
            .field("token", &self.access.token.is_some())
            .field("streams", &self.streams())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn looks_lie_on_one_grid() {
        let console = Console::new().every(Duration::from_millis(200));
        let born = console.shared.born;
        let at = |millis| born + Duration::from_millis(millis);
        for (now, begun, next) in [(0, 0, 200), (199, 0, 200), (200, 200, 400), (1_030, 1_000, 1_200)] {
            assert_eq!(console.grid(at(now)), (at(begun), at(next)), "{now} ms");
        }
        assert_eq!(console.grid(born - Duration::from_secs(1)).1, born - Duration::from_millis(800));
    }

    #[test]
    fn looks_are_neither_endless_nor_without_pause() {
        assert_eq!(Console::new().every(Duration::ZERO).every, Console::MIN_EVERY);
        assert_eq!(Console::new().every(Duration::MAX).every, Console::MAX_EVERY);
    }
}
