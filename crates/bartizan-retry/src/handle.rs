use crate::counts::Snapshot;
use crate::retry::Retry;
use crate::shared::Shared;
use bartizan_core::Purse;
use std::fmt;
use std::sync::Arc;

/// Watches and steers a retry layer from outside. Its clones, and the layer, see the same state.
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

    /// What was counted so far.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.shared.counts.snapshot()
    }

    /// The purse that pays for retries.
    #[must_use]
    pub fn purse(&self) -> &Purse {
        &self.shared.purse
    }

    /// Puts a new value in place. A call that has begun to retry keeps the old one. Counts and purse stay, so the value's budget and
    /// seed are not looked at: [`Purse::update`] changes the budget.
    pub fn update(&self, value: Retry) {
        self.shared.update(value);
    }

    /// Switches the layer on, with the settings that it has.
    pub fn enable(&self) {
        self.shared.switch(true);
    }

    /// Switches the layer off: calls go out once, and those that wait for another try get their failure when that has ended.
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
