//! The book, and those who wait before it.

use super::book::Book;
use super::no::No;
use super::query::Ask;
use crate::parts::serve::Stop;
use http::StatusCode;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, sleep_until};

/// How many questions wait at once.
const PLACES: usize = 512;

/// Clones share the book.
#[derive(Clone, Debug)]
pub(super) struct Desk {
    shared: Arc<Shared>,
    stop: watch::Receiver<Stop>,
}

#[derive(Debug)]
struct Shared {
    book: Mutex<Book>,
    changed: watch::Sender<()>,
    places: Semaphore,
    dice: Mutex<fastrand::Rng>,
}

impl Desk {
    /// Whoever waits is answered as soon as it is to stop.
    pub(super) fn new(stop: watch::Receiver<Stop>) -> Self {
        let shared = Shared {
            book: Mutex::default(),
            changed: watch::Sender::default(),
            places: Semaphore::new(PLACES),
            dice: Mutex::new(fastrand::Rng::with_seed(9)),
        };
        Self { shared: Arc::new(shared), stop }
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Book, Instant) -> T) -> T {
        let changed = change(&mut self.book(), Instant::now());
        self.shared.changed.send_replace(());
        changed
    }

    /// Reads when there is something newer than is known, or when the wait is over. The wait is made longer by up to a
    /// sixteenth, so that questions that were asked together do not come again together.
    ///
    /// # Errors
    ///
    /// 429 when too many wait.
    pub(super) async fn read<T>(
        &self,
        ask: &Ask,
        index: impl Fn(&Book) -> u64,
        read: impl FnOnce(&Book) -> T,
    ) -> Result<(u64, T), No> {
        if ask.index > 0 {
            self.news(ask, &index).await?;
        }
        let book = self.book();
        Ok((index(&book), read(&book)))
    }

    async fn news(&self, ask: &Ask, index: impl Fn(&Book) -> u64) -> Result<(), No> {
        let crowded =
            |_| No::new(StatusCode::TOO_MANY_REQUESTS, "Too many blocking queries: ask again later");
        let _place = self.shared.places.try_acquire().map_err(crowded)?;
        let mut changes = self.shared.changed.subscribe();
        let news = async {
            while index(&self.book()) <= ask.index {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        let jitter = self.shared.dice.lock().unwrap_or_else(PoisonError::into_inner).f64() / 16.0;
        let mut stop = self.stop.clone();
        tokio::select! {
            () = news => {}
            () = sleep(ask.wait + ask.wait.mul_f64(jitter)) => {}
            _ = stop.wait_for(|stop| *stop != Stop::Not) => {}
        }
        Ok(())
    }

    /// Has time pass in the book, as long as the runtime runs.
    pub(super) async fn keep(self) {
        let mut changes = self.shared.changed.subscribe();
        loop {
            let due = self.book().due();
            let due = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = due => self.change(Book::expire),
                _ = changes.changed() => {}
            }
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.shared.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
