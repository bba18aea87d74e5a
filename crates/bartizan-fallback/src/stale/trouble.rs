use crate::Failure;
use bartizan_core::Instant;
use std::sync::Arc;
use std::time::Duration;

/// What became of the calls for an answer since it was kept: for how long the service is spared, and why.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    /// A call counts only in the round in which it went out.
    round: u32,
    /// In a row.
    failures: u32,
    wait: Duration,
    /// When the pause began, and why.
    last: Option<(Instant, Arc<Failure>)>,
}

/// Leave to go out, which knows what it was given for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leave(u32);

/// How long a service is spared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pause {
    pub(crate) min: Duration,
    pub(crate) max: Duration,
    /// What was asked for.
    pub(crate) hint: Option<Duration>,
    /// A throw within `0.0..1.0`.
    pub(crate) throw: f64,
}

impl Trouble {
    /// Lets a call go out at `now`, or says why the last one failed, while the service is spared. After a pause one call goes out, and begins
    /// another one of the same length, so that it goes alone until it has failed or not.
    pub(crate) fn leave(&mut self, now: Instant) -> Result<Leave, Arc<Failure>> {
        if let Some((begun, cause)) = &mut self.last {
            if now.saturating_duration_since(*begun) < self.wait {
                return Err(cause.clone());
            }
            *begun = now;
        }
        Ok(Leave(self.round))
    }

    /// Hears that a call has failed. What is returned is to be dropped outside of all locks, as it holds an error of somebody else's.
    #[must_use]
    pub(crate) fn failed(
        &mut self,
        leave: Leave,
        now: Instant,
        pause: &Pause,
        cause: Arc<Failure>,
    ) -> Option<Arc<Failure>> {
        // Of many that went out at once, the first to fail is the one that counts.
        if leave.0 != self.round {
            return Some(cause);
        }
        let times = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let grown = pause.min.saturating_mul(times);
        self.round = self.round.wrapping_add(1);
        self.failures = self.failures.saturating_add(1);
        let most = grown.min(pause.max);
        let taken_off =
            Duration::try_from_secs_f64(most.as_secs_f64() * 0.5 * pause.throw).unwrap_or_default();
        self.wait = most.saturating_sub(taken_off).max(pause.hint.unwrap_or_default().min(pause.max));
        self.last.replace((now, cause)).map(|(_, cause)| cause)
    }

    /// Hears that a call has succeeded. What is returned is to be dropped outside of all locks.
    #[must_use]
    pub(crate) fn is_over(&mut self) -> Option<Arc<Failure>> {
        let (_, cause) = self.last.take()?;
        *self = Self { round: self.round.wrapping_add(1), ..Self::default() };
        Some(cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const PLAIN: Pause =
        Pause { min: Duration::from_millis(100), max: Duration::from_millis(500), hint: None, throw: 0.0 };

    fn failure() -> Arc<Failure> {
        Arc::new(Failure::unready())
    }

    /// Fails with each call that goes out, and says when these went out.
    fn calls(pause: Pause, until: u32) -> Vec<u32> {
        let start = Instant::now();
        let mut trouble = Trouble::default();
        (0..until)
            .filter(|ms| {
                let now = start + *ms * MS;
                let leave = trouble.leave(now);
                leave.map(|leave| drop(trouble.failed(leave, now, &pause, failure()))).is_ok()
            })
            .collect()
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        assert_eq!(calls(PLAIN, 2000), [0, 100, 300, 700, 1200, 1700]);
        assert_eq!(calls(Pause { throw: 1.0, ..PLAIN }, 800), [0, 50, 150, 350, 600]);
        assert_eq!(calls(Pause { hint: Some(300 * MS), ..PLAIN }, 1500), [0, 300, 600, 1000, 1500][..4]);
        assert_eq!(calls(Pause { hint: Some(Duration::MAX), ..PLAIN }, 1001), [0, 500, 1000]);
        assert_eq!(calls(Pause { min: Duration::ZERO, max: Duration::ZERO, ..PLAIN }, 3), [0, 1, 2]);
        for (min, hint) in [(Duration::MAX, None), (Duration::ZERO, Some(Duration::MAX))] {
            let pause = Pause { min, max: Duration::MAX, hint, throw: 0.9 };
            assert_eq!(calls(pause, 40), [0], "a pause that is never over");
        }
    }

    #[test]
    fn a_burst_of_failures_is_one() {
        let now = Instant::now();
        let mut trouble = Trouble::default();
        let leaves: Vec<Leave> = (0..100).map(|_| trouble.leave(now).unwrap()).collect();
        leaves.into_iter().for_each(|leave| drop(trouble.failed(leave, now, &PLAIN, failure())));
        assert!(trouble.leave(now + 99 * MS).is_err());
        assert!(trouble.leave(now + 100 * MS).is_ok());
    }

    #[test]
    fn one_call_goes_out_after_a_pause_and_a_lost_one_holds_nothing_up() {
        let now = Instant::now();
        let mut trouble = Trouble::default();
        let leave = trouble.leave(now).unwrap();
        drop(trouble.failed(leave, now, &PLAIN, failure()));
        let probe = now + 100 * MS;
        assert!(trouble.leave(probe).is_ok(), "it is never heard of again");
        assert!((0..100).all(|ms| trouble.leave(probe + ms * MS).is_err()));
        assert!(trouble.leave(probe + 100 * MS).is_ok());
        drop(trouble.is_over());
        assert!((0..100).all(|_| trouble.leave(probe + 100 * MS).is_ok()));
    }
}
