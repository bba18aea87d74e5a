use crate::Trace;
use crate::shared::Shared;
use std::fmt;
use std::sync::Arc;

/// Watches and steers a trace layer from outside. Its clones, and the layer, see the same state.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

/// What a trace layer has counted since it was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Requests with a `traceparent` that did not follow its grammar, or with several: each began a trace anew.
    pub malformed: u64,
}

impl Handle {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
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
        Snapshot { malformed: self.shared.malformed_so_far() }
    }

    /// Puts a new value in place for the calls that begin from now on.
    pub fn update(&self, value: Trace) {
        self.shared.update(value);
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
