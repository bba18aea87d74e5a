//! Events that are on their way to the bus. They are put in with the change that they tell, so that neither is without
//! the other; a relay publishes them in their order, and deletes what the bus has confirmed.
//!
//! A relay that dies in between publishes again, under the same id. A bus that is away loses nothing: the rows stay,
//! however long it takes, and are never dead letters, for nobody has refused them. An event that the bus does not want,
//! too long or bound to no queue, is set aside: the others go on without it, and it is tried again now and then, for it
//! may be wanted later. Until then it stays where it is, so that an outbox which does not drain tells of it.

use super::bus::{Bus, Message, Unwanted};
use super::clock::now_ms;
use super::id;
use super::store::{Change, Statement, Store};
use super::traces::Publishing;
use bartizan::trace::TraceContext;
use serde::Serialize;
use sqlx::Row;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

/// A table of the store whose changes it tells. It has a name of its own, for several stores may be in one database.
macro_rules! table {
    ($name:literal) => {
        concat!(
            "CREATE TABLE IF NOT EXISTS ",
            $name,
            " (
    id VARCHAR(40) PRIMARY KEY,
    topic VARCHAR(40) NOT NULL,
    payload TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    tries BIGINT NOT NULL
)"
        )
    };
}
pub(crate) use table;

/// How many events are published at once.
const BATCH: i64 = 64;

/// How long the relay waits after a commit for others that come right behind it, and go out in the same batch.
const GATHER: Duration = Duration::from_millis(10);

/// How often an outbox is looked at that nobody has put anything into: another process may have.
const POLL: Duration = Duration::from_millis(500);

/// How long an event is set aside that the bus does not want.
const ASIDE_MS: i64 = 60_000;

/// The tries of an event that is set aside.
const ASIDE: i64 = -1;

/// The pause after the first failure, doubled with each up to the fifth.
const PAUSE_MS: i64 = 100;
const DOUBLINGS: i64 = 5;
const LONGEST_MS: i64 = PAUSE_MS << DOUBLINGS;

/// Clones share the table.
#[derive(Clone, Debug)]
pub struct Outbox {
    store: Store,
    table: &'static str,
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
    /// `store` has a [`table!`](table) of this name.
    pub fn new(store: Store, table: &'static str) -> Self {
        Self { store, table, committed: Arc::default() }
    }

    /// Puts an event into a change, with an id that it keeps, and says in whose trace.
    pub async fn put(
        &self,
        change: &mut Change,
        topic: &'static str,
        event: &impl Serialize,
    ) -> sqlx::Result<()> {
        let mut event = serde_json::to_value(event).map_err(|why| sqlx::Error::Encode(why.into()))?;
        if let (Some(fields), Some(caller)) = (event.as_object_mut(), TraceContext::current()) {
            fields.insert("traceparent".into(), caller.to_string().into());
        }
        let insert = change.sql(format!(
            "INSERT INTO {} (id, topic, payload, created_at, due_at, tries) VALUES ($1, $2, $3, $4, $5, 0)",
            self.table
        ));
        let (insert, now) = (insert.bind(id::new()).bind(topic).bind(event.to_string()), now_ms());
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

    /// Publishes the oldest events, but those that are set aside. While the first of them is put off, so are the others:
    /// they keep their order.
    async fn round(&self, bus: &Bus, now: i64) -> sqlx::Result<Left> {
        let rows = self.store.sql(format!(
            "SELECT id, topic, payload, created_at, due_at, tries FROM {}
             WHERE tries >= 0 OR due_at <= $1 OR due_at > $2 ORDER BY id LIMIT $3",
            self.table
        ));
        let rows = self.store.fetch_all(rows.bind(now).bind(now + ASIDE_MS).bind(BATCH)).await?;
        let Some(first) = rows.first() else { return Ok(Left::Nothing) };
        let (due_at, tries): (i64, i64) = (first.try_get(4)?, first.try_get(5)?);
        // What is put off for longer than anything is, was so before the clock was put back.
        if (1..=LONGEST_MS).contains(&(due_at - now)) {
            return Ok(Left::Pause(pause(due_at - now)));
        }
        let messages = rows.iter().map(Message::read).collect::<sqlx::Result<Vec<_>>>()?;
        let mut ids: Vec<_> = messages.iter().map(|message| message.id.clone()).collect();
        let full = ids.len() as i64 == BATCH;
        let spans = Publishing::begin(&messages);
        let published = bus.publish(messages).await;
        #[cfg(feature = "planted")]
        let published = super::planted::published(published);
        match published {
            Ok(unwanted) => {
                drop(spans);
                for Unwanted { id, why } in &unwanted {
                    tracing::error!(id, why, "the bus does not want an event, which is set aside");
                }
                let unwanted: Vec<_> = unwanted.into_iter().map(|unwanted| unwanted.id).collect();
                ids.retain(|id| !unwanted.contains(id));
                self.delete(&ids).await?;
                self.put_off(&unwanted, ASIDE, now + ASIDE_MS).await?;
                Ok(if full { Left::More } else { Left::Nothing })
            }
            Err(trouble) => {
                spans.failed();
                let pause_ms = PAUSE_MS << tries.clamp(0, DOUBLINGS);
                tracing::warn!(%trouble, tries, "the bus has confirmed nothing");
                self.put_off(&ids, tries + 1, now + pause_ms).await?;
                Ok(Left::Pause(pause(pause_ms)))
            }
        }
    }

    async fn delete(&self, ids: &[String]) -> sqlx::Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let delete = format!("DELETE FROM {} WHERE id IN ({})", self.table, places(1, ids.len()));
        let delete = self.store.sql(delete);
        self.store.execute(ids.iter().fold(delete, Statement::bind)).await.map(drop)
    }

    async fn put_off(&self, ids: &[String], tries: i64, due_at: i64) -> sqlx::Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let places = places(3, ids.len());
        let update = format!("UPDATE {} SET tries = $1, due_at = $2 WHERE id IN ({places})", self.table);
        let update = self.store.sql(update).bind(tries).bind(due_at);
        self.store.execute(ids.iter().fold(update, Statement::bind)).await.map(drop)
    }
}

/// `$1, $2, $3`
fn places(first: usize, many: usize) -> String {
    (first..first + many).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ")
}

/// Never longer than the longest, whatever became of the clock.
fn pause(ms: i64) -> Duration {
    Duration::from_millis(ms.clamp(0, LONGEST_MS).unsigned_abs())
}

#[cfg(test)]
mod tests;
