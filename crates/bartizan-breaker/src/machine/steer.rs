//! What people do to a circuit.

use super::{Machine, Phase};
use crate::breaker::Mode;
use crate::state::{Cause, Change, State};
use crate::{ImpossibleChange, nanos};
use std::time::Duration;

impl Machine {
    /// Sets what is done with what is known. Calls under way are of another generation then, and probes give their places back.
    pub(crate) fn set_mode(&mut self, mode: Mode) -> Option<Change> {
        if self.mode == mode {
            return None;
        }
        let change = self.change(|machine| {
            machine.mode = mode;
            if let Phase::HalfOpen(probes) = &mut machine.phase {
                probes.recall();
            }
        });
        (change.from != change.to).then_some(change)
    }

    /// The same, and says whether that changed nothing but the mode.
    pub(crate) fn steer(&mut self, mode: Mode) -> (bool, Option<Change>) {
        let is_another = self.mode != mode;
        let change = self.set_mode(mode);
        (is_another && change.is_none(), change)
    }

    /// Opens the circuit for a while, whatever it has seen; afterwards it probes.
    pub(crate) fn force_open_for(&mut self, pause: Duration, now: u64) -> Option<Change> {
        let change = self.change(|machine| {
            if machine.mode != Mode::Shadow {
                machine.mode = Mode::Normal;
            }
            (machine.rule, machine.cause) = (None, Some(Cause::Forced));
            machine.phase = Phase::Open { until: now.saturating_add(nanos(pause)) };
        });
        (change.from != change.to).then(|| change.pausing(self.refusing_until(), now))
    }

    /// Turns an open circuit half-open before its time.
    pub(crate) fn half_open(&mut self) -> Result<Option<Change>, ImpossibleChange> {
        match self.state() {
            State::HalfOpen => Ok(None),
            State::Open => Ok(Some(self.change(|machine| machine.phase = Phase::HalfOpen(Box::default())))),
            from => Err(ImpossibleChange { from, to: State::HalfOpen }),
        }
    }

    /// Closes the circuit and forgets all that was seen, escalation included.
    pub(crate) fn reset(&mut self) -> Option<Change> {
        let change = self.change(|machine| {
            if machine.mode == Mode::ForcedOpen {
                machine.mode = Mode::Normal;
            }
            machine.forget();
            machine.recovered();
            machine.cause = None;
        });
        (change.from != change.to).then_some(change)
    }
}
