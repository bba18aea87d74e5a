use crate::circuit::{Circuit, NEVER};
use crate::machine::Outcome;
use crate::word::Word;
use bartizan_core::{Permit, Verdict};
use std::fmt;
use std::sync::Arc;

/// The generation in which a call was admitted, which probe it is, and whether it is timed, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pass(u64);

impl Pass {
    /// Probes are numbered below this, which stands for no probe.
    pub(crate) const PROBES: u16 = 0x7fff;
    const TIMED: u64 = 0x8000;
    /// Of a call that counts nowhere.
    pub(crate) const UNCOUNTED: Self = Self(!Self::TIMED);

    /// The pass of a call that the circuit admits while its word is this.
    #[inline]
    pub(crate) fn of(word: Word) -> Self {
        let timed = if word.is_timed() { Self::TIMED } else { 0 };
        Self(word.generation() << 16 | timed | u64::from(Self::PROBES))
    }

    pub(crate) const fn of_probe(self, probe: u16) -> Self {
        Self(self.0 & !(Self::PROBES as u64) | probe as u64)
    }

    #[inline]
    pub(crate) const fn generation(self) -> u64 {
        self.0 >> 16
    }

    #[inline]
    pub(crate) fn probe(self) -> Option<u16> {
        let probe = self.0 as u16 & Self::PROBES;
        (probe != Self::PROBES).then_some(probe)
    }

    #[inline]
    const fn is_timed(self) -> bool {
        self.0 & Self::TIMED != 0
    }

    /// Neither a probe nor timed: nobody needs to hear of the head of its answer.
    #[inline]
    const fn is_plain(self) -> bool {
        self.0 as u16 == Self::PROBES
    }
}

/// Permit of a request that the circuit let through. Dropped unrecorded, it counts as nothing, and a probe gives its place back.
pub struct Ticket {
    circuit: Arc<Circuit>,
    pass: Pass,
    /// When the call began, or [`NEVER`] where that does not matter; once it was answered, [`SLOW`] or [`NEVER`].
    started: u64,
}

const SLOW: u64 = NEVER - 1;

impl Ticket {
    #[inline]
    pub(crate) fn new(circuit: Arc<Circuit>, pass: Pass) -> Self {
        let started = if pass.is_timed() { circuit.now() } else { NEVER };
        Self { circuit, pass, started }
    }
}

// The cold parts take and return words: a pointer to the ticket would keep it out of the registers on the good path.

/// Notes the head of the answer, and returns whether the call was slow.
#[cold]
fn head_came(circuit: &Circuit, pass: Pass, started: u64) -> u64 {
    if let Some(probe) = pass.probe() {
        circuit.answered(pass.generation(), probe);
    }
    if started != NEVER && circuit.is_slow(started) { SLOW } else { NEVER }
}

#[cold]
fn record_aloud(circuit: &Circuit, pass: Pass, slow: bool, verdict: Verdict) {
    let (generation, probe) = (pass.generation(), pass.probe());
    if pass != Pass::UNCOUNTED && (verdict != Verdict::Ignored || probe.is_some()) {
        circuit.record(Outcome { generation, probe, verdict, slow, successes: 0 }, circuit.now());
    }
}

impl Permit for Ticket {
    #[inline]
    fn answered(&mut self) {
        if !self.pass.is_plain() {
            self.started = head_came(&self.circuit, self.pass, self.started);
        }
    }

    #[inline]
    fn record(&mut self, verdict: Verdict) {
        let slow = self.started == SLOW;
        let good = verdict == Verdict::Success && !slow;
        if !(good && self.circuit.counts_quietly(self.pass.generation())) {
            record_aloud(&self.circuit, self.pass, slow, verdict);
            self.pass = Pass::UNCOUNTED;
        }
    }
}

impl Drop for Ticket {
    #[inline]
    fn drop(&mut self) {
        if let Some(probe) = self.pass.probe() {
            self.circuit.abandon(self.pass.generation(), probe);
        }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("pass", &self.pass).finish_non_exhaustive()
    }
}
