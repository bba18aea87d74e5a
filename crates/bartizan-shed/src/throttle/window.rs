//! How many requests there were lately, and how many of them were accepted: atomics, no lock.

use crate::sync::{AtomicU64, Ordering};

/// Ten tenths of a window, each one word, in the order of their numbers around a ring.
#[derive(Debug)]
pub(super) struct Window([AtomicU64; TENTHS as usize]);

/// Into so many parts a window is divided. The oldest is forgotten as a whole.
pub(super) const TENTHS: u64 = 10;

/// What a window holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) requests: u64,
    pub(super) accepts: u64,
}

/// Accepted requests stand lowest, all requests above them, the number of the tenth on top.
const BITS: u32 = 22;
const MASK: u64 = (1 << BITS) - 1;
const REQUEST: u64 = 1 << BITS;
const TAG: u32 = 2 * BITS;

/// A tenth that holds so many requests counts no more; its shares stay as they are. What is left above is for threads that
/// add to it at once.
const FULL: u64 = MASK - (1 << 16);

const fn tag(tenth: u64) -> u64 {
    tenth & (u64::MAX >> TAG)
}

const fn requests(word: u64) -> u64 {
    word >> BITS & MASK
}

impl Window {
    pub(super) fn new() -> Self {
        Self([(); TENTHS as usize].map(|()| AtomicU64::new(0)))
    }

    /// Counts a request in this tenth, and says whether it is the first there.
    #[inline]
    pub(super) fn count(&self, tenth: u64, accepted: bool) -> bool {
        let slot = &self.0[(tenth % TENTHS) as usize];
        let one = REQUEST + u64::from(accepted);
        let mut word = slot.load(Ordering::Relaxed);
        // If the tenth is replaced right after it was looked at, the request counts in the one that replaces it.
        while word >> TAG != tag(tenth) {
            // A tenth of the future means that this thread slept since it looked at the clock.
            if tag((word >> TAG).wrapping_sub(tenth)) <= TENTHS && requests(word) > 0 {
                return false;
            }
            match slot.compare_exchange(word, tag(tenth) << TAG | one, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(other) => word = other,
            }
        }
        if requests(word) < FULL {
            slot.fetch_add(one, Ordering::Relaxed);
        }
        false
    }

    /// What the last ten tenths hold, this one included.
    pub(super) fn counts(&self, tenth: u64) -> Counts {
        let mut counts = Counts::default();
        for slot in &self.0 {
            let word = slot.load(Ordering::Relaxed);
            // The number has 20 bits: what is left of a tenth comes back for one window after a silence of 72 days, if that is 60 s long.
            if tag(tenth.wrapping_sub(word >> TAG)) < TENTHS {
                counts.requests += requests(word);
                counts.accepts += word & MASK;
            }
        }
        counts
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        for slot in &self.0 {
            slot.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, not(bartizan_loom)))]
mod tests {
    use super::*;

    fn check(window: &Window, tenth: u64, requests: u64, accepts: u64) {
        assert_eq!(window.counts(tenth), Counts { requests, accepts }, "in tenth {tenth}");
    }

    #[test]
    fn a_tenth_is_forgotten_after_ten() {
        for start in [0, 7, (1 << 20) - 3, u64::MAX - 20] {
            let window = Window::new();
            assert!(start == 0 || window.count(start, true), "the first of its tenth");
            assert!(!window.count(start, false));
            let accepts = u64::from(start != 0);
            check(&window, start, 1 + accepts, accepts);
            assert!(window.count(start + 4, true));
            check(&window, start + 9, 2 + accepts, 1 + accepts);
            check(&window, start + 10, 1, 1);
            assert!(window.count(start + 10, false), "it takes the place of the one before");
            check(&window, start + 13, 2, 1);
            check(&window, start + 14, 1, 0);
            check(&window, start + 20, 0, 0);
        }
    }

    #[test]
    fn a_request_of_the_past_changes_nothing_newer() {
        let window = Window::new();
        window.count(25, true);
        assert!(!window.count(15, false));
        check(&window, 25, 1, 1);
    }

    #[test]
    fn a_full_tenth_keeps_its_shares() {
        let window = Window::new();
        for _ in 0..=MASK {
            window.count(1, true);
        }
        check(&window, 1, FULL, FULL);
        window.clear();
        check(&window, 1, 0, 0);
    }
}
