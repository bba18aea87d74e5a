//! A durable queue for each consumer, in one SQLite file of the data folder that all services share.
//!
//! A message is stored when [`publish`](Bus::publish) returns, in every queue that is bound to its topic. It is
//! delivered at least once: taken under a lease, and deleted when it is acknowledged. Who dies with a message gives it
//! back by time; one that was delivered five times in vain is a dead letter, with the reason beside it.

mod consumer;
mod delivery;
mod gate;
mod publish;
#[cfg(test)]
mod tests;

pub use consumer::Unhandled;
pub use gate::{Gate, Trouble, Work};

use super::failure::Failure;
use super::store::{Store, is_taken};
use sqlx::Row;
use sqlx::any::AnyRow;
use std::path::Path;
use std::time::Duration;

/// How long a message is handled before that is given up.
const ATTEMPT: Duration = Duration::from_secs(2);

const TABLES: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS messages (
        queue VARCHAR(40),
        id VARCHAR(40),
        topic VARCHAR(40),
        payload TEXT,
        created_at BIGINT,
        due_at BIGINT,
        tries BIGINT,
        PRIMARY KEY (queue, id)
    )",
    "CREATE TABLE IF NOT EXISTS dead_letters (
        queue VARCHAR(40),
        id VARCHAR(40),
        topic VARCHAR(40),
        payload TEXT,
        reason TEXT,
        died_at BIGINT,
        PRIMARY KEY (queue, id)
    )",
    "CREATE TABLE IF NOT EXISTS bindings (
        queue VARCHAR(40),
        pattern VARCHAR(40),
        PRIMARY KEY (queue, pattern)
    )",
];

/// Clones share the connections.
#[derive(Clone, Debug)]
pub struct Bus {
    store: Store,
    gate: Gate,
}

/// Something that has happened. Two messages of one id are the same one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    pub id: String,
    pub topic: String,
    pub payload: String,
    pub created_at: i64,
}

impl Bus {
    /// Opens `<folder>/bus.db`, and binds queues to topics. In a pattern `*` stands for one word: `order.*`.
    ///
    /// # Errors
    ///
    /// As [`Store::open`].
    pub async fn open(folder: &Path, bindings: &[(&'static str, &'static str)]) -> Result<Self, Failure> {
        let store = Store::open(folder, "bus", &TABLES).await?;
        let bound = bind(&store, bindings).await;
        bound.map_err(|why| Failure::new(format!("the queues of the bus cannot be bound: {why}.")))?;
        Ok(Self { store, gate: Gate::default() })
    }

    /// Has what is published and taken pass a gate.
    pub fn behind(self, gate: Gate) -> Self {
        Self { gate, ..self }
    }

    /// The file itself, for a test that locks it.
    #[cfg(test)]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Waits until nothing waits in a queue any more.
    #[cfg(test)]
    pub async fn drained(&self, queue: &'static str) {
        let waiting = "SELECT id FROM messages WHERE queue = $1";
        let drained = async {
            while sqlx::query(waiting).bind(queue).fetch_optional(self.store.pool()).await.unwrap().is_some()
            {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), drained).await.expect("the queue drains");
    }
}

/// Binds what is not bound yet. What was bound before stays so: another service may know of queues that this one does
/// not.
async fn bind(store: &Store, bindings: &[(&'static str, &'static str)]) -> sqlx::Result<()> {
    let insert = "INSERT INTO bindings (queue, pattern) VALUES ($1, $2)";
    for (queue, pattern) in bindings {
        let bound = sqlx::query("SELECT queue FROM bindings WHERE queue = $1 AND pattern = $2");
        if bound.bind(*queue).bind(*pattern).fetch_optional(store.pool()).await?.is_some() {
            continue;
        }
        match store.execute(sqlx::query(insert).bind(*queue).bind(*pattern)).await {
            Err(error) if !is_taken(&error) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

impl Message {
    /// Reads a row that begins with `id, topic, payload, created_at`.
    pub fn read(row: &AnyRow) -> sqlx::Result<Self> {
        let (id, topic) = (row.try_get(0)?, row.try_get(1)?);
        Ok(Self { id, topic, payload: row.try_get(2)?, created_at: row.try_get(3)? })
    }
}
