use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What is counted: failures. On the way of a call that ends well there is nothing.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    each: [AtomicU64; 5],
}

/// What happened to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Used,
    Passed,
    Declined,
    Full,
    Failed,
}

impl Counts {
    #[inline]
    pub(crate) fn count(&self, event: Event) {
        self.each[event as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn snapshot(&self, in_flight: usize, degraded: bool) -> Snapshot {
        let count = |event: Event| self.each[event as usize].load(Relaxed);
        Snapshot {
            degraded,
            in_flight,
            used: count(Event::Used),
            passed: count(Event::Passed),
            declined: count(Event::Declined),
            full: count(Event::Full),
            failed: count(Event::Failed),
        }
    }
}

/// What a fallback layer has counted since it was created, and how it is now.
///
/// It is counted from when the layer was [named](crate::FallbackLayer::named) or first gave out a [handle](crate::FallbackLayer::handle).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Whether failures were replaced lately.
    pub degraded: bool,
    /// Asynchronous functions that are under way.
    pub in_flight: usize,
    /// Failures that were replaced.
    pub used: u64,
    /// Failures that are none of those asked for.
    pub passed: u64,
    /// Failures that the function left as they were.
    pub declined: u64,
    /// Failures that too many asynchronous functions were under way for.
    pub full: u64,
    /// Failures for which the fallback has failed as well.
    pub failed: u64,
}

impl Snapshot {
    /// The numbers under their names.
    pub(crate) fn each(&self, show: &mut dyn FnMut(&'static str, f64)) {
        for (name, count) in [
            ("in_flight", self.in_flight as u64),
            ("used", self.used),
            ("passed", self.passed),
            ("declined", self.declined),
            ("full", self.full),
            ("failed", self.failed),
        ] {
            show(name, count as f64);
        }
    }
}
