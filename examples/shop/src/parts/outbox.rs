//! Events that are on their way to the bus. They are put in with the change that they tell, so that neither is without
//! the other; a relay publishes them in their order, and deletes what the bus has confirmed.
//!
//! A relay that dies in between publishes again, under the same id. A bus that is away loses nothing: the rows stay,
//! however long it takes, and are never dead letters, for nobody has refused them.

use super::bus::{Bus, Message};
use super::clock::now_ms;
use super::id;
use super::store::{Change, Statement, Store};
use serde::Serialize;
use sqlx::{AssertSqlSafe, Row};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

/// Of the store whose changes it tells.
pub const TABLE: &str = "CREATE TABLE IF NOT EXISTS outbox (
    id VARCHAR(40) PRIMARY KEY,
    topic VARCHAR(40) NOT NULL,
    payload TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    tries BIGINT NOT NULL
)";

/// How many events are published at once.
const BATCH: i64 = 64;

/// How long the relay waits after a commit for others that come right behind it, and go out in the same batch.
const GATHER: Duration = Duration::from_millis(10);

/// How often an outbox is looked at that nobody has put anything into: another process may have.
const POLL: Duration = Duration::from_millis(500);

/// The pause after the first failure, doubled with each up to the fifth.
const PAUSE_MS: i64 = 100;
const DOUBLINGS: i64 = 5;

/// Clones share the table.
#[derive(Clone, Debug)]
pub struct Outbox {
    store: Store,
    committed: Arc<Notify>,
}

/// What a round has left.
#[derive(Debug, Eq, PartialEq)]
enum Left {
    Nothing,
    More,
    /// Events that are not to be tried for so long.
    Pause(Duration),
}

impl Outbox {
    /// `store` has [`TABLE`].
    pub fn new(store: Store) -> Self {
        Self { store, committed: Arc::default() }
    }

    /// Puts an event into a change, with an id that it keeps.
    pub async fn put(
        &self,
        change: &mut Change,
        topic: &'static str,
        event: &impl Serialize,
    ) -> sqlx::Result<()> {
        let payload = serde_json::to_string(event).map_err(|why| sqlx::Error::Encode(why.into()))?;
        let insert = sqlx::query(
            "INSERT INTO outbox (id, topic, payload, created_at, due_at, tries) VALUES ($1, $2, $3, $4, $5, 0)",
        );
        let (insert, now) = (insert.bind(id::new()).bind(topic).bind(payload), now_ms());
        insert.bind(now).bind(now).execute(&mut **change).await.map(drop)
    }

    /// Wakes the relay, after a commit.
    pub fn wake(&self) {
        self.committed.notify_one();
    }

    /// Publishes what is put in, as long as the runtime runs.
    pub async fn relay(self, bus: Bus) {
        loop {
            let pause = match self.round(&bus, now_ms()).await {
                Ok(Left::More) => continue,
                Ok(Left::Pause(pause)) => pause,
                Ok(Left::Nothing) => {
                    let _ = timeout(POLL, self.committed.notified()).await;
                    GATHER
                }
                Err(error) => {
                    tracing::warn!(%error, "the outbox does not answer");
                    POLL
                }
            };
            sleep(pause).await;
        }
    }

    /// Publishes the oldest events. While the first of them is put off, so are the others: they keep their order.
    async fn round(&self, bus: &Bus, now: i64) -> sqlx::Result<Left> {
        let rows = sqlx::query(
            "SELECT id, topic, payload, created_at, due_at, tries FROM outbox ORDER BY id LIMIT $1",
        );
        let rows = rows.bind(BATCH).fetch_all(self.store.pool()).await?;
        let Some(first) = rows.first() else { return Ok(Left::Nothing) };
        let (due_at, tries): (i64, i64) = (first.try_get(4)?, first.try_get(5)?);
        if due_at > now {
            return Ok(Left::Pause(pause(due_at - now)));
        }
        let messages = rows.iter().map(Message::read).collect::<sqlx::Result<Vec<_>>>()?;
        let ids: Vec<_> = messages.iter().map(|message| message.id.clone()).collect();
        let full = ids.len() as i64 == BATCH;
        match bus.publish(messages).await {
            Ok(()) => {
                self.delete(&ids).await?;
                Ok(if full { Left::More } else { Left::Nothing })
            }
            Err(trouble) => {
                let pause_ms = PAUSE_MS << tries.clamp(0, DOUBLINGS);
                tracing::warn!(%trouble, tries, "the bus has confirmed nothing");
                self.put_off(&ids, tries + 1, now + pause_ms).await?;
                Ok(Left::Pause(pause(pause_ms)))
            }
        }
    }

    async fn delete(&self, ids: &[String]) -> sqlx::Result<()> {
        let delete = format!("DELETE FROM outbox WHERE id IN ({})", places(1, ids.len()));
        let delete = sqlx::query(AssertSqlSafe(delete));
        self.store.execute(ids.iter().fold(delete, Statement::bind)).await.map(drop)
    }

    async fn put_off(&self, ids: &[String], tries: i64, due_at: i64) -> sqlx::Result<()> {
        let update =
            format!("UPDATE outbox SET tries = $1, due_at = $2 WHERE id IN ({})", places(3, ids.len()));
        let update = sqlx::query(AssertSqlSafe(update)).bind(tries).bind(due_at);
        self.store.execute(ids.iter().fold(update, Statement::bind)).await.map(drop)
    }
}

/// `$1, $2, $3`
fn places(first: usize, many: usize) -> String {
    (first..first + many).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ")
}

/// Never longer than the longest, whatever became of the clock.
fn pause(ms: i64) -> Duration {
    Duration::from_millis(ms.clamp(0, PAUSE_MS << DOUBLINGS).unsigned_abs())
}

#[cfg(test)]
mod tests;
