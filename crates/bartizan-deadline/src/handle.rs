use crate::Deadline;
use crate::counts::Snapshot;
use crate::shared::Shared;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Watches and steers a deadline layer from outside. Its clones, and the layer, see the same state.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        shared.settings.watch();
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

    /// The time below which few calls ended lately. `None` while [`learn`](Deadline::learn) has not seen enough of them.
    #[must_use]
    pub fn learnt(&self) -> Option<Duration> {
        self.shared.learnt()
    }

    /// What the layer is set to, from which a part is changed: `handle.update(handle.value().enabled(true))`.
    #[must_use]
    pub fn value(&self) -> Deadline {
        self.shared.value()
    }

    /// Bounds calls from now on, if it was switched off.
    pub fn enable(&self) {
        let _always = self.shared.switch(true);
    }

    /// Passes every call on untouched from now on.
    pub fn disable(&self) {
        let _always = self.shared.switch(false);
    }

    /// Puts a new value in place for the calls that begin from now on. Counts and what was learnt stay.
    pub fn update(&self, value: impl Into<Deadline>) {
        let value = value.into();
        let _always = self.shared.change(|_| Ok(value));
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
