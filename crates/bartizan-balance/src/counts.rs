use crate::ejection::Tally;
use crate::reason::Why;
use bartizan_core::{Instant, Times, TimesSnapshot};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// What is counted of a set, beside what each member counts. On the way of a call that its first choice takes there is nothing.
#[derive(Default)]
pub(crate) struct Counts {
    refused: [AtomicU64; Why::ALL.len()],
    moved: AtomicU64,
    waiting: AtomicUsize,
    waits: Times,
    /// How calls have ended that members no longer count: of an interval that is over, or to a member that has left.
    past: [AtomicU64; 3],
}

/// A call that nobody takes yet.
pub(crate) struct Wait {
    counts: Arc<Counts>,
    begun: Instant,
}

impl Counts {
    pub(crate) fn refused(&self, why: Why) {
        self.refused[why as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn moved(&self) {
        self.moved.fetch_add(1, Relaxed);
    }

    /// Counts a call that waits, as long as what is returned lives.
    pub(crate) fn wait(self: &Arc<Self>) -> Wait {
        self.waiting.fetch_add(1, Relaxed);
        Wait { counts: self.clone(), begun: Instant::now() }
    }

    /// Takes over what a member counts no longer.
    pub(crate) fn keep(&self, tally: Tally) {
        for (past, more) in self.past.iter().zip([tally.successes, tally.failures, tally.local]) {
            past.fetch_add(more.into(), Relaxed);
        }
    }

    pub(crate) fn refusals(&self, why: Why) -> u64 {
        self.refused[why as usize].load(Relaxed)
    }

    pub(crate) fn moves(&self) -> u64 {
        self.moved.load(Relaxed)
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    pub(crate) fn waits(&self) -> TimesSnapshot {
        self.waits.snapshot()
    }

    /// Successes, failures, and calls without an answer that were [kept](Self::keep).
    pub(crate) fn past(&self) -> [u64; 3] {
        [0, 1, 2].map(|which: usize| self.past[which].load(Relaxed))
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.counts.waiting.fetch_sub(1, Relaxed);
        self.counts.waits.record(Instant::now().saturating_duration_since(self.begun));
    }
}

impl fmt::Debug for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused = Why::ALL.map(|why| self.refusals(why));
        f.debug_struct("Counts")
            .field("refused", &refused)
            .field("moved", &self.moves())
            .finish_non_exhaustive()
    }
}
