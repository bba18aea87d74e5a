use crate::reason::Reason;
use bartizan_core::Times;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What is counted; nothing is on the way of a call that ends well.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    reasons: [AtomicU64; Reason::COUNT],
    withheld: AtomicU64,
    malformed: AtomicU64,
    abandoned: AtomicU64,
    /// How much time was left when a request was refused. Apart, as it is large and what stands beside it is read by every call.
    pub(crate) left: Box<Times>,
}

impl Counts {
    /// The names under which the numbers of reasons are shown, in their order.
    pub(crate) const NAMES: [&str; Reason::COUNT] = [
        "refused_expired",
        "refused_too_little",
        "refused_hopeless",
        "ended_total",
        "ended_head",
        "ended_idle",
        "ended_upload",
        "ended_late",
    ];

    /// What was counted of each reason.
    pub(crate) fn reasons(&self) -> [u64; Reason::COUNT] {
        std::array::from_fn(|reason| self.reasons[reason].load(Relaxed))
    }

    pub(crate) fn reason(&self, reason: Reason) {
        self.reasons[reason as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn withheld(&self) {
        self.withheld.fetch_add(1, Relaxed);
    }

    pub(crate) fn malformed(&self, headers: u64) {
        self.malformed.fetch_add(headers, Relaxed);
    }

    pub(crate) fn abandoned(&self) {
        self.abandoned.fetch_add(1, Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let reason = |reason: Reason| self.reasons[reason as usize].load(Relaxed);
        Snapshot {
            expired: reason(Reason::Expired),
            too_little: reason(Reason::TooLittle),
            hopeless: reason(Reason::Hopeless),
            timed_out: reason(Reason::Total),
            timed_out_head: reason(Reason::Head),
            timed_out_idle: reason(Reason::Idle),
            timed_out_upload: reason(Reason::Upload),
            read_late: reason(Reason::Late),
            withheld: self.withheld.load(Relaxed),
            malformed: self.malformed.load(Relaxed),
            abandoned: self.abandoned.load(Relaxed),
        }
    }
}

/// What a deadline layer has counted since it was created.
///
/// Time-outs and abandoned calls are counted of the calls that began after the layer was
/// [named](crate::DeadlineLayer::named) or first gave out a [handle](crate::DeadlineLayer::handle).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Refused, as the deadline had passed when the request arrived.
    pub expired: u64,
    /// Refused, as less than [`min_remaining`](crate::Deadline::min_remaining) was left, or nothing beyond the margin.
    pub too_little: u64,
    /// Refused, as less time was left than calls took lately.
    pub hopeless: u64,
    /// Ended by the deadline, before or within the response body.
    pub timed_out: u64,
    /// Ended, as the head of the response did not come in time.
    pub timed_out_head: u64,
    /// Ended, as the response body stood still.
    pub timed_out_idle: u64,
    /// Ended, as the request body stood still.
    pub timed_out_upload: u64,
    /// Ended, as the reader asked for the rest of the response body after the deadline.
    pub read_late: u64,
    /// Served, as [`max_refused_share`](crate::Deadline::max_refused_share) did not let them be refused.
    pub withheld: u64,
    /// Headers that could not be read, and were taken as absent.
    pub malformed: u64,
    /// Calls whose future was dropped before the answer: the caller left.
    pub abandoned: u64,
}

impl Snapshot {
    /// All that were refused before the inner service saw them.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.expired + self.too_little + self.hopeless
    }

    /// All that were ended after the inner service had seen them.
    #[must_use]
    pub const fn ended(&self) -> u64 {
        self.timed_out + self.timed_out_head + self.timed_out_idle + self.timed_out_upload + self.read_late
    }
}
