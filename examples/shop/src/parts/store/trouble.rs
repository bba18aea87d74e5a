//! What it means when a store says no.

use super::super::clock::now_ms;
use super::super::problem::Problem;
use super::OPENING;
use http::StatusCode;
use sqlx::error::{DatabaseError, ErrorKind};
#[cfg(feature = "mysql")]
use sqlx::mysql::MySqlDatabaseError;
#[cfg(feature = "postgres")]
use sqlx::postgres::PgDatabaseError;
use std::borrow::Cow;
use std::error::Error as StdError;
use std::time::Duration;
use std::{fmt, process};
use tokio::time::{Instant, sleep};

/// How often a change is made at most that others come between.
const TRIES: usize = 4;

/// Why a store could not do something that it does on another day.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Trouble {
    /// Its disk, or its share of it.
    Full,
    /// Another change of the same rows came first. The same again may do.
    Conflict,
    Other,
}

/// The trouble of an error, in the three tongues. SQLite's extended codes have the plain one in their last byte.
fn trouble(error: &sqlx::Error) -> Trouble {
    let Some(database) = error.as_database_error() else { return Trouble::Other };
    let code = database.code().unwrap_or_default();
    #[cfg(feature = "postgres")]
    if database.try_downcast_ref::<PgDatabaseError>().is_some() {
        return match &*code {
            "53100" => Trouble::Full,
            "40001" | "40P01" | "55P03" => Trouble::Conflict,
            _ => Trouble::Other,
        };
    }
    #[cfg(feature = "mysql")]
    if let Some(mysql) = database.try_downcast_ref::<MySqlDatabaseError>() {
        return match mysql.number() {
            1021 | 1114 => Trouble::Full,
            1030 if mysql.message().contains("error 28") => Trouble::Full,
            1205 | 1213 | 1020 => Trouble::Conflict,
            _ => Trouble::Other,
        };
    }
    match code.parse().map(|code: u32| code & 0xff) {
        Ok(13) => Trouble::Full,
        _ => Trouble::Other,
    }
}

/// Whether a statement failed because its row was already there.
pub fn is_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(DatabaseError::is_unique_violation)
}

/// A no that may be a yes when the same change is made again, from its first look at the rows on.
pub trait Contended {
    fn is_contended(&self) -> bool;
}

/// Why a change was not made, as far as that is its store's.
pub trait OfStore {
    fn of_store(&self) -> Option<&sqlx::Error>;
}

impl OfStore for sqlx::Error {
    fn of_store(&self) -> Option<&sqlx::Error> {
        Some(self)
    }
}

/// Somebody else has entered the row that it wanted to enter, or holds one that it wanted to change.
impl Contended for sqlx::Error {
    fn is_contended(&self) -> bool {
        is_taken(self) || trouble(self) == Trouble::Conflict
    }
}

/// Makes a change, and makes it again, a few times, while others come between.
pub async fn repeated<T, E: Contended, F>(mut change: impl FnMut() -> F) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    for _ in 1..TRIES {
        match change().await {
            Err(no) if no.is_contended() => {}
            done => return done,
        }
    }
    change().await
}

/// A no of a store that may be a yes in a moment.
pub trait Busy {
    fn is_busy(&self) -> bool;
}

/// Somebody else has the lock, or all connections.
impl Busy for sqlx::Error {
    fn is_busy(&self) -> bool {
        let protocol = self.as_database_error().is_some_and(|why| why.message().contains("locking protocol"));
        protocol || is_locked(self) || matches!(self, Self::PoolTimedOut)
    }
}

impl Busy for Box<dyn StdError + Send + Sync> {
    fn is_busy(&self) -> bool {
        self.downcast_ref().is_some_and(sqlx::Error::is_busy)
    }
}

/// Does what a service begins with; while its store is too busy for it, again, for a while. A machine that starts a whole
/// shop at once has much to do, and nobody waits for an answer yet.
pub async fn patiently<T, E: Busy, F>(mut begin: impl FnMut() -> F) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let until = Instant::now() + OPENING;
    // Those who wait for one another do not all come back at once.
    let mut dice = fastrand::Rng::with_seed(u64::from(process::id()) ^ now_ms().unsigned_abs());
    loop {
        match begin().await {
            Err(busy) if busy.is_busy() && Instant::now() < until => {
                sleep(Duration::from_millis(dice.u64(5..50))).await;
            }
            done => return done,
        }
    }
}

/// Whether there is no room left.
pub(super) fn is_full(error: &sqlx::Error) -> bool {
    trouble(error) == Trouble::Full
}

/// Whether somebody else has a lock for longer than anybody waits for it: that of SQLite's file, or one on a server.
pub(super) fn is_locked(error: &sqlx::Error) -> bool {
    let Some(database) = error.as_database_error() else { return false };
    #[cfg(feature = "postgres")]
    if database.try_downcast_ref::<PgDatabaseError>().is_some() {
        return database.code().is_some_and(|code| code == "55P03");
    }
    #[cfg(feature = "mysql")]
    if let Some(mysql) = database.try_downcast_ref::<MySqlDatabaseError>() {
        return mysql.number() == 1205;
    }
    database.message().contains("locked")
}

/// The same error for somebody else.
pub(super) fn copy(error: &sqlx::Error) -> sqlx::Error {
    match error.as_database_error() {
        Some(why) => sqlx::Error::Database(Box::new(Copied {
            message: why.message().to_owned(),
            code: why.code().map(Cow::into_owned),
        })),
        None => sqlx::Error::WorkerCrashed,
    }
}

/// What SQLite has said to another one.
#[derive(Debug)]
struct Copied {
    message: String,
    code: Option<String>,
}

impl fmt::Display for Copied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Copied {}

impl DatabaseError for Copied {
    fn message(&self) -> &str {
        &self.message
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        self.code.as_deref().map(Cow::Borrowed)
    }

    fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
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
            error if trouble(&error) == Trouble::Full => {
                let detail = "the store has no room left: nothing was changed";
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "storage-full", detail).retry_after(5)
            }
            _ => Self::unavailable("the store did not answer"),
        }
    }
}
