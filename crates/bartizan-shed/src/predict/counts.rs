//! The atomics that every request moves: one when it enters, one when it leaves.

use crate::sync::{AtomicU64, Ordering};

/// How many entered, and how many left after how long.
///
/// They stand apart, so that one who enters and one who leaves do not want the same cache line at once.
#[derive(Debug)]
pub(super) struct Counts {
    /// All that entered, without those who left and say nothing.
    entered: Line,
    /// In the lower bits how many have left, above them the sum of their times. What the lower bits carry over is one tick.
    ended: Line,
    refused: Line,
}

/// Two cache lines, which processors fetch together.
#[derive(Debug)]
#[repr(align(128))]
struct Line(AtomicU64);

/// Bits of the number of requests that have left: as many may be in flight, or leave within one window.
const COUNT: u32 = 24;
const MASK: u64 = (1 << COUNT) - 1;
/// A tick of the sum of times is 2^6 ns: 2^40 of them are 19 hours.
const TICK: u32 = 6;

/// What the counts were at an instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Nanoseconds since the beginning.
    pub(super) at: u64,
    ended: u64,
    refused: u64,
}

impl Counts {
    pub(super) fn new() -> Self {
        let line = || Line(AtomicU64::new(0));
        Self { entered: line(), ended: line(), refused: line() }
    }

    /// Enters if fewer than `free` are in flight, or else than `room`.
    #[inline]
    pub(super) fn enter_below(&self, free: u64, room: impl FnOnce() -> u64) -> bool {
        // Who has left is read first: should more leave meanwhile, it is refused rather than admitted.
        let ended = self.ended.0.load(Ordering::Relaxed);
        let before = in_flight(self.entered.0.load(Ordering::Relaxed), ended);
        let room = if before < free { free } else { room() };
        if before >= room {
            return false;
        }
        let admitted = in_flight(self.entered.0.fetch_add(1, Ordering::Relaxed), ended) < room;
        if !admitted {
            self.withdraw();
        }
        admitted
    }

    #[inline]
    pub(super) fn enter(&self) {
        self.entered.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Leaves as if it had never entered.
    #[inline]
    pub(super) fn withdraw(&self) {
        self.entered.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// Leaves after so many nanoseconds, and returns what stands for all who have left.
    #[inline]
    pub(super) fn end(&self, took: u64) -> u64 {
        let one = (took >> TICK) << COUNT | 1;
        self.ended.0.fetch_add(one, Ordering::Relaxed).wrapping_add(one)
    }

    /// What stands for all who have left.
    pub(super) fn ended(&self) -> u64 {
        self.ended.0.load(Ordering::Relaxed)
    }

    pub(super) fn refuse(&self) {
        self.refused.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn in_flight(&self) -> u64 {
        let ended = self.ended.0.load(Ordering::Relaxed);
        in_flight(self.entered.0.load(Ordering::Relaxed), ended)
    }

    pub(super) fn seen(&self, at: u64) -> Seen {
        Seen {
            at,
            ended: self.ended.0.load(Ordering::Relaxed),
            refused: self.refused.0.load(Ordering::Relaxed),
        }
    }
}

#[inline]
fn in_flight(entered: u64, ended: u64) -> u64 {
    entered.wrapping_sub(ended) & MASK
}

impl Seen {
    /// What stands for all who have left.
    pub(super) fn ended(&self) -> u64 {
        self.ended
    }

    /// How many have left between two such.
    #[inline]
    pub(super) fn count(ended: u64, earlier: u64) -> u64 {
        ended.wrapping_sub(earlier) & MASK
    }

    /// How many have left since.
    pub(super) fn ended_since(&self, earlier: &Self) -> u64 {
        Self::count(self.ended, earlier.ended)
    }

    /// How many have been refused since.
    pub(super) fn refused_since(&self, earlier: &Self) -> u64 {
        self.refused.wrapping_sub(earlier.refused)
    }

    /// The time that those took who have left since, in nanoseconds.
    pub(super) fn taken_since(&self, earlier: &Self) -> u64 {
        (self.ended.wrapping_sub(earlier.ended) >> COUNT) << TICK
    }
}
