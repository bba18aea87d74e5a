use std::sync::atomic::{AtomicUsize, Ordering};

/// Those who wait.
#[derive(Debug)]
pub(crate) struct Waiters {
    count: AtomicUsize,
}

impl Waiters {
    pub(crate) fn new() -> Self {
        Self { count: AtomicUsize::new(0) }
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Lets those whose turn is next look again.
    pub(crate) fn rouse(&self) {}
}
