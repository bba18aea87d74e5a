//! A bound on an adaptive limit: a multiple of what was in flight lately.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const SECOND: u64 = 1_000_000_000;
/// The time for which a peak is held is divided into so many parts; a part is forgotten at once.
const PARTS: usize = 20;

#[derive(Debug)]
pub(crate) struct Ceiling {
    /// The bits of the factor.
    factor: AtomicU64,
    /// For how long a peak is held.
    hold: AtomicU64,
    /// It is never lower than this.
    least: AtomicU64,
    /// The most in flight in the running second.
    peak: AtomicU64,
    /// When the running second is over.
    due: AtomicU64,
    /// No more than so many may be in flight.
    ceiling: AtomicU64,
    held: Mutex<[(u64, u64); PARTS]>,
}

impl Ceiling {
    pub(crate) fn new() -> Self {
        Self {
            factor: AtomicU64::new(0),
            hold: AtomicU64::new(0),
            least: AtomicU64::new(1),
            peak: AtomicU64::new(0),
            due: AtomicU64::new(0),
            ceiling: AtomicU64::new(u64::MAX),
            held: Mutex::new([(0, 0); PARTS]),
        }
    }

    pub(crate) fn set(&self, factor: f64, hold: Duration, least: usize) {
        self.factor.store(factor.to_bits(), Relaxed);
        self.hold.store(crate::nanos(hold), Relaxed);
        self.least.store(least as u64, Relaxed);
    }

    /// Sees that so many are in flight, and says how many may be.
    pub(crate) fn look(&self, in_flight: u64, now: u64) -> u64 {
        if in_flight > self.peak.load(Relaxed) {
            self.peak.fetch_max(in_flight, Relaxed);
        }
        if now >= self.due.load(Relaxed) {
            self.close(now);
        }
        self.ceiling.load(Relaxed)
    }

    pub(crate) fn get(&self) -> u64 {
        self.ceiling.load(Relaxed)
    }

    pub(crate) fn reset(&self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        *held = [(0, 0); PARTS];
        self.peak.store(0, Relaxed);
        self.due.store(0, Relaxed);
        self.ceiling.store(u64::MAX, Relaxed);
    }

    #[cold]
    fn close(&self, now: u64) {
        let Ok(mut held) = self.held.try_lock() else { return };
        let first = self.due.swap(now + SECOND, Relaxed) == 0;
        let peak = self.peak.swap(0, Relaxed);
        if first {
            // The first second has only begun.
            self.peak.fetch_max(peak, Relaxed);
            return;
        }
        let part = (self.hold.load(Relaxed) / PARTS as u64).max(1);
        // Numbered from one, as a place that was never used has number zero.
        let number = now / part + 1;
        let place = &mut held[(number % PARTS as u64) as usize];
        if place.0 != number {
            *place = (number, 0);
        }
        place.1 = place.1.max(peak);
        let most = held.iter().filter(|(at, _)| at + PARTS as u64 > number).map(|(_, peak)| *peak).max();
        let ceiling = (most.unwrap_or(0).max(1) as f64 * f64::from_bits(self.factor.load(Relaxed))).ceil();
        self.ceiling.store((ceiling as u64).max(self.least.load(Relaxed)), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks ten times a second at so many in flight for so many seconds.
    fn hold(ceiling: &Ceiling, now: &mut u64, in_flight: u64, seconds: u64) -> u64 {
        for _ in 0..seconds * 10 {
            *now += SECOND / 10;
            ceiling.look(in_flight, *now);
        }
        ceiling.get()
    }

    #[test]
    fn a_short_dip_leaves_the_ceiling_and_a_long_one_lowers_it() {
        let (ceiling, mut now) = (Ceiling::new(), 0);
        ceiling.set(1.5, Duration::from_secs(300), 1);
        assert_eq!(ceiling.look(20, 1), u64::MAX, "nothing is known yet");
        assert_eq!(hold(&ceiling, &mut now, 20, 60), 30);
        assert_eq!(hold(&ceiling, &mut now, 5, 10), 30);
        assert_eq!(hold(&ceiling, &mut now, 5, 350), 8);
        assert_eq!(hold(&ceiling, &mut now, 8, 2), 12, "and grows again step by step");
    }
}
