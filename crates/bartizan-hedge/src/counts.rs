use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What is counted. On the way of a call that is not hedged there is nothing but the calls themselves, and these only if somebody can
/// read them.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    counts: [AtomicU64; 12],
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Count {
    Calls,
    Hedged,
    Hedges,
    Won,
    Superseded,
    Failed,
    Unready,
    Told,
    Unpaid,
    Useless,
    Hopeless,
    TooLarge,
}

impl Counts {
    pub(crate) fn count(&self, what: Count, by: u64) {
        self.counts[what as usize].fetch_add(by, Relaxed);
    }

    /// The copies that a call which has any has in the mean.
    pub(crate) fn copies(&self) -> f64 {
        let count = |what: Count| self.counts[what as usize].load(Relaxed) as f64;
        (count(Count::Hedges) / count(Count::Hedged).max(1.0)).max(1.0)
    }

    pub(crate) fn snapshot(&self, delay: Option<Duration>, median: Option<Duration>) -> Snapshot {
        let count = |what: Count| self.counts[what as usize].load(Relaxed);
        Snapshot {
            calls: count(Count::Calls),
            hedged: count(Count::Hedged),
            hedges: count(Count::Hedges),
            won: count(Count::Won),
            superseded: count(Count::Superseded),
            failed: count(Count::Failed),
            unready: count(Count::Unready),
            told: count(Count::Told),
            unpaid: count(Count::Unpaid),
            useless: count(Count::Useless),
            hopeless: count(Count::Hopeless),
            too_large: count(Count::TooLarge),
            delay,
            median,
        }
    }
}

/// What a hedge layer has counted since it was created, and what it has learnt.
///
/// Calls are counted from when the layer was [named](crate::HedgeLayer::named) or first gave out a [handle](crate::HedgeLayer::handle).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Calls, whether they may be hedged or not.
    pub calls: u64,
    /// Calls of which a copy was made.
    pub hedged: u64,
    /// Copies that were sent beside the first.
    pub hedges: u64,
    /// Calls that were answered by such a copy.
    pub won: u64,
    /// Copies, the first included, that were dropped when another had won. They are nobody's failures.
    pub superseded: u64,
    /// Copies that were sent beside the first and have failed.
    pub failed: u64,
    /// Copies that were not sent, as no service got ready for them.
    pub unready: u64,
    /// Calls that get no further copies, as a server asked to be left alone.
    pub told: u64,
    /// Copies that were not sent, as a purse did not pay.
    pub unpaid: u64,
    /// Copies that were not sent, as they hardly ever win.
    pub useless: u64,
    /// Copies that were not sent, as they would hardly have ended before the deadline.
    pub hopeless: u64,
    /// Copies that were not sent, as the body is too large to be kept.
    pub too_large: u64,
    /// After how long a second copy is sent now; none while it is not known.
    pub delay: Option<Duration>,
    /// The time within which half of the calls end; none while it is not known.
    pub median: Option<Duration>,
}

impl Snapshot {
    /// The copies that were sent beside the calls, as a share of these.
    #[must_use]
    pub fn extra_load(&self) -> f64 {
        if self.calls == 0 { 0.0 } else { self.hedges as f64 / self.calls as f64 }
    }

    /// The numbers under their names, in the order of the fields.
    pub(crate) fn each(&self, show: &mut dyn FnMut(&'static str, f64)) {
        for (name, count) in [
            ("calls", self.calls),
            ("hedged", self.hedged),
            ("hedges", self.hedges),
            ("won", self.won),
            ("superseded", self.superseded),
            ("failed", self.failed),
            ("unready", self.unready),
            ("told", self.told),
            ("unpaid", self.unpaid),
            ("useless", self.useless),
            ("hopeless", self.hopeless),
            ("too_large", self.too_large),
        ] {
            show(name, count as f64);
        }
        for (name, time) in [("delay_seconds", self.delay), ("median_seconds", self.median)] {
            if let Some(time) = time {
                show(name, time.as_secs_f64());
            }
        }
    }
}
