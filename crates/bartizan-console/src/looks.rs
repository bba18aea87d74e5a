use crate::history::History;
use crate::picture;
use axum::body::Bytes;
use bartizan_core::Instant;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The last picture that was taken, for all streams, and those before it.
#[derive(Debug, Default)]
pub(crate) struct Looks(Mutex<Past>);

#[derive(Debug, Default)]
struct Past {
    last: Option<Look>,
    history: History,
}

/// A picture, as a server-sent event.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    taken: Instant,
    /// Until when no other is taken, however often it is asked for.
    pub(crate) rest: Instant,
    pub(crate) event: Bytes,
}

/// A look that takes long is followed by a rest so many times as long: looking takes at most a twentieth of a processor.
const REST: u32 = 19;

impl Looks {
    /// A picture that is not older than `begun`, if the last look was not too long for that: the last one, or one that `take` takes
    /// now. `take` also tells what differs when a state does. Who comes while it is taken waits for it.
    pub(crate) fn since(&self, begun: Instant, now: Instant, take: impl FnOnce() -> (Bytes, u64)) -> Look {
        let mut past = self.lock();
        if let Some(look) = past.last.as_ref().filter(|last| last.taken >= begun || now < last.rest) {
            return look.clone();
        }
        let (event, states) = take();
        let end = Instant::now();
        let took = end.saturating_duration_since(now);
        let look = Look { taken: now, rest: now + took + took * REST, event };
        past.history.keep(now, picture::data(&look.event), states);
        past.last = Some(look.clone());
        look
    }

    /// What was seen so far, as JSON in pieces.
    pub(crate) fn history(&self, now: Instant) -> VecDeque<Bytes> {
        self.lock().history.json(now)
    }

    fn lock(&self) -> MutexGuard<'_, Past> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often to look for the history alone, at most.
pub(crate) const WATCH: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_picture_is_taken_once_a_look() {
        let looks = Looks::default();
        let start = Instant::now();
        let mut taken = 0;
        for (begun, now, count) in [(0, 0, 1), (0, 0, 1), (0, 9, 1), (10, 10, 2), (10, 13, 2), (20, 25, 3)] {
            let at = |millis| start + Duration::from_millis(millis);
            tokio::time::advance(at(now).saturating_duration_since(Instant::now())).await;
            looks.since(at(begun), at(now), || {
                taken += 1;
                (picture::event(&[]), 0)
            });
            assert_eq!(taken, count, "at {now} ms");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_takes_long_is_followed_by_a_rest() {
        let looks = Looks::default();
        let start = Instant::now();
        // It is asked for as of 10 ms ago, and so took that long.
        tokio::time::advance(Duration::from_millis(10)).await;
        let take = || (picture::event(&[]), 0);
        let look = looks.since(start, start, take);
        assert_eq!(look.rest, start + Duration::from_millis(200));
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(looks.since(at(199), at(199), take).taken, start);
        assert_eq!(looks.since(at(200), at(200), take).taken, at(200));
    }
}
