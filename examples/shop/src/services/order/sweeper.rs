//! Goes on with orders that nobody is working on: a request gave up, a service was away, the process died.

use super::book::Book;
use super::saga::Saga;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

const EVERY: Duration = Duration::from_millis(500);
const AT_ONCE: i64 = 16;

/// How long one order may take of a round.
const PATIENCE: Duration = Duration::from_secs(3);

/// The pause after the first try, doubled with each, up to the longest.
const PAUSE_MS: i64 = 1_000;
const LONGEST_PAUSE_MS: i64 = 8_000;

/// Runs as long as the runtime it is spawned on.
pub(super) async fn run(book: Book, saga: Saga) {
    let mut rounds = interval(EVERY);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        if let Err(error) = round(&book, &saga).await {
            tracing::warn!(%error, "the sweeper could not read the book");
        }
    }
}

async fn round(book: &Book, saga: &Saga) -> sqlx::Result<()> {
    let mut orders = JoinSet::new();
    for (id, tries) in book.due(AT_ONCE).await? {
        let pause = PAUSE_MS.saturating_mul(1 << tries.clamp(0, 8)).min(LONGEST_PAUSE_MS);
        book.put_off(&id, tries + 1, pause).await?;
        let saga = saga.clone();
        orders.spawn(async move {
            match saga.advance(&id, PATIENCE).await {
                Ok(entry) => {
                    tracing::info!(order = id, step = ?entry.order.step, tries = entry.tries, "swept");
                }
                Err(error) => tracing::warn!(order = id, %error, "an order could not be swept"),
            }
        });
    }
    orders.join_all().await;
    Ok(())
}
