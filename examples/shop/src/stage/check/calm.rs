//! How long nobody has done anything to the shop.

/// How long the shop has to bring everything to its end once the last fault is over.
const TO_SETTLE_MS: i64 = 30_000;

/// What is younger than this is simply being worked on.
const AT_WORK_MS: i64 = 2_000;

/// A fault, by its times in milliseconds since 1970.
#[derive(Debug)]
pub struct Fault {
    /// None while it lasts.
    pub ended_at: Option<i64>,
    pub expires_at: i64,
}

impl Fault {
    /// It ends when somebody ends it, and by itself when its time is over.
    fn end(&self) -> i64 {
        self.ended_at.map_or(self.expires_at, |ended| ended.min(self.expires_at))
    }
}

/// The time of a reading, and since when there is no fault.
#[derive(Clone, Copy, Debug)]
pub struct Calm {
    now: i64,
    /// The end of the last fault; in the future while it lasts.
    since: i64,
}

/// What is to be thought of something that is not at its end yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Age {
    /// Nothing: it has only begun.
    AtWork,
    /// It waits, and has the time for it.
    Waiting,
    /// It should be at its end by now.
    Overdue,
}

impl Calm {
    pub fn new(now: i64, faults: &[Fault]) -> Self {
        Self { now, since: faults.iter().map(Fault::end).max().unwrap_or(i64::MIN) }
    }

    /// The same, for who knows that the shop was not open before `opened`.
    pub fn but_from(self, opened: i64) -> Self {
        Self { since: self.since.max(opened), ..self }
    }

    /// What to think of something open that was begun at `begun`.
    pub fn age(self, begun: i64) -> Age {
        if self.now.saturating_sub(begun.max(self.since)) >= TO_SETTLE_MS {
            Age::Overdue
        } else if self.now.saturating_sub(begun) < AT_WORK_MS {
            Age::AtWork
        } else {
            Age::Waiting
        }
    }

    /// Whole seconds that have gone by.
    pub fn seconds_since(self, then: i64) -> i64 {
        self.now.saturating_sub(then).max(0) / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000;

    fn calm(ends: &[(Option<i64>, i64)]) -> Calm {
        let faults: Vec<_> =
            ends.iter().map(|&(ended_at, expires_at)| Fault { ended_at, expires_at }).collect();
        Calm::new(NOW, &faults)
    }

    #[test]
    fn what_is_open_has_thirty_seconds() {
        for (ago, age) in [
            (0, Age::AtWork),
            (1_999, Age::AtWork),
            (2_000, Age::Waiting),
            (29_999, Age::Waiting),
            (30_000, Age::Overdue),
        ] {
            assert_eq!(calm(&[]).age(NOW - ago), age, "{ago}");
        }
        assert_eq!(calm(&[]).age(NOW + 5_000), Age::AtWork, "a clock that was put back");
    }

    #[test]
    fn they_begin_when_the_last_fault_has_ended() {
        let old = NOW - 500_000;
        for (ends, age) in [
            (vec![(None, NOW + 1)], Age::Waiting),
            (vec![(Some(NOW - 29_999), NOW + 60_000)], Age::Waiting),
            (vec![(Some(NOW - 30_000), NOW + 60_000)], Age::Overdue),
            (vec![(None, NOW - 30_000)], Age::Overdue),
            (vec![(None, NOW - 29_999)], Age::Waiting),
            (vec![(Some(NOW), NOW - 40_000)], Age::Overdue),
            (vec![(Some(NOW - 90_000), NOW), (Some(NOW - 10_000), NOW)], Age::Waiting),
        ] {
            assert_eq!(calm(&ends).age(old), age, "{ends:?}");
        }
        assert_eq!(calm(&[]).but_from(NOW - 10_000).age(old), Age::Waiting);
        assert_eq!(calm(&[(None, NOW)]).but_from(NOW - 40_000).age(old), Age::Waiting);
    }
}
