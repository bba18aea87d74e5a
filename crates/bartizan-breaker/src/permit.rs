use crate::circuit::Circuit;
use crate::machine::Outcome;
use bartizan_core::{Permit, Verdict};
use std::fmt;
use std::sync::Arc;

/// Permit of a request that the circuit let through. Dropped unrecorded, it counts as nothing, and a probe gives its place back.
pub struct Ticket {
    circuit: Arc<Circuit>,
    generation: u64,
    /// When the call began, where that matters.
    started: u64,
    probe: Option<u32>,
    slow: bool,
}

/// The generation of calls that count nowhere.
const UNCOUNTED: u64 = u64::MAX;

impl Ticket {
    #[inline]
    pub(crate) fn admitted(circuit: Arc<Circuit>, generation: u64, started: u64) -> Self {
        Self { circuit, generation, started, probe: None, slow: false }
    }

    pub(crate) fn probe(circuit: Arc<Circuit>, generation: u64, started: u64, probe: u32) -> Self {
        Self { circuit, generation, started, probe: Some(probe), slow: false }
    }

    pub(crate) fn uncounted(circuit: Arc<Circuit>) -> Self {
        Self::admitted(circuit, UNCOUNTED, u64::MAX)
    }
}

impl Permit for Ticket {
    #[inline]
    fn answered(&mut self) {
        self.slow = self.circuit.is_slow(self.started);
        if let Some(probe) = self.probe {
            self.circuit.answered(self.generation, probe);
        }
    }

    #[inline]
    fn record(&mut self, verdict: Verdict) {
        let good = verdict == Verdict::Success;
        if good && !self.slow && self.circuit.counts_quietly(self.generation) {
            return;
        }
        if self.generation == UNCOUNTED || (verdict == Verdict::Ignored && self.probe.is_none()) {
            return;
        }
        let probe = self.probe.take();
        let outcome = Outcome { generation: self.generation, probe, verdict, slow: self.slow, successes: 0 };
        self.circuit.record(outcome, good, self.circuit.now());
    }
}

impl Drop for Ticket {
    #[inline]
    fn drop(&mut self) {
        if let Some(probe) = self.probe {
            self.circuit.abandon(self.generation, probe);
        }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { generation, probe, .. } = self;
        f.debug_struct("Ticket").field("generation", generation).field("probe", probe).finish_non_exhaustive()
    }
}
