//! One database per service, through `sqlx::Any`.
//!
//! What holds on SQLite, Postgres and MySQL alike, and is kept here so that the two can follow: names `VARCHAR(40)`;
//! money, time and flags `BIGINT`; JSON as text; `$n` once each and in order; a change is a compare-and-set whose
//! `rows_affected()` is looked at; no `RETURNING`, no `ON CONFLICT`. A statement that failed ends its transaction.
//!
//! Futures are dropped here all the time: a deadline has passed, a customer has left. So every write runs in a task of
//! its own, which is not dropped: what has begun comes to its end, and a connection is never given back in the middle
//! of it. Who leaves while it waits for its turn has begun nothing.

use super::failure::Failure;
use super::problem::Problem;
use http::StatusCode;
use sqlx::any::{AnyArguments, AnyPoolOptions, install_default_drivers};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AnyPool, Connection, Row, Transaction};
use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// How long a request waits for a connection before it is answered with 503.
const ACQUIRE: Duration = Duration::from_millis(250);

/// How long a change waits for its turn. A burst of them is over in less; and when the store is locked, nobody waits
/// behind the one who has found that out.
const TURN: Duration = Duration::from_secs(1);

/// How long those who open a store at once wait for each other.
const OPENING: Duration = Duration::from_secs(5);

/// Connections of those who read. With a write-ahead log they neither wait for the writer nor hold it up.
const READERS: u32 = 4;

/// One writes, while the other is on its way back to its pool.
const WRITERS: u32 = 2;

/// Set on every connection. With a write-ahead log, `NORMAL` loses nothing when the process dies at any moment;
/// when the machine loses power, the last commits may be missing. The lock is waited for as long as [`OPENING`].
const PRAGMAS: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;";

/// How long SQLite's lock is waited for, in milliseconds; only another process or another replica can have it. It is
/// less than half of the shortest deadline of a route (product's 500 ms): who comes right behind another one, and
/// waits for the lock as long again, still gets a 503 that says so.
const PATIENCE: &str = "PRAGMA busy_timeout = 200;";

const READS_ONLY: &str = "PRAGMA query_only = ON;";

/// A transaction. It is undone when it is dropped before it is committed.
pub type Change = Transaction<'static, Any>;

/// A statement with all that is bound to it.
pub type Statement = Query<'static, Any, AnyArguments>;

/// The database of one service. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Store {
    readers: AnyPool,
    writer: AnyPool,
    queue: Arc<Queue>,
}

/// Those who want to write, in the order in which they came. They hold no connection while they wait.
#[derive(Debug)]
struct Queue {
    turn: Arc<Semaphore>,
    /// How often somebody whose turn it was has found the store locked.
    locked: AtomicU64,
}

impl Store {
    /// Opens `<folder>/<name>.db`, and creates it and its tables when they are missing.
    ///
    /// # Errors
    ///
    /// When the folder or the file cannot be written, is none of ours, or has other tables than these.
    pub async fn open(folder: &Path, name: &str, tables: &[&'static str]) -> Result<Self, Failure> {
        let file = folder.join(format!("{name}.db"));
        let failed =
            |why: String| Failure::new(format!("the store {} cannot be opened: {why}.", file.display()));
        std::fs::create_dir_all(folder).map_err(|why| failed(why.to_string()))?;
        let path = std::path::absolute(&file).map_err(|why| failed(why.to_string()))?;
        install_default_drivers();
        let url = format!("sqlite://{}?mode=rwc", escape(&path));
        let opened = async {
            look_at(&url).await?;
            let writer = connections(WRITERS, "").acquire_timeout(OPENING).connect(&url).await?;
            if !prepare(&writer, tables).await? {
                return Ok(None);
            }
            let readers = connections(READERS, READS_ONLY).connect_lazy(&url)?;
            first_reader(&readers).await?;
            let queue = Queue { turn: Arc::new(Semaphore::new(1)), locked: AtomicU64::new(0) };
            Ok(Some(Self { readers, writer, queue: Arc::new(queue) }))
        };
        opened.await.map_err(|why: sqlx::Error| failed(why.to_string()))?.ok_or_else(|| {
            let file = file.display();
            Failure::new(format!(
                "the store {file} was made by another version of the shop: \
                 move the data folder away, or choose another by --data-dir."
            ))
        })
    }

    /// Where everything goes that only reads. A write is refused there.
    pub fn pool(&self) -> &AnyPool {
        &self.readers
    }

    /// Makes a change of several statements, all of them or none; `change` commits it. It has SQLite's write lock from
    /// the first: one that read before it took the lock could not wait for it any more.
    ///
    /// # Errors
    ///
    /// When its turn or the lock does not come in time; and what `change` returns.
    ///
    /// # Cancel safety
    ///
    /// Dropped before its turn, it has done nothing; dropped later, it comes to its end nevertheless.
    pub async fn change<T, E, F, Fut>(&self, change: F) -> Result<T, E>
    where
        F: FnOnce(Change) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<sqlx::Error> + Send + 'static,
    {
        let (writer, queue) = (self.writer.clone(), self.queue.clone());
        let begun = async move { queue.watch(writer.begin_with("BEGIN IMMEDIATE").await) };
        self.undropped(async move { change(begun.await?).await }).await
    }

    /// Makes a change of one statement, and returns how many rows it has changed.
    ///
    /// # Errors
    ///
    /// When its turn or the lock does not come in time, or the statement fails.
    ///
    /// # Cancel safety
    ///
    /// As [`change`](Self::change).
    pub async fn execute(&self, statement: Statement) -> sqlx::Result<u64> {
        let (writer, queue) = (self.writer.clone(), self.queue.clone());
        let executed = async move { queue.watch(statement.execute(&writer).await) };
        self.undropped(async move { Ok(executed.await?.rows_affected()) }).await
    }

    /// Asks for an answer, and for nothing in it.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn ping(&self) -> sqlx::Result<()> {
        sqlx::query("SELECT 1").execute(&self.readers).await.map(drop)
    }

