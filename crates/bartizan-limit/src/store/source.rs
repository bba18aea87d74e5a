use super::health::Health;
use super::{Ask, Store, StoreError, Told, Verb};
use crate::event;
use crate::limit::Limit;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The store of a limit, and what is known of it.
#[derive(Debug)]
pub(crate) struct Source {
    store: Box<dyn Store>,
    health: Health,
    unanswered: AtomicU64,
}

/// What the store is asked, without its limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    pub(crate) bucket: u128,
    pub(crate) cost: u32,
    pub(crate) verb: Verb,
}

impl Source {
    pub(crate) fn new(store: Box<dyn Store>) -> Self {
        Self { store, health: Health::default(), unanswered: AtomicU64::new(0) }
    }

    /// Whether there is any sense in asking at `now`.
    pub(crate) fn may_be_asked(&self, now: u64) -> bool {
        self.health.may_ask(now)
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.health.is_gone()
    }

    /// Questions without an answer so far.
    pub(crate) fn unanswered(&self) -> u64 {
        self.unanswered.load(Relaxed)
    }

    /// Asks the store; `None` if it gives no answer in time, which is the store's, or less for one who has less patience. That such a one
    /// had none says nothing of the store, nor that one is dropped.
    pub(crate) async fn ask(
        &self,
        name: &str,
        limit: Limit,
        wish: Wish,
        patience: Duration,
        clock: impl Fn() -> u64,
    ) -> Option<Told> {
        let Wish { bucket, cost, verb } = wish;
        let ask = Ask { name, bucket, interval: limit.interval(), burst: limit.max_burst(), cost, verb };
        let time_out = self.store.time_out();
        let told = match tokio::time::timeout(time_out.min(patience), self.store.ask(ask)).await {
            Ok(told) => told,
            Err(_) if patience < time_out => return None,
            Err(_) => Err(StoreError::new("it took too long")),
        };
        match told {
            Ok(told) => {
                if self.health.answered() {
                    event::tell_store_back(name);
                }
                Some(told)
            }
            Err(error) => {
                self.unanswered.fetch_add(1, Relaxed);
                if self.health.failed(clock()) {
                    event::tell_store_gone(name, &error);
                }
                None
            }
        }
    }
}
