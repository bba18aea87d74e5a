//! One database per service, through `sqlx::Any`.
//!
//! What holds on SQLite, Postgres and MySQL alike, and is kept here so that the two can follow: names `VARCHAR(40)`;
//! money, time and flags `BIGINT`; JSON as text; `$n` once each and in order; a change is a compare-and-set whose
//! `rows_affected()` is looked at; no `RETURNING`, no `ON CONFLICT`. A statement that failed ends its transaction.

use super::failure::Failure;
use super::problem::Problem;
use http::StatusCode;
use sqlx::any::{AnyPoolOptions, install_default_drivers};
use sqlx::{Any, AnyPool, Transaction};
use std::path::Path;
use std::time::Duration;

/// How long a request waits for a connection before it is answered with 503.
const ACQUIRE: Duration = Duration::from_millis(250);

/// Readers beside the one writer that SQLite allows.
const CONNECTIONS: u32 = 4;

/// Set on every connection. With a write-ahead log, `NORMAL` loses nothing when the process dies at any moment;
/// when the machine loses power, the last commits may be missing.
const PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 2000;";

/// The database of one service. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Store {
    pool: AnyPool,
}

impl Store {
    /// Opens `<folder>/<service>.db`, and creates it and its tables when they are missing.
    ///
    /// # Errors
    ///
    /// When the folder or the file cannot be written, or is none of ours.
    pub async fn open(folder: &Path, service: &str, tables: &[&'static str]) -> Result<Self, Failure> {
        let file = folder.join(format!("{service}.db"));
        let failed =
            |why: String| Failure::new(format!("the store {} cannot be opened: {why}.", file.display()));
        std::fs::create_dir_all(folder).map_err(|why| failed(why.to_string()))?;
        let path = std::path::absolute(&file).map_err(|why| failed(why.to_string()))?;
        install_default_drivers();
        let options = AnyPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .after_connect(|connection, _| {
                Box::pin(async move { sqlx::raw_sql(PRAGMAS).execute(connection).await.map(drop) })
            });
        let open = async {
            let pool = options.connect(&format!("sqlite://{}?mode=rwc", escape(&path))).await?;
            for table in tables {
                sqlx::raw_sql(*table).execute(&pool).await?;
            }
            Ok(Self { pool })
        };
        open.await.map_err(|why: sqlx::Error| failed(why.to_string()))
    }

    /// Where single statements go.
    pub fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// Begins a transaction that will write. It takes SQLite's write lock at once: one that read first could not
    /// wait for the lock any more when it comes to write.
    ///
    /// # Errors
    ///
    /// When no connection is free, or the lock is not, in time.
    pub async fn write(&self) -> sqlx::Result<Transaction<'static, Any>> {
        self.pool.begin_with("BEGIN IMMEDIATE").await
    }

    /// Asks for an answer, and for nothing in it.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn ping(&self) -> sqlx::Result<()> {
        sqlx::query("SELECT 1").execute(&self.pool).await.map(drop)
    }
}

/// A path as part of a URL.
fn escape(path: &Path) -> String {
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
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_may_have_any_name() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("50% of a shop? #1");
        let tables = ["CREATE TABLE IF NOT EXISTS things (id VARCHAR(40) PRIMARY KEY)"];
        let store = Store::open(&folder, "test", &tables).await.unwrap();
        let put =
            async || sqlx::query("INSERT INTO things (id) VALUES ($1)").bind("a").execute(store.pool()).await;
        put().await.unwrap();
        assert!(is_taken(&put().await.unwrap_err()));
        assert!(folder.join("test.db").exists());
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_is_a_sentence() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let failure = Store::open(&file.path().join("shop"), "test", &[]).await.unwrap_err();
        assert!(failure.to_string().contains("test.db cannot be opened"), "{failure}");
    }
}
