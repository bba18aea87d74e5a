//! What only some breakers have: ratios, and failures in a row. Apart from the machine, as a circuit must stay small.

use crate::breaker::Breaker;
use crate::rule::{Consecutive, Ratio};
use crate::state::Cause;
use crate::window::{Counts, Sliding};
use bartizan_core::Verdict;

#[derive(Debug, Default)]
pub(crate) struct Extra {
    failure_ratio: Option<Watched>,
    slow_ratio: Option<Watched>,
    consecutive: Option<Consecutive>,
    row: u32,
}

/// A ratio and what its window holds.
#[derive(Debug)]
struct Watched {
    rule: Ratio,
    seen: Sliding,
}

impl Extra {
    /// Takes over new settings and keeps what was seen. `None` where nothing of this is asked for.
    pub(crate) fn new(value: &Breaker, old: Option<Self>, now: u64) -> Option<Self> {
        let old = old.unwrap_or_default();
        let extra = Self {
            failure_ratio: value.failure_ratio.map(|rule| Watched::new(rule, old.failure_ratio, now)),
            slow_ratio: value.slow_ratio.map(|rule| Watched::new(rule, old.slow_ratio, now)),
            consecutive: value.consecutive,
            row: old.row,
        };
        extra.has_rules().then_some(extra)
    }

    /// Whether there is a rule that every call must be shown to.
    pub(crate) fn has_rules(&self) -> bool {
        self.failure_ratio.is_some() || self.slow_ratio.is_some() || self.consecutive.is_some()
    }

    /// Shows a call to every rule, and returns those that fire.
    pub(crate) fn fired(&mut self, verdict: Verdict, slow: bool, now: u64) -> [Option<Cause>; 3] {
        let failed = verdict == Verdict::Failure;
        let bad = verdict != Verdict::Success;
        self.row = if bad { self.row.saturating_add(u32::from(failed)) } else { 0 };
        let row = self.consecutive.is_some_and(|rule| failed && self.row >= rule.failures);
        let reached = |watched: &mut Option<Watched>, bad| {
            watched.as_mut().is_some_and(|watched| watched.reached(now, bad))
        };
        [
            reached(&mut self.failure_ratio, bad).then_some(Cause::FailureRatio),
            reached(&mut self.slow_ratio, slow).then_some(Cause::SlowRatio),
            row.then_some(Cause::Consecutive),
        ]
    }

    /// The ratios of the failure and of the slow rule, where there are such.
    pub(crate) fn ratios(&self) -> [Option<f64>; 2] {
        [&self.failure_ratio, &self.slow_ratio]
            .map(|watched| watched.as_ref().map(|watched| watched.rule.ratio))
    }

    /// What the windows of the failure and of the slow rule hold, each with whether that is enough for a verdict.
    pub(crate) fn windows(&mut self, now: u64) -> [Option<(Counts, bool)>; 2] {
        [&mut self.failure_ratio, &mut self.slow_ratio].map(|watched| {
            watched.as_mut().map(|watched| {
                let counts = watched.seen.counts(now);
                (counts, watched.is_enough(counts))
            })
        })
    }

    /// Forgets what was seen.
    pub(crate) fn clear(&mut self) {
        self.row = 0;
        for watched in self.failure_ratio.iter_mut().chain(&mut self.slow_ratio) {
            watched.seen.clear();
        }
    }
}

impl Watched {
    fn new(rule: Ratio, old: Option<Self>, now: u64) -> Self {
        let seen = match old {
            Some(mut old) => old.seen.resized(rule.window, now),
            None => Sliding::new(rule.window),
        };
        Self { rule, seen }
    }

    /// Adds a call, and says whether the rule fires.
    fn reached(&mut self, now: u64, bad: bool) -> bool {
        self.seen.add(now, bad);
        let counts = self.seen.counts(now);
        self.is_enough(counts) && counts.ratio().is_some_and(|ratio| ratio >= self.rule.ratio)
    }

    fn is_enough(&self, counts: Counts) -> bool {
        counts.requests >= u64::from(self.rule.min_requests)
    }
}
