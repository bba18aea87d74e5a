//! The heartbeat of a store: once a second it is asked whether it is there.

use super::store::Store;
use bartizan::core::Instant;
use bartizan::core::registry::{self, Observed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How often it is asked, and how long it has to answer.
const BEAT: Duration = Duration::from_secs(1);

/// Asks a store, as long as this runtime lives, and has it among the layers that are shown, by the name of whose it is.
pub fn watch(store: Store, name: &str) {
    let heart = Heart::new(name);
    tokio::spawn(async move {
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beats.tick().await;
            let asked = Instant::now();
            let answer = timeout(BEAT, store.ping()).await;
            heart.beats(asked, Instant::now(), answer.is_ok_and(|answer| answer.is_ok()));
        }
    });
}

#[derive(Debug)]
struct Heart {
    name: String,
    beat: Mutex<Beat>,
}

#[derive(Debug)]
struct Beat {
    answers: bool,
    /// When it answered last; at first, when it was opened.
    last: Instant,
    took: Duration,
}

impl Heart {
    fn new(name: &str) -> Arc<Self> {
        let beat = Beat { answers: true, last: Instant::now(), took: Duration::ZERO };
        let heart = Arc::new(Self { name: name.to_owned(), beat: Mutex::new(beat) });
        let observed: Arc<dyn Observed> = heart.clone();
        registry::register(&observed);
        heart
    }

    fn beat(&self) -> MutexGuard<'_, Beat> {
        self.beat.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn beats(&self, asked: Instant, now: Instant, answers: bool) {
        let mut beat = self.beat();
        beat.answers = answers;
        if answers {
            beat.last = now;
            beat.took = now.saturating_duration_since(asked);
        }
    }
}

impl Observed for Heart {
    fn layer(&self) -> &'static str {
        "store"
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn state(&self) -> &'static str {
        if self.beat().answers { "answers" } else { "silent" }
    }

    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        let beat = self.beat();
        show("answers", f64::from(u8::from(beat.answers)));
        show("answer_seconds", beat.took.as_secs_f64());
        show("heartbeat_age_seconds", Instant::now().saturating_duration_since(beat.last).as_secs() as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn a_store_that_falls_silent_is_as_old_as_its_last_answer() {
        let heart = Heart::new("order");
        let numbers = || {
            let mut numbers = Vec::new();
            heart.numbers(&mut |_, number| numbers.push(number));
            numbers
        };
        let asked = Instant::now();
        advance(Duration::from_millis(250)).await;
        heart.beats(asked, Instant::now(), true);
        assert_eq!((heart.state(), numbers()), ("answers", vec![1.0, 0.25, 0.0]));
        advance(Duration::from_secs(2)).await;
        heart.beats(Instant::now(), Instant::now(), false);
        assert_eq!((heart.state(), numbers()), ("silent", vec![0.0, 0.25, 2.0]));
        heart.beats(Instant::now(), Instant::now(), true);
        assert_eq!((heart.state(), numbers()), ("answers", vec![1.0, 0.0, 0.0]));
    }
}
