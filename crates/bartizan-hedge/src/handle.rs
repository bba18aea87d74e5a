use crate::counts::Snapshot;
use crate::hedge::Hedge;
use crate::shared::Shared;
use bartizan_core::Purse;
use std::fmt;
use std::sync::Arc;

/// Watches and steers a hedge layer from outside. Its clones, and the layer, see the same state.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        shared.watch();
        Self { shared }
    }

    /// The name that the layer was given.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.shared.name()
    }

    /// What was counted and learnt so far.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.shared.snapshot()
    }

    /// The layer's own purse.
    #[must_use]
    pub fn purse(&self) -> &Purse {
        &self.shared.own
    }

    /// Puts a new value in place. A copy that was sent runs on. Counts and latencies stay, and so do the
    /// tokens of the layer's own purse, as far as the new value's budget allows.
    pub fn update(&self, value: Hedge) {
        self.shared.update(value);
    }

    /// Switches the layer on, with the settings that it has.
    pub fn enable(&self) {
        self.shared.switch(true);
    }

    /// Switches the layer off: no further copies are sent.
    pub fn disable(&self) {
        self.shared.switch(false);
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
