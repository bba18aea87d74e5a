//! The limit of a server stack, whatever its keys are.

use bartizan_limit::{Handle, KeyedHandle, Limit};

/// What a handle does with a limit.
pub(crate) trait Limits: Send + Sync {
    fn update(&self, limit: Limit);

    /// The handle, where there is one bucket for all.
    fn single(&self) -> Option<Handle>;
}

impl Limits for Handle {
    fn update(&self, limit: Limit) {
        Self::update(self, limit);
    }

    fn single(&self) -> Option<Handle> {
        Some(self.clone())
    }
}

impl<K> Limits for KeyedHandle<K> {
    fn update(&self, limit: Limit) {
        Self::update(self, limit);
    }

    fn single(&self) -> Option<Handle> {
        None
    }
}
