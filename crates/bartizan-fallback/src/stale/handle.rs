use super::counts::Snapshot;
use super::key::Keys;
use super::shared::Shared;
use super::value::Stale;
use bartizan_http::http::Uri;
use std::fmt;
use std::sync::Arc;

/// Watches and steers a layer of the last good answers from outside. Its clones, and the layer, see the same state.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    keys: Keys,
}

impl Handle {
    pub(crate) const fn new(shared: Arc<Shared>, keys: Keys) -> Self {
        Self { shared, keys }
    }

    /// The name that the layer was given.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.shared.name()
    }

    /// What is kept, and what was counted so far. It looks at all that is kept.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.shared.snapshot()
    }

    /// The value in force.
    #[must_use]
    pub fn value(&self) -> Stale {
        Stale::clone(&self.shared.value())
    }

    /// Puts a new value in place. Answers stay, as far as the new bounds let them; a read under way keeps the old value. The seed is not looked
    /// at.
    pub fn update(&self, value: Stale) {
        self.shared.update(value);
    }

    /// Switches the layer on, with the settings that it has.
    pub fn enable(&self) {
        self.shared.switch(true);
    }

    /// Switches the layer off: reads go out as they come. What is kept stays.
    pub fn disable(&self) {
        self.shared.switch(false);
    }

    /// Forgets all answers. What is under way is not kept either.
    pub fn purge(&self) {
        self.shared.purge();
    }

    /// Forgets the answers to a target, of both methods and whatever else their keys have; without an authority those of all hosts, with
    /// one those of both schemes. It looks at all keys.
    pub fn forget(&self, uri: &Uri) {
        self.shared.store.forget(&self.keys.target(uri));
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
