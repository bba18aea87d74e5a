use crate::course::{Next, Why};
use bartizan_core::{Times, TimesSnapshot};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What is counted. On the way of a call that ends well there is nothing but the calls themselves, and these only if somebody can
/// read them.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    calls: AtomicU64,
    retries: AtomicU64,
    resent: AtomicU64,
    waited: AtomicU64,
    recovered: AtomicU64,
    ends: [AtomicU64; 8],
    waits: Times,
}

impl Counts {
    pub(crate) fn call(&self) {
        self.calls.fetch_add(1, Relaxed);
    }

    /// Counts a try that begins.
    pub(crate) fn again(&self, next: Next) {
        let (count, wait) = match next {
            Next::Resend => (&self.resent, Duration::ZERO),
            Next::Wait(wait) => (&self.waited, wait),
            Next::Retry(wait) => (&self.retries, wait),
        };
        count.fetch_add(1, Relaxed);
        self.waits.record(wait);
    }

    /// The waits before the tries that have begun.
    pub(crate) fn waits(&self) -> TimesSnapshot {
        self.waits.snapshot()
    }

    pub(crate) fn recovered(&self) {
        self.recovered.fetch_add(1, Relaxed);
    }

    pub(crate) fn ended(&self, why: Why) {
        self.ends[why as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let end = |why: Why| self.ends[why as usize].load(Relaxed);
        Snapshot {
            calls: self.calls.load(Relaxed),
            retries: self.retries.load(Relaxed),
            resent: self.resent.load(Relaxed),
            waited: self.waited.load(Relaxed),
            recovered: self.recovered.load(Relaxed),
            not_asked: end(Why::NotAsked),
            not_repeatable: end(Why::NotRepeatable),
            told: end(Why::Told),
            refused: end(Why::Refused),
            out_of_tries: end(Why::Tries),
            out_of_time: end(Why::Time),
            out_of_budget: end(Why::Budget),
            too_large: end(Why::TooLarge),
        }
    }
}

/// What a retry layer has counted since it was created.
///
/// Calls are counted from when the layer was [named](crate::RetryLayer::named) or first gave out a [handle](crate::RetryLayer::handle).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Calls. Each is one attempt, and each of the next three another one.
    pub calls: u64,
    /// Retries that the purse paid for.
    pub retries: u64,
    /// Requests that never arrived and were sent again at once.
    pub resent: u64,
    /// Tries after a layer on this side had refused and said for how long.
    pub waited: u64,
    /// Calls that ended well, though not at first.
    pub recovered: u64,
    /// Failures that are none of those asked for, and those of calls that are retried further out.
    pub not_asked: u64,
    /// Failures of requests that must not be repeated.
    pub not_repeatable: u64,
    /// Failures whose server wants to be left alone.
    pub told: u64,
    /// Refusals of layers on this side that did not say for how long.
    pub refused: u64,
    /// Failures after the last try.
    pub out_of_tries: u64,
    /// Failures too close to the deadline, or after the allowance.
    pub out_of_time: u64,
    /// Failures whose retry the purse did not pay for: it had no token, or too many failures came in a row. Its own
    /// [snapshot](bartizan_core::Purse::snapshot) tells the two apart.
    pub out_of_budget: u64,
    /// Failures of requests whose body is too large to be kept.
    pub too_large: u64,
}

impl Snapshot {
    /// All attempts.
    #[must_use]
    pub const fn attempts(&self) -> u64 {
        self.calls + self.retries + self.resent + self.waited
    }

    /// Calls that have failed, retried or not.
    #[must_use]
    pub const fn failed(&self) -> u64 {
        self.not_asked
            + self.not_repeatable
            + self.told
            + self.refused
            + self.out_of_tries
            + self.out_of_time
            + self.out_of_budget
            + self.too_large
    }

    /// The numbers under their names: sums behind what they are made of.
    pub(crate) fn each(&self, show: &mut dyn FnMut(&'static str, f64)) {
        for (name, count) in [
            ("calls", self.calls),
            ("retries", self.retries),
            ("resent", self.resent),
            ("waited", self.waited),
            ("attempts", self.attempts()),
            ("recovered", self.recovered),
            ("not_asked", self.not_asked),
            ("not_repeatable", self.not_repeatable),
            ("told", self.told),
            ("refused", self.refused),
            ("out_of_tries", self.out_of_tries),
            ("out_of_time", self.out_of_time),
            ("out_of_budget", self.out_of_budget),
            ("too_large", self.too_large),
            ("failed", self.failed()),
        ] {
            show(name, count as f64);
        }
    }
}
