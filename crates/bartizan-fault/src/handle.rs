use crate::board::Board;
use crate::{Fault, FaultId, Faults, Snapshot};
use bartizan_core::Name;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Injects and lifts faults while the layer is at work. Its clones, and the layer, see the same state.
#[derive(Clone)]
pub struct Handle {
    pub(crate) board: Arc<Board>,
}

impl Handle {
    /// The name that the layer was given.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.board.name().map(Name::as_str)
    }

    /// Injects a fault into the calls that begin from now on.
    ///
    /// # Errors
    ///
    /// When the layer is not [enabled](Faults::enabled); nothing is changed.
    pub fn inject(&self, fault: Fault) -> Result<FaultId, NotEnabled> {
        self.board.inject(fault).ok_or(NotEnabled(()))
    }

    /// Lifts a fault; false when there is none with this id any more. Calls that it has hit already go on as they are: a
    /// call that hangs goes on hanging.
    #[allow(clippy::must_use_candidate, reason = "who lifts a fault may not care whether its time was over")]
    pub fn lift(&self, id: FaultId) -> bool {
        self.board.lift(id)
    }

    /// Lifts all faults.
    pub fn clear(&self) {
        self.board.clear();
    }

    /// Puts the faults and the seed of a new value in the place of all that there are. Counts stay.
    ///
    /// # Errors
    ///
    /// When the layer is not [enabled](Faults::enabled) and the value has faults; nothing is changed. The switch of the value is
    /// not looked at: it is the layer's for good.
    pub fn update(&self, value: Faults) -> Result<(), NotEnabled> {
        if !self.board.is_enabled() && !value.faults.is_empty() {
            return Err(NotEnabled(()));
        }
        self.board.replace(value.faults, value.seed);
        Ok(())
    }

    /// The faults whose time is not over, in the order in which they were injected.
    #[must_use]
    pub fn faults(&self) -> Vec<(FaultId, Fault)> {
        self.board.faults()
    }

    /// What was counted so far.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.board.counts.snapshot(self.board.alive())
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("name", &self.name())
            .field("snapshot", &self.snapshot())
            .finish_non_exhaustive()
    }
}

/// The layer was created without the switch that lets it do harm: [`Faults::enabled`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotEnabled(());

impl fmt::Display for NotEnabled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("faults are not enabled on this layer")
    }
}

impl Error for NotEnabled {}
