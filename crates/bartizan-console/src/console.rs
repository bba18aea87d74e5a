use crate::picture::Pictures;
use crate::places::Places;
use crate::routes;
use axum::Router;
use bartizan_core::Instant;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Shows every named handle of the process to those who ask over HTTP. Cheap to clone.
#[derive(Clone)]
pub struct Console {
    every: Duration,
    max_streams: usize,
    any_host: bool,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    born: Instant,
    places: Arc<Places>,
    pictures: Pictures,
}

impl Console {
    /// How often a stream looks: 1 s.
    pub const DEFAULT_EVERY: Duration = Duration::from_secs(1);
    /// Shortest time between two looks: 50 ms.
    pub const MIN_EVERY: Duration = Duration::from_millis(50);
    /// Longest time between two looks: 1 h.
    pub const MAX_EVERY: Duration = Duration::from_secs(3600);
    /// Streams that may be open at once: 32.
    pub const DEFAULT_MAX_STREAMS: usize = 32;
    /// After how long a stream sends what has not changed: 5 s, or at its next look if that comes later.
    pub const HEARTBEAT: Duration = Duration::from_secs(5);

    /// Creates a console that looks every [`DEFAULT_EVERY`](Self::DEFAULT_EVERY), for
    /// [`DEFAULT_MAX_STREAMS`](Self::DEFAULT_MAX_STREAMS) and loopback names.
    #[must_use]
    pub fn new() -> Self {
        let shared = Shared { born: Instant::now(), places: Arc::default(), pictures: Pictures::default() };
        Self {
            every: Self::DEFAULT_EVERY,
            max_streams: Self::DEFAULT_MAX_STREAMS,
            any_host: false,
            shared: Arc::new(shared),
        }
    }

    /// Sets how often a stream looks for changes, at least [`MIN_EVERY`](Self::MIN_EVERY) and at most
    /// [`MAX_EVERY`](Self::MAX_EVERY): what lies outside is taken as the nearer of the two. Default:
    /// [`DEFAULT_EVERY`](Self::DEFAULT_EVERY), 1 s.
    #[must_use]
    pub fn every(mut self, every: Duration) -> Self {
        self.every = every.clamp(Self::MIN_EVERY, Self::MAX_EVERY);
        self
    }

    /// Sets how many streams may be open at once, over all routers of this console; one more is answered with 503. Zero: none.
    /// Default: [`DEFAULT_MAX_STREAMS`](Self::DEFAULT_MAX_STREAMS), 32.
    #[must_use]
    pub fn max_streams(mut self, most: usize) -> Self {
        self.max_streams = most;
        self
    }

    /// Answers whatever `Host` is asked for, not loopback names alone (`localhost`, `*.localhost`, `127.0.0.0/8`, `::1`).
    ///
    /// For a console behind something that lets in only whom it knows. Without that, any web page can have its name resolve to this
    /// machine and read the console through the browser of somebody who looks at the page.
    #[must_use]
    pub fn any_host(mut self) -> Self {
        self.any_host = true;
        self
    }

    /// Returns the routes `/layers` and `/stream`. It has no fallback, so that it can be merged as well as nested.
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        routes::router(self)
    }

    /// The streams that are open.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.shared.places.count()
    }

    /// Ends all streams and refuses new ones, for good. `/layers` goes on.
    ///
    /// A server that shuts down gracefully waits for its responses to end, and a stream has no end of its own: close the console first.
    pub fn close(&self) {
        self.shared.places.close();
    }

    pub(crate) fn takes_any_host(&self) -> bool {
        self.any_host
    }

    pub(crate) fn most_streams(&self) -> usize {
        self.max_streams
    }

    pub(crate) fn places(&self) -> &Arc<Places> {
        &self.shared.places
    }

    pub(crate) fn pictures(&self) -> &Pictures {
        &self.shared.pictures
    }

    /// When the look that is due at `now` began, and when the next one will. Counted from the birth of the console, so that all
    /// its streams look at once.
    pub(crate) fn look(&self, now: Instant) -> (Instant, Instant) {
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
            .field("any_host", &self.any_host)
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
            assert_eq!(console.look(at(now)), (at(begun), at(next)), "{now} ms");
        }
        assert_eq!(console.look(born - Duration::from_secs(1)).1, born - Duration::from_millis(800));
    }

    #[test]
    fn looks_are_neither_endless_nor_without_pause() {
        assert_eq!(Console::new().every(Duration::ZERO).every, Console::MIN_EVERY);
        assert_eq!(Console::new().every(Duration::MAX).every, Console::MAX_EVERY);
    }
}
