//! Which timer of an attempt wakes the task, so that the deadline of the whole call needs none of its own meanwhile.

use bartizan_core::Instant;
use std::cell::Cell;

thread_local! {
    /// When the attempt that was polled last on this thread will wake its task.
    static SET: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Forgets what was set, before an attempt is polled.
#[inline]
pub(crate) fn forget() {
    SET.set(None);
}

/// Whether an attempt, polled just now, wakes the task by then: it did not end, and was not dropped since.
#[inline]
pub(crate) fn is_set_by(at: Instant) -> bool {
    SET.get().is_some_and(|set| set <= at)
}

/// The timer of one attempt.
#[derive(Debug, Default)]
pub(crate) struct Alarm(bool);

impl Alarm {
    /// Says that it will wake the task then.
    #[inline]
    pub(crate) fn set(&mut self, at: Instant) {
        self.0 = true;
        SET.set(Some(at));
    }
}

impl Drop for Alarm {
    /// Nobody is woken by a timer that is gone.
    #[inline]
    fn drop(&mut self) {
        if self.0 {
            forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_alarm_counts_while_it_is_there() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        forget();
        assert!(!is_set_by(now + second));
        let mut alarm = Alarm::default();
        alarm.set(now + second);
        assert!(is_set_by(now + second) && is_set_by(now + 2 * second) && !is_set_by(now));
        drop(Alarm::default());
        assert!(is_set_by(now + second), "one that was never set says nothing");
        drop(alarm);
        assert!(!is_set_by(now + second));
    }
}
