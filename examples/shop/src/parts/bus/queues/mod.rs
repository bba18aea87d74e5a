//! The queues in a SQLite file: a message is taken under a lease, and deleted when it is acknowledged. Who dies with it
//! gives it back by time.

mod dead;
mod delivery;
mod publish;
mod round;
#[cfg(test)]
mod tests;

use super::super::clock::now_ms;
use super::super::config::Config;
use super::super::failure::Failure;
use super::super::store::{Change, Store, is_taken};
use super::consumer::{Unhandled, attempt};
use super::{DELIVERIES, DeadLetter, Gate, IN_FLIGHT, Message, PAUSE_MS, Trouble, Unwanted};

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

/// How often the queues are bound until a file that is always busy is an error.
const TRIES: u32 = 20;

#[derive(Clone, Debug)]
pub(super) struct Queues {
    store: Store,
}

impl Queues {
    pub(super) async fn open(
        config: &Config,
        bindings: &[(&'static str, &'static str)],
    ) -> Result<Self, Failure> {
        let store = Store::file(&config.data_dir, "bus", &TABLES).await?;
        let mut tries = 1;
        let bound = loop {
            match bind(&store, bindings).await {
                // Others who start at this moment are at the same file.
                Err(sqlx::Error::PoolTimedOut) if tries < TRIES => tries += 1,
                bound => break bound,
            }
        };
        bound.map_err(|why| Failure::new(format!("the queues of the bus cannot be bound: {why}.")))?;
        Ok(Self { store })
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    #[cfg(test)]
    pub(super) async fn waiting(&self, queue: &'static str) -> u32 {
        let count = sqlx::query("SELECT COUNT(*) FROM messages WHERE queue = $1").bind(queue);
        let row = count.fetch_one(self.store.pool()).await.unwrap();
        sqlx::Row::get::<i64, _>(&row, 0).try_into().unwrap()
    }
}

/// Binds what is not bound yet. What was bound before stays so: another service may know of queues that this one does
/// not.
async fn bind(store: &Store, bindings: &[(&'static str, &'static str)]) -> sqlx::Result<()> {
    let insert = "INSERT INTO bindings (queue, pattern) VALUES ($1, $2)";
    for (queue, pattern) in bindings {
        let bound = sqlx::query("SELECT queue FROM bindings WHERE queue = $1 AND pattern = $2");
        if store.fetch_optional(bound.bind(*queue).bind(*pattern)).await?.is_some() {
            continue;
        }
        match store.execute(sqlx::query(insert).bind(*queue).bind(*pattern)).await {
            Err(error) if !is_taken(&error) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
