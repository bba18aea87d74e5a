//! Policies of the rows, wired by the guard.

use bartizan_core::{Admit, Kind, Permit, Reason, Refused, Refusing, Verdict};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

const FULL: Reason = Reason::new("limit", Kind::Exhausted, "full");

/// Admits so many at a time.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    most: u64,
    held: Arc<AtomicU64>,
}

impl Limit {
    pub(crate) fn new(most: u64) -> Self {
        Self { most, held: Arc::default() }
    }

    pub(crate) fn held(&self) -> u64 {
        self.held.load(SeqCst)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.held() >= self.most
    }
}

impl<Req> Admit<Req> for Limit {
    type Permit = Held;

    fn refusing(&self) -> Option<Refusing> {
        self.is_full().then(Refusing::default)
    }

    fn admit(&self, _: &Req) -> Result<Held, Refusing> {
        if self.is_full() {
            return Err(Refusing::default());
        }
        self.held.fetch_add(1, SeqCst);
        Ok(Held(self.held.clone()))
    }

    fn refuse(&self, _: Refusing) -> Refused {
        Refused::new(&FULL)
    }
}

#[derive(Debug)]
pub(crate) struct Held(Arc<AtomicU64>);

impl Permit for Held {
    fn record(&mut self, _: Verdict) {}
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}
