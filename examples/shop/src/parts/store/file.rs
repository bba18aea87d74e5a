//! A store in a file of SQLite.

use super::super::faults::Door;
use super::OPENING;
use super::group::Group;
use super::place::Kind;
use super::tables::prepare;
use super::trouble::{is_locked, patiently};
use sqlx::any::AnyPoolOptions;
use sqlx::{AnyConnection, AnyPool, Connection};

/// Connections of those who read. With a write-ahead log they neither wait for the writer nor hold it up.
const READERS: u32 = 4;

/// Set on every connection. A commit is on the disk when it returns, so that it outlives the process and the machine.
/// The lock is waited for as long as [`OPENING`].
pub(super) const SETTINGS: &str =
    "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;";

/// How long SQLite's lock is waited for, in milliseconds; only another process or another replica can have it. It is
/// less than half of the shortest deadline of a route (product's 500 ms): who comes right behind another one, and
/// waits for the lock as long again, still gets a 503 that says so.
pub(super) const PATIENCE: &str = "PRAGMA busy_timeout = 200;";

const READS_ONLY: &str = "PRAGMA query_only = ON;";

/// Opens a file for those who read, and for who writes; none when it has other tables. Others may be opening it at the
/// same time, or just be leaving it: SQLite does not wait for whoever makes it a file with a write-ahead log, or one
/// without, but says at once that it is locked. So it is tried again for a while.
pub(super) async fn open(
    url: &str,
    tables: &[&'static str],
    door: Door,
) -> sqlx::Result<Option<(AnyPool, Group)>> {
    patiently(|| open_once(url, tables, door.clone())).await
}

async fn open_once(url: &str, tables: &[&'static str], door: Door) -> sqlx::Result<Option<(AnyPool, Group)>> {
    look_at(url).await?;
    let mut writer = AnyConnection::connect(url).await?;
    sqlx::raw_sql(SETTINGS).execute(&mut writer).await?;
    if !prepare(&mut writer, Kind::Sqlite, tables).await? {
        return Ok(None);
    }
    sqlx::raw_sql(PATIENCE).execute(&mut writer).await?;
    let readers = readers(url).await?;
    Ok(Some((readers, Group::new(url.to_owned(), writer, door))))
}

/// The first of them is there when this returns, however busy the machine is that opens a whole shop at once.
async fn readers(url: &str) -> sqlx::Result<AnyPool> {
    let readers = AnyPoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(OPENING)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_connect(|connection, _| {
            Box::pin(async move {
                for settings in [SETTINGS, PATIENCE, READS_ONLY] {
                    sqlx::raw_sql(settings).execute(&mut *connection).await?;
                }
                Ok(())
            })
        });
    readers.connect(url).await
}

/// Fails at once for a file that is none of SQLite's.
async fn look_at(url: &str) -> sqlx::Result<()> {
    let mut connection = AnyConnection::connect(url).await?;
    match sqlx::raw_sql("SELECT name FROM sqlite_master").execute(&mut connection).await {
        Err(error) if !is_locked(&error) => Err(error),
        _ => connection.close().await,
    }
}
