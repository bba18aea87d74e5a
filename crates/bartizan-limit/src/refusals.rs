use crate::denial::Denial;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How many were refused, in the order of the reasons' codes.
#[derive(Debug, Default)]
pub(crate) struct Counts([AtomicU64; Denial::REASONS]);

/// Requests refused so far, by their reasons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusals {
    /// `over the limit`.
    pub limit: u64,
    /// `costs more than the burst`.
    pub costly: u64,
    /// `too many waiting`.
    pub queue_full: u64,
    /// `would wait too long`.
    pub too_long: u64,
}

impl Counts {
    #[inline]
    pub(crate) fn refused(&self, denial: Denial) {
        self.0[denial.code()].fetch_add(1, Relaxed);
    }

    pub(crate) fn read(&self) -> Refusals {
        let [limit, costly, queue_full, too_long] =
            std::array::from_fn(|reason| self.0[reason].load(Relaxed));
        Refusals { limit, costly, queue_full, too_long }
    }
}

impl Refusals {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.limit + self.costly + self.queue_full + self.too_long
    }

    pub(crate) const fn named(&self) -> [(&'static str, u64); Denial::REASONS + 1] {
        [
            ("refused", self.total()),
            ("refused_limit", self.limit),
            ("refused_costly", self.costly),
            ("refused_queue_full", self.queue_full),
            ("refused_too_long", self.too_long),
        ]
    }
}
