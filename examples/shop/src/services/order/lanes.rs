//! One at a time through the saga of an order.
//!
//! The rows would stand two: each step is a compare-and-set, and each call idempotent. But sixty-four requests with
//! one key would then ask the bank sixty-four times for what one of them can find out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

#[derive(Clone, Default)]
pub(super) struct Lanes(Arc<Mutex<HashMap<String, Arc<Semaphore>>>>);

impl Lanes {
    /// Waits until nobody else is in the lane of this order.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves the queue, and the lane if it was in it.
    pub(super) async fn enter(&self, order: &str) -> Turn {
        let lane =
            Arc::clone(self.lanes().entry(order.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(1))));
        // The guard is made before the wait, so that a waiter who leaves takes an empty lane along.
        let mut turn = Turn { lanes: self.clone(), order: order.to_owned(), permit: None };
        turn.permit = lane.acquire_owned().await.ok();
        turn
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<String, Arc<Semaphore>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A turn in a lane, over when it is dropped.
pub(super) struct Turn {
    lanes: Lanes,
    order: String,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.permit = None;
        let mut lanes = self.lanes.lanes();
        // Every permit and every waiter holds the lane; the map alone means that nobody does.
        if lanes.get(&self.order).is_some_and(|lane| Arc::strong_count(lane) == 1) {
            lanes.remove(&self.order);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test(start_paused = true)]
    async fn one_at_a_time_and_nothing_left() {
        let lanes = Lanes::default();
        let first = lanes.enter("o1").await;
        lanes.enter("o2").await;
        assert!(timeout(Duration::from_secs(1), lanes.enter("o1")).await.is_err());
        drop(first);
        assert!(timeout(Duration::from_secs(1), lanes.enter("o1")).await.is_ok());
        assert!(lanes.lanes().is_empty());
    }
}
