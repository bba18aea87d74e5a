use bartizan_limit::{Ask, Asking, Store, Told};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// A store of limits that lets everybody through, until it is told to let nobody through for an hour.
#[derive(Clone, Debug, Default)]
pub struct Fickle(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    closed: AtomicBool,
    asked: AtomicUsize,
}

impl Fickle {
    /// Creates one that lets everybody through.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets nobody through from now on.
    pub fn close(&self) {
        self.0.closed.store(true, Relaxed);
    }

    /// How often it was asked.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.0.asked.load(Relaxed)
    }
}

impl Store for Fickle {
    fn ask(&self, _: Ask<'_>) -> Asking {
        self.0.asked.fetch_add(1, Relaxed);
        let hour = Duration::from_secs(3600);
        let told =
            if self.0.closed.load(Relaxed) { Told { wait: hour, debt: hour } } else { Told::default() };
        Box::pin(async move {
            // As a store is, it is not there at once.
            tokio::task::yield_now().await;
            Ok(told)
        })
    }

    fn time_out(&self) -> Duration {
        Duration::from_secs(20)
    }
}
