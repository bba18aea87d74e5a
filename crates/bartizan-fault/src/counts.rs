use crate::blow::{Blow, BodyHarm, End};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How many calls were harmed so far, by what was done to them. A call that was delayed and then ended counts in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Faults whose time is not over.
    pub faults: usize,
    /// Begun later.
    pub delayed: u64,
    /// Answered with an error, a status or a gRPC code.
    pub errors: u64,
    /// Never answered.
    pub hung: u64,
    /// Broken instead of answered.
    pub reset: u64,
    /// Ended by a panic.
    pub panicked: u64,
    /// Carried out, and never answered.
    pub replies_lost: u64,
    /// Answered with a body that breaks off, if it is long enough.
    pub truncated: u64,
    /// Answered drip by drip.
    pub dripped: u64,
}

/// Where calls are counted.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    delayed: AtomicU64,
    errors: AtomicU64,
    hung: AtomicU64,
    reset: AtomicU64,
    panicked: AtomicU64,
    replies_lost: AtomicU64,
    truncated: AtomicU64,
    dripped: AtomicU64,
}

impl Counts {
    pub(crate) fn count(&self, blow: &Blow) {
        let count = |counter: &AtomicU64| {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        if blow.delay > Duration::ZERO {
            count(&self.delayed);
        }
        match blow.end {
            Some(End::Error | End::Status(_) | End::Grpc(_)) => count(&self.errors),
            Some(End::Hang) => count(&self.hung),
            Some(End::Reset) => count(&self.reset),
            Some(End::Panic) => count(&self.panicked),
            Some(End::LoseReply) => count(&self.replies_lost),
            None => match blow.body {
                Some(BodyHarm::Truncate(_)) => count(&self.truncated),
                Some(BodyHarm::Drip(..)) => count(&self.dripped),
                None => {}
            },
        }
    }

    pub(crate) fn snapshot(&self, faults: usize) -> Snapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Snapshot {
            faults,
            delayed: read(&self.delayed),
            errors: read(&self.errors),
            hung: read(&self.hung),
            reset: read(&self.reset),
            panicked: read(&self.panicked),
            replies_lost: read(&self.replies_lost),
            truncated: read(&self.truncated),
            dripped: read(&self.dripped),
        }
    }

    pub(crate) fn show(&self, show: &mut dyn FnMut(&'static str, f64)) {
        for (name, counter) in [
            ("delayed", &self.delayed),
            ("errors", &self.errors),
            ("hung", &self.hung),
            ("reset", &self.reset),
            ("panicked", &self.panicked),
            ("replies_lost", &self.replies_lost),
            ("truncated", &self.truncated),
            ("dripped", &self.dripped),
        ] {
            show(name, counter.load(Ordering::Relaxed) as f64);
        }
    }
}
