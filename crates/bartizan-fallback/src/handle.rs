use crate::counts::Snapshot;
use crate::fallback::Fallback;
use crate::shared::Shared;
use std::fmt;
use std::sync::Arc;

/// Watches and steers a fallback layer from outside. Its clones, and the layer, see the same state.
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
        self.shared.snapshot()
    }

    /// The value that is in place.
    #[must_use]
    pub fn value(&self) -> Fallback {
        self.shared.settings()
    }

    /// Puts a new value in place. Counts stay, and what takes the place of failures as well. A call under way is judged by the new
    /// value when it fails.
    pub fn update(&self, value: Fallback) {
        self.shared.update(value);
    }

    /// Switches the layer on, with the settings that it has.
    pub fn enable(&self) {
        self.shared.switch(true);
    }

    /// Switches the layer off: failures of calls that begin from now on are left as they are.
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
