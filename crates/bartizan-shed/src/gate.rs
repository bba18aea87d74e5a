//! One word that says how many are in flight, how many of each class were admitted, and whether somebody waits.

use crate::sync::{AtomicU64, Ordering};

/// Counts who is in flight. What has to be decided together stands in one word, so that neither a place nor a wake-up is lost.
#[derive(Debug)]
pub(crate) struct Gate {
    word: AtomicU64,
    /// What the word's counts of the admitted have carried over.
    admitted: [AtomicU64; 3],
}

/// The classes in which priorities are counted: critical, normal, sheddable.
pub(crate) type Class = usize;

const ONE: u64 = 1;
const IN_FLIGHT: u64 = (1 << 24) - 1;
/// Bits of the count of each class. Half of them is carried over in time: the other half is for those who come meanwhile.
const COUNT: u32 = 13;
const CARRY: u64 = 1 << (COUNT - 1);
const WAITING: u64 = 1 << 63;

const fn shift(class: Class) -> u32 {
    24 + COUNT * class as u32
}

/// How many of a class were admitted, less what was carried over.
#[inline]
const fn count(word: u64, class: Class) -> u64 {
    word >> shift(class) & (2 * CARRY - 1)
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self { word: AtomicU64::new(0), admitted: std::array::from_fn(|_| AtomicU64::new(0)) }
    }

    /// Admits a request if fewer than `limit` are in flight and nobody waits.
    #[inline]
    pub(crate) fn enter(&self, limit: u64, class: Class) -> bool {
        self.enter_unless(limit, class, WAITING)
    }

    /// Admits one of those who wait if fewer than `limit` are in flight.
    pub(crate) fn enter_in_turn(&self, limit: u64, class: Class) -> bool {
        self.enter_unless(limit, class, 0)
    }

    #[inline]
    fn enter_unless(&self, limit: u64, class: Class, unless: u64) -> bool {
        let mut seen = self.word.load(Ordering::Relaxed);
        loop {
            if seen & IN_FLIGHT >= limit || seen & unless != 0 {
                return false;
            }
            let next = seen.wrapping_add(ONE + (ONE << shift(class)));
            match self.word.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
        self.carry(seen, class);
        true
    }

    /// Admits a request whatever is in flight.
    #[inline]
    pub(crate) fn enter_anyway(&self, class: Class) {
        let seen = self.word.fetch_add(ONE + (ONE << shift(class)), Ordering::AcqRel);
        self.carry(seen, class);
    }

    /// Moves the count of a class on before it overflows; `seen` is the word before the one who came.
    #[inline]
    fn carry(&self, seen: u64, class: Class) {
        if count(seen, class) >= CARRY - 1 {
            self.carry_over(class);
        }
    }

    /// One who was interrupted here is not waited for: whoever comes next does it.
    #[cold]
    fn carry_over(&self, class: Class) {
        let less = |word| (count(word, class) >= CARRY).then(|| word - (CARRY << shift(class)));
        if self.word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, less).is_ok() {
            self.admitted[class].fetch_add(CARRY, Ordering::Relaxed);
        }
    }

    /// Gives a place back, and says whether somebody waits for it.
    #[inline]
    pub(crate) fn leave(&self) -> bool {
        self.word.fetch_sub(ONE, Ordering::AcqRel) & WAITING != 0
    }

    /// Says whether somebody waits. From when this is said, everybody who leaves hears of it.
    pub(crate) fn set_waiting(&self, waiting: bool) {
        if waiting {
            self.word.fetch_or(WAITING, Ordering::AcqRel);
        } else {
            self.word.fetch_and(!WAITING, Ordering::AcqRel);
        }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.word.load(Ordering::Acquire) & WAITING != 0
    }

    #[inline]
    pub(crate) fn in_flight(&self) -> u64 {
        self.word.load(Ordering::Relaxed) & IN_FLIGHT
    }

    /// How many of each class were admitted so far.
    pub(crate) fn admitted(&self) -> [u64; 3] {
        let word = self.word.load(Ordering::Relaxed);
        std::array::from_fn(|class| self.admitted[class].load(Ordering::Relaxed) + count(word, class))
    }
}

#[cfg(all(test, not(bartizan_loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64 as Peak;

    #[test]
    fn the_limit_is_exact_and_places_come_back() {
        let gate = Gate::new();
        assert_eq!((0..11).filter(|_| gate.enter(10, 1)).count(), 10);
        assert!(!gate.leave());
        assert!(gate.enter(10, 0) && !gate.enter(10, 0));
        gate.enter_anyway(2);
        assert_eq!((gate.in_flight(), gate.admitted()), (11, [1, 10, 1]));
    }

    #[test]
    fn counts_carry_over() {
        let gate = Gate::new();
        for n in 0..30_000 {
            assert!(gate.enter(1, n % 3));
            gate.leave();
        }
        assert_eq!((gate.in_flight(), gate.admitted()), (0, [10_000; 3]));
    }

    #[test]
    fn a_carry_that_is_late_touches_nothing_else() {
        let gate = Gate::new();
        // Somebody was interrupted between its entry and its carry.
        gate.word.store(CARRY << shift(2), Ordering::Relaxed);
        (0..2 * CARRY).for_each(|_| gate.enter_anyway(2));
        assert_eq!((gate.admitted(), gate.is_waiting()), ([0, 0, 3 * CARRY], false));
    }

    #[test]
    fn nobody_overtakes_those_who_wait() {
        let gate = Gate::new();
        gate.set_waiting(true);
        assert!(!gate.enter(10, 0));
        assert!(gate.enter_in_turn(10, 0));
        assert!(gate.leave());
        gate.set_waiting(false);
        assert!(gate.enter(10, 0) && !gate.is_waiting());
    }

    #[test]
    fn threads_never_exceed_the_limit_together() {
        let (gate, peak) = (Arc::new(Gate::new()), Arc::new(Peak::new(0)));
        let threads: Vec<_> = (0..4)
            .map(|class| {
                let (gate, peak) = (gate.clone(), peak.clone());
                std::thread::spawn(move || {
                    for _ in 0..20_000 {
                        if gate.enter(3, class % 3) {
                            peak.fetch_max(gate.in_flight(), Ordering::Relaxed);
                            gate.leave();
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        assert_eq!(gate.in_flight(), 0);
        assert!(peak.load(Ordering::Relaxed) <= 3);
    }
}
