use bartizan_core::{Times, TimesSnapshot};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// What is counted.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    each: [AtomicU64; 13],
    stale: Times,
}

/// Something that is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Count {
    Reads,
    Stored,
    Hits,
    IfError,
    Spared,
    WhileRevalidate,
    Coalesced,
    Revalidated,
    Refreshes,
    RefreshesFailed,
    RefreshesLate,
    Unanswered,
    NotKept,
}

impl Counts {
    pub(crate) fn count(&self, what: Count) {
        self.each[what as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn of(&self, what: Count) -> u64 {
        self.each[what as usize].load(Relaxed)
    }

    /// Counts a stale answer that is served, and for how long it has been stale.
    pub(crate) fn count_stale(&self, what: Count, stale: Duration) {
        self.count(what);
        self.stale.record(stale);
    }

    /// For how long the stale answers that were served had been stale.
    pub(crate) fn stale(&self) -> TimesSnapshot {
        self.stale.snapshot()
    }
}

/// What is in use now, up to a bound.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicUsize);

impl Gauge {
    /// Takes so much, if it is within the bound.
    pub(crate) fn take(&self, more: usize, most: usize) -> bool {
        let fits = |used: usize| used.checked_add(more).filter(|sum| *sum <= most);
        self.0.fetch_update(Relaxed, Relaxed, fits).is_ok()
    }

    pub(crate) fn give_back(&self, less: usize) {
        self.0.fetch_sub(less, Relaxed);
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Relaxed)
    }
}

/// What a layer keeps, and what it has counted since it was created.
///
/// Each read is one that was looked at: what [is not](crate::stale#what-is-kept) passes through uncounted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Answers that are kept.
    pub entries: usize,
    /// Bytes that these take.
    pub bytes: usize,
    /// Reads whose answer has not come, or is still being copied.
    pub in_flight: usize,
    /// Reads that wait for the answer of an equal one.
    pub waiting: usize,
    /// Refreshes under way in the background.
    pub refreshing: usize,
    /// Bytes of bodies that are being copied.
    pub recording: usize,
    /// Reads.
    pub reads: u64,
    /// Answers that were kept.
    pub stored: u64,
    /// Reads that were answered by a fresh answer, without a call.
    pub hits: u64,
    /// Reads that were answered in place of a failure of their own call.
    pub stale_if_error: u64,
    /// Reads that were answered without a call, as the service was spared after a failure.
    pub spared: u64,
    /// Reads that were answered by a stale answer at once, without a call of their own.
    pub stale_while_revalidate: u64,
    /// Reads that were answered by the answer to an equal one.
    pub coalesced: u64,
    /// Answers that were said by their service to hold still (304).
    pub revalidated: u64,
    /// Refreshes that began in the background.
    pub refreshes: u64,
    /// Refreshes that failed in time.
    pub refreshes_failed: u64,
    /// Refreshes that took too long.
    pub refreshes_late: u64,
    /// Reads that failed, or asked only for what is kept, and nothing was kept that could be served.
    pub unanswered: u64,
    /// Of these, reads that asked only for what is kept.
    pub refused_not_kept: u64,
}

impl Snapshot {
    /// The numbers under their names, in the order of the fields.
    pub(crate) fn each(&self, show: &mut dyn FnMut(&'static str, f64)) {
        for (name, gauge) in [
            ("entries", self.entries),
            ("bytes", self.bytes),
            ("in_flight", self.in_flight),
            ("waiting", self.waiting),
            ("refreshing", self.refreshing),
            ("recording", self.recording),
        ] {
            show(name, gauge as f64);
        }
        for (name, count) in [
            ("reads", self.reads),
            ("stored", self.stored),
            ("hits", self.hits),
            ("stale_if_error", self.stale_if_error),
            ("spared", self.spared),
            ("stale_while_revalidate", self.stale_while_revalidate),
            ("coalesced", self.coalesced),
            ("revalidated", self.revalidated),
            ("refreshes", self.refreshes),
            ("refreshes_failed", self.refreshes_failed),
            ("refreshes_late", self.refreshes_late),
            ("unanswered", self.unanswered),
            ("refused_not_kept", self.refused_not_kept),
        ] {
            show(name, count as f64);
        }
    }
}
