//! Goes on with orders that nobody is working on: a request gave up, a service was away, the process died.

use super::book::Book;
use super::saga::Saga;
use bartizan::trace::Job;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

const EVERY: Duration = Duration::from_millis(250);

/// Few, so that a service that has just come back is not met by all that waited for it.
const AT_ONCE: i64 = 8;

/// How long one order may take of a round.
const PATIENCE: Duration = Duration::from_secs(3);

/// The pause after the first try, doubled with each, up to the longest. Each is cut by up to a half, so that orders
/// which were held up together do not come again together.
const PAUSE_MS: i64 = 1_000;
const LONGEST_PAUSE_MS: i64 = 4_000;

/// Runs as long as the runtime it is spawned on.
pub(super) async fn run(book: Book, saga: Saga) {
    let mut rounds = interval(EVERY);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        loop {
            match round(&book, &saga).await {
                // A full round has left some over.
                Ok(AT_ONCE..) => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "the sweeper could not read the book");
                    break;
                }
            }
        }
    }
}

/// Brings on what is due, and returns how many orders that were.
async fn round(book: &Book, saga: &Saga) -> sqlx::Result<i64> {
    let mut orders = JoinSet::new();
    for (id, tries) in book.due(AT_ONCE).await? {
        let pause = PAUSE_MS.saturating_mul(1 << tries.clamp(0, 8)).min(LONGEST_PAUSE_MS);
        book.put_off(&id, tries + 1, fastrand::i64(pause / 2..=pause)).await?;
        let saga = saga.clone();
        orders.spawn(Job::new("sweep").run(async move {
            match saga.advance(&id, Instant::now() + PATIENCE).await {
                Ok(entry) => {
                    tracing::info!(order = id, step = ?entry.order.step, tries = entry.tries, "swept");
                }
                Err(error) => tracing::warn!(order = id, %error, "an order could not be swept"),
            }
        }));
    }
    Ok(orders.join_all().await.len() as i64)
}
