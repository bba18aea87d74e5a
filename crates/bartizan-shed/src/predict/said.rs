//! What the rule has said last, for all who enter to read.

use super::rule::Rule;
use super::{Patience, Settings};
use crate::nanos;
use crate::sync::{AtomicU64, Ordering};

/// Written once in a window, read by everybody.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Said {
    /// When the window may be closed, in nanoseconds since the beginning.
    due: AtomicU64,
    /// Answers per second.
    throughput: Float,
    /// Seconds that an answer takes which waits for nothing.
    service: Float,
    floor: Float,
    assumed_deadline: AtomicU64,
    min: AtomicU64,
    max: AtomicU64,
}

#[derive(Debug)]
struct Float(AtomicU64);

impl Float {
    fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    #[inline]
    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }
}

impl Said {
    pub(super) fn new(settings: &Settings) -> Self {
        let said = Self {
            due: AtomicU64::new(0),
            throughput: Float::new(),
            service: Float::new(),
            floor: Float::new(),
            assumed_deadline: AtomicU64::new(0),
            min: AtomicU64::new(1),
            max: AtomicU64::new(u64::MAX),
        };
        said.set(settings);
        said
    }

    pub(super) fn set(&self, settings: &Settings) {
        self.assumed_deadline.store(nanos(settings.assumed_deadline), Ordering::Relaxed);
        self.min.store(settings.min_in_flight.max(1) as u64, Ordering::Relaxed);
        self.max.store(settings.max_in_flight as u64, Ordering::Relaxed);
    }

    pub(super) fn say(&self, rule: &Rule) {
        self.throughput.set(rule.throughput());
        self.service.set(rule.service());
        self.floor.set(rule.floor());
        self.due.store(rule.due(), Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn due(&self) -> u64 {
        self.due.load(Ordering::Relaxed)
    }

    /// How many may be in flight for a request of such patience to enter.
    #[inline]
    pub(super) fn room(&self, patience: Patience) -> u64 {
        let left = patience.left.map_or_else(|| self.assumed_deadline.load(Ordering::Relaxed), nanos);
        let left = left as f64 * 1e-9;
        let stay = patience.tolerance * left + self.service.get().min(left / 4.0);
        let predicted = self.throughput.get() * stay;
        let room = predicted.max(self.floor.get() * patience.floor).ceil() as u64;
        room.max(self.min.load(Ordering::Relaxed)).min(self.max.load(Ordering::Relaxed))
    }

    /// Whether a failure after so many nanoseconds was work, and not an answer given at once.
    #[inline]
    pub(super) fn is_work(&self, took: u64) -> bool {
        let service = self.service.get();
        service > 0.0 && took as f64 * 1e-9 >= service / 2.0
    }
}
