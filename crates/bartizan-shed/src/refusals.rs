use crate::denial::{Denial, Why};
use crate::gate::Class;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How many were refused, and how many would have been, had the layer not been in shadow mode.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    reasons: [AtomicU64; Why::ALL.len()],
    refused: [AtomicU64; 3],
    shadowed: [AtomicU64; 3],
}

impl Counts {
    pub(crate) fn refused(&self, denial: Denial) {
        self.reasons[denial.why as usize].fetch_add(1, Relaxed);
        self.refused[denial.class].fetch_add(1, Relaxed);
    }

    pub(crate) fn shadowed(&self, class: Class) {
        self.shadowed[class].fetch_add(1, Relaxed);
    }

    /// Refusals and those withheld, by classes.
    pub(crate) fn by_class(&self) -> [[u64; 3]; 2] {
        [&self.refused, &self.shadowed].map(|counts| std::array::from_fn(|class| counts[class].load(Relaxed)))
    }

    /// Refusals by reasons.
    pub(crate) fn by_reason(&self) -> [u64; Why::ALL.len()] {
        std::array::from_fn(|why| self.reasons[why].load(Relaxed))
    }
}

/// Requests refused so far, by their reasons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusals {
    /// `over the limit`.
    pub limit: u64,
    /// `predicted wait`.
    pub wait: u64,
    /// `over the ceiling`.
    pub ceiling: u64,
    /// `over its share`.
    pub share: u64,
    /// `cpu`.
    pub cpu: u64,
    /// `not ready`.
    pub not_ready: u64,
    /// `queue full`.
    pub queue_full: u64,
    /// `waited too long`.
    pub too_long: u64,
    /// `would miss its deadline`.
    pub late: u64,
}

impl From<&Counts> for Refusals {
    fn from(counts: &Counts) -> Self {
        let [limit, wait, ceiling, share, cpu, not_ready, queue_full, too_long, late] = counts.by_reason();
        Self { limit, wait, ceiling, share, cpu, not_ready, queue_full, too_long, late }
    }
}