    /// Waits for the turn, and then works where nobody can drop it.
    async fn undropped<T, E, Fut>(&self, work: Fut) -> Result<T, E>
    where
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<sqlx::Error> + Send + 'static,
    {
        let turn = self.queue.turn().await?;
        let work = tokio::spawn(async move {
            let done = work.await;
            drop(turn);
            done
        });
        match work.await {
            Ok(done) => done,
            Err(fell) if fell.is_panic() => resume_unwind(fell.into_panic()),
            // The runtime is closing.
            Err(_) => Err(sqlx::Error::PoolClosed.into()),
        }
    }
}

impl Queue {
    async fn turn(&self) -> sqlx::Result<OwnedSemaphorePermit> {
        let locked = self.locked.load(Ordering::Relaxed);
        let turn = timeout(TURN, self.turn.clone().acquire_owned()).await;
        let turn = turn.map_err(|_| sqlx::Error::PoolTimedOut)?.map_err(|_| sqlx::Error::PoolClosed)?;
        if self.locked.load(Ordering::Relaxed) != locked {
            return Err(sqlx::Error::PoolTimedOut);
        }
        Ok(turn)
    }

    /// Counts an outcome that says that the store is locked.
    fn watch<T>(&self, outcome: sqlx::Result<T>) -> sqlx::Result<T> {
        if outcome.as_ref().err().is_some_and(is_locked) {
            self.locked.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }
}

fn connections(most: u32, pragmas: &'static str) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(most)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                for pragmas in [PRAGMAS, PATIENCE, pragmas] {
                    sqlx::raw_sql(pragmas).execute(&mut *connection).await?;
                }
                Ok(())
            })
        })
}

/// Opens the first connection of those who read, however busy the machine is that opens a whole shop at once.
async fn first_reader(readers: &AnyPool) -> sqlx::Result<()> {
    let opened = async {
        loop {
            match readers.acquire().await {
                Err(sqlx::Error::PoolTimedOut) => {}
                opened => return opened.map(drop),
            }
        }
    };
    timeout(OPENING, opened).await.map_err(|_| sqlx::Error::PoolTimedOut)?
}

/// Fails at once for a file that is none of SQLite's; a pool would try again until its patience is over.
async fn look_at(url: &str) -> sqlx::Result<()> {
    let mut connection = AnyConnection::connect(url).await?;
    match sqlx::raw_sql("SELECT name FROM sqlite_master").execute(&mut connection).await {
        Err(error) if !is_locked(&error) => Err(error),
        _ => connection.close().await,
    }
}

fn is_locked(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|why| why.message().contains("locked"))
}

/// Creates the tables of a new store; false when it is not new, and has others. Nothing is changed then: half of the
/// tables of another version are worse than none. One that has its tables is opened even while it is locked.
async fn prepare(writer: &AnyPool, tables: &[&'static str]) -> sqlx::Result<bool> {
    let mut connection = writer.acquire().await?;
    let ours = tables.iter().map(|table| plain(table)).collect::<BTreeSet<_>>();
    let there = there(&mut connection).await?;
    if !there.is_empty() {
        return Ok(there == ours);
    }
    // Others may be opening it as well.
    sqlx::raw_sql(PRAGMAS).execute(&mut *connection).await?;
    let mut change = connection.begin_with("BEGIN IMMEDIATE").await?;
    let there = self::there(&mut change).await?;
    if there.is_empty() {
        for table in tables {
            sqlx::raw_sql(*table).execute(&mut *change).await?;
        }
    }
    change.commit().await?;
    sqlx::raw_sql(PATIENCE).execute(&mut *connection).await?;
    Ok(there.is_empty() || there == ours)
}

/// The tables that a store has.
async fn there(connection: &mut AnyConnection) -> sqlx::Result<BTreeSet<String>> {
    let rows = sqlx::query("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL");
    rows.fetch_all(connection).await?.iter().map(|row| Ok(plain(row.try_get(0)?))).collect()
}

/// How SQLite remembers what created a table.
fn plain(table: &str) -> String {
    table.replacen(" IF NOT EXISTS", "", 1).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A path as part of a URL.
pub fn escape(path: &Path) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(byte);
    let bytes = path.as_os_str().as_encoded_bytes();
    bytes
        .iter()
        .map(|byte| if plain(byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// Whether a statement failed because its row was already there.
pub fn is_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        tracing::warn!(%error, "the store failed");
        match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) | sqlx::Error::Decode(_) => {
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal",
                    "the store holds what this version cannot read",
                )
            }
            _ => Self::unavailable("the store did not answer"),
        }
    }
}

#[cfg(test)]
mod tests;
