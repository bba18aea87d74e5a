//! How a store is, as those who use it have found it: for who watches.

use super::trouble::{is_full, is_locked};
use bartizan::core::Instant;
use bartizan::core::registry::{self, Observed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long it is told of what was found.
const TOLD: Duration = Duration::from_secs(3);

/// A read or a commit that takes longer is slow.
const SLOW: Duration = Duration::from_millis(250);

/// What was found last that is not as it should be.
#[derive(Debug)]
pub(super) struct Condition {
    name: String,
    found: Mutex<Option<(&'static str, Instant)>>,
}

impl Condition {
    /// Registers the store of an instance.
    pub(super) fn new(name: &str) -> Arc<Self> {
        let condition = Arc::new(Self { name: name.to_owned(), found: Mutex::default() });
        let observed: Arc<dyn Observed> = condition.clone();
        registry::register(&observed);
        condition
    }

    /// Notes what came of a read or a commit that began then.
    pub(super) fn note<T>(&self, outcome: &sqlx::Result<T>, began: Instant) {
        match outcome {
            Ok(_) if Instant::now().saturating_duration_since(began) >= SLOW => self.finds("slow"),
            Ok(_) => {}
            Err(error) => self.failed(error),
        }
    }

    /// Notes that something has failed. What is wrong with a statement is not the store's fault.
    pub(super) fn failed(&self, error: &sqlx::Error) {
        match error {
            error if is_full(error) => self.finds("full"),
            error if is_locked(error) => self.finds("locked"),
            sqlx::Error::PoolTimedOut | sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed => {
                self.finds("failing");
            }
            _ => {}
        }
    }

    fn finds(&self, wrong: &'static str) {
        *self.found() = Some((wrong, Instant::now()));
    }

    fn found(&self) -> MutexGuard<'_, Option<(&'static str, Instant)>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observed for Condition {
    fn layer(&self) -> &'static str {
        "condition"
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn state(&self) -> &'static str {
        let told = self.found().filter(|(_, when)| Instant::now().saturating_duration_since(*when) < TOLD);
        told.map_or("well", |(wrong, _)| wrong)
    }

    fn numbers(&self, _: &mut dyn FnMut(&'static str, f64)) {}
}
