//! A crowd, as the console sees it.

use super::outcome::Outcome;
use super::shopping::Done;
use bartizan::core::registry::{self, Observed};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What was counted of the last crowd.
#[derive(Debug)]
pub(super) struct Seen {
    name: &'static str,
    here: AtomicBool,
    a_second: AtomicU64,
    offered: AtomicU64,
    outcomes: [AtomicU64; Outcome::ALL.len()],
    in_flight: AtomicU64,
}

/// One of the crowd in the shop, until this is dropped.
#[derive(Debug)]
pub(super) struct Visit(Arc<Seen>);

impl Visit {
    pub(super) fn ended(self, done: Done) -> Done {
        self.0.outcomes[done.outcome as usize].fetch_add(1, Ordering::Relaxed);
        done
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Seen {
    /// Nobody yet; the console lists it as long as it lives.
    pub(super) fn new(name: &'static str) -> Arc<Self> {
        let seen = Arc::new(Self {
            name,
            here: AtomicBool::new(false),
            a_second: AtomicU64::new(0),
            offered: AtomicU64::new(0),
            outcomes: [const { AtomicU64::new(0) }; _],
            in_flight: AtomicU64::new(0),
        });
        let observed: Arc<dyn Observed> = seen.clone();
        registry::register(&observed);
        seen
    }

    /// A crowd of so many a second comes, and is counted from nothing; false when there is one already.
    pub(super) fn comes(&self, rate: u32) -> bool {
        if self.here.swap(true, Ordering::Relaxed) {
            return false;
        }
        self.a_second.store(rate.into(), Ordering::Relaxed);
        let counts = self.outcomes.iter().chain([&self.offered]);
        counts.for_each(|count| count.store(0, Ordering::Relaxed));
        true
    }

    pub(super) fn is_gone(&self) {
        self.here.store(false, Ordering::Relaxed);
    }

    /// One of them comes into the shop.
    pub(super) fn visit(self: &Arc<Self>) -> Visit {
        self.offered.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Visit(self.clone())
    }

    fn count(&self, which: impl Fn(Outcome) -> bool) -> f64 {
        let counts = Outcome::ALL.into_iter().filter(|outcome| which(*outcome));
        counts.map(|outcome| self.outcomes[outcome as usize].load(Ordering::Relaxed)).sum::<u64>() as f64
    }
}

impl Observed for Seen {
    fn layer(&self) -> &'static str {
        "load"
    }

    fn name(&self) -> &str {
        self.name
    }

    fn state(&self) -> &'static str {
        if self.here.load(Ordering::Relaxed) { "here" } else { "away" }
    }

    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        let number = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64;
        show("a_second", if self.here.load(Ordering::Relaxed) { number(&self.a_second) } else { 0.0 });
        show("offered", number(&self.offered));
        show("served", self.count(Outcome::is_good));
        show("stale", self.count(|outcome| outcome == Outcome::Stale));
        show("refused", self.count(|outcome| outcome == Outcome::Refused));
        let no_good = |outcome: Outcome| !outcome.is_good() && outcome != Outcome::Refused;
        show("failed", self.count(no_good));
        show("in_flight", number(&self.in_flight));
    }
}
