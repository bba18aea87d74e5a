//! One database per service, through `sqlx::Any`: a SQLite file, or what `DATABASE_URL` names.
//!
//! What holds on SQLite, Postgres and MySQL alike: names `VARCHAR(40)`; money, time and flags `BIGINT`; JSON as text;
//! `$n` once each and in order; no `RETURNING`, no `ON CONFLICT`. A statement that failed ends its transaction. On a
//! server others change rows at the same time, at READ COMMITTED, so every decision is a compare-and-set whose
//! `rows_affected()` is looked at, or an insert whose key may be [taken](is_taken); and whoever changes several rows of
//! a kind changes them in the order of their keys.
//!
//! Futures are dropped here all the time: a deadline has passed, a customer has left. So every statement runs in a task
//! of its own, which is not dropped: what has begun comes to its end, and a connection is never given back in the middle
//! of it. Who leaves while it waits for its turn has begun nothing.
//!
//! A file is written by one change at a time, each on the disk before it is answered; those that come at once share a
//! flush. On a server the server sees to both.

mod change;
mod condition;
mod file;
mod group;
mod lend;
mod look;
mod place;
#[cfg(test)]
mod scratch;
mod server;
mod sql;
mod tables;
mod trouble;

pub use change::Change;
pub use look::is_there;
#[cfg(feature = "stage")]
pub use place::escape;
pub use place::{Databases, Kind, Place};
pub use sql::Statement;
pub use trouble::{Contended, OfStore, is_taken, patiently, repeated};

use super::config::Config;
use super::failure::{Failure, root};
use super::faults::Door;
use super::traces::spawn;
use bartizan::core::Instant;
use condition::Condition;
use group::Group;
use lend::Lender;
use server::Session;
use sqlx::any::{AnyRow, install_default_drivers};
use sqlx::{AnyConnection, Connection};
use std::borrow::Cow;
use std::panic::resume_unwind;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long those who open a store at once wait for each other.
const OPENING: Duration = Duration::from_secs(5);

/// After so long a server is taken for dead, and the connection to it with it.
const LONGEST: Duration = Duration::from_secs(5);

/// The database of one service. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Store {
    lender: Lender,
    kind: Kind,
    /// Who writes to a file.
    group: Option<Arc<Group>>,
    /// What each read and each commit passes.
    door: Door,
    condition: Arc<Condition>,
}

impl Store {
    /// Opens the store of a service at its [`Place`], and creates its tables when they are missing.
    ///
    /// # Errors
    ///
    /// When it cannot be reached or written, is none of ours, or has other tables than these.
    pub async fn open(config: &Config, name: &str, tables: &[&'static str]) -> Result<Self, Failure> {
        let door = config.faults.door(&format!("store of {}", config.here));
        Self::at(&Place::of(config, name), tables, door, Condition::new(&config.here)).await
    }

    /// Opens `<folder>/<name>.db`, whatever the environment names.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn file(folder: &Path, name: &str, tables: &[&'static str]) -> Result<Self, Failure> {
        Self::at(&Place::file(folder, name), tables, Door::default(), Condition::new(name)).await
    }

    /// Opens a store for a test: a file, or a part of the server of `SHOP_TEST_DATABASE_URL`.
    #[cfg(test)]
    pub async fn scratch(folder: &Path, name: &str, tables: &[&'static str]) -> Result<Self, Failure> {
        let mut config = Config::new(folder.to_owned(), 8080)?;
        if let Some(url) = scratch::database(folder).await {
            config.databases = Databases::all(&url);
        }
        Self::open(&config, name, tables).await
    }

    async fn at(
        place: &Place,
        tables: &[&'static str],
        door: Door,
        condition: Arc<Condition>,
    ) -> Result<Self, Failure> {
        #[cfg(feature = "planted")]
        let tables = &super::planted::tables(tables)[..];
        let failed = |why: String| Failure::new(format!("the store {place} cannot be opened: {why}."));
        if let Place::File(file) = place {
            let folder = file.parent().unwrap_or(Path::new("."));
            std::fs::create_dir_all(folder).map_err(|why| failed(why.to_string()))?;
        }
        install_default_drivers();
        let url = place.url().map_err(|why| failed(why.to_string()))?;
        let opened = match place.kind() {
            Kind::Sqlite => Self::in_file(&url, tables, door, condition).await,
            kind => Self::on_server(&url, kind, tables, door, condition).await,
        };
        opened.map_err(|why| failed(root(&why)))?.ok_or_else(|| {
            let elsewhere = match place {
                Place::File(_) => "move the data folder away, or choose another by --data-dir",
                Place::Server(_) => "choose another database, or an empty one",
            };
            Failure::new(format!("the store {place} was made by another version of the shop: {elsewhere}."))
        })
    }

    async fn in_file(
        url: &str,
        tables: &[&'static str],
        door: Door,
        condition: Arc<Condition>,
    ) -> sqlx::Result<Option<Self>> {
        let Some((pool, group)) = file::open(url, tables, door.clone()).await? else {
            return Ok(None);
        };
        Ok(Some(Self {
            lender: Lender::new(pool),
            kind: Kind::Sqlite,
            group: Some(Arc::new(group)),
            door,
            condition,
        }))
    }

    async fn on_server(
        url: &str,
        kind: Kind,
        tables: &[&'static str],
        door: Door,
        condition: Arc<Condition>,
    ) -> sqlx::Result<Option<Self>> {
        let connected = timeout(OPENING, AnyConnection::connect(url)).await;
        let mut connection = connected.map_err(|_| sqlx::Error::PoolTimedOut)??;
        let prepared = tables::prepare(&mut connection, kind, tables).await?;
        connection.close().await?;
        if !prepared {
            return Ok(None);
        }
        let lender = Lender::new(server::pool(url, kind).await?);
        Ok(Some(Self { lender, kind, group: None, door, condition }))
    }

    /// A statement whose text is written with `$1`, `$2` and so on, once each and in their order.
    pub fn sql(&self, text: impl Into<Cow<'static, str>>) -> Statement {
        sql::statement(self.kind, text.into())
    }

    /// All rows of a statement that only reads.
    ///
    /// # Errors
    ///
    /// When no connection is free in time, or the statement fails.
    pub async fn fetch_all(&self, statement: Statement) -> sqlx::Result<Vec<AnyRow>> {
        let began = Instant::now();
        let rows = self.read(statement).await;
        self.condition.note(&rows, began);
        rows
    }

    async fn read(&self, statement: Statement) -> sqlx::Result<Vec<AnyRow>> {
        let (mut connection, door) = (self.lender.lend().await?, self.door.clone());
        let reads = async move {
            let rows = timeout(LONGEST, async {
                passed(&door).await?;
                statement.fetch_all(&mut *connection).await
            });
            let rows = rows.await.map_err(|_| sqlx::Error::PoolTimedOut)??;
            connection.back();
            Ok(rows)
        };
        undropped(reads).await
    }

    /// The first row, if there is one.
    ///
    /// # Errors
    ///
    /// As [`fetch_all`](Self::fetch_all).
    pub async fn fetch_optional(&self, statement: Statement) -> sqlx::Result<Option<AnyRow>> {
        Ok(self.fetch_all(statement).await?.into_iter().next())
    }

    /// The first row.
    ///
    /// # Errors
    ///
    /// As [`fetch_all`](Self::fetch_all); and when there is none.
    pub async fn fetch_one(&self, statement: Statement) -> sqlx::Result<AnyRow> {
        self.fetch_optional(statement).await?.ok_or(sqlx::Error::RowNotFound)
    }

    /// Makes a change of several statements, all of them or none; `change` commits it.
    ///
    /// # Errors
    ///
    /// When its turn, a connection or a lock does not come in time; and what `change` returns.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it has its turn, and on a server its connection, it has done nothing; dropped later, it comes to its
    /// end nevertheless.
    pub async fn change<T, E, F, Fut>(&self, change: F) -> Result<T, E>
    where
        F: FnOnce(Change) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<sqlx::Error> + OfStore + Send + 'static,
    {
        self.changed(Box::new(move |begun| Box::pin(change(begun)))).await
    }

    /// The same of what is in boxes: there are few results, and many changes.
    async fn changed<T, E>(&self, change: Changing<T, E>) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<sqlx::Error> + OfStore + Send + 'static,
    {
        let condition = self.condition.clone();
        if let Some(group) = &self.group {
            let turn = group.turn().await.inspect_err(|why| condition.failed(why))?;
            let group = group.clone();
            return undropped(async move {
                let begun = group.begin(turn).await.inspect_err(|why| condition.failed(why))?;
                let (begun, seen) = begun;
                let done = change(begun.watched(condition)).await;
                seen.known().await?;
                done
            })
            .await;
        }
        let connection = self.lender.lend().await.inspect_err(|why| condition.failed(why))?;
        let (kind, door) = (self.kind, self.door.clone());
        undropped(async move {
            let made = async {
                let (session, left) = Session::begin(connection, kind).await?;
                let done = change(Change::on_server(session, kind, door).watched(condition.clone())).await;
                // Every statement may find a lock.
                if let Some(why) = done.as_ref().err().and_then(OfStore::of_store) {
                    condition.failed(why);
                }
                left.undo().await;
                done
            };
            timeout(LONGEST, made).await.map_err(|_| sqlx::Error::PoolTimedOut)?
        })
        .await
    }

    /// Makes a change of one statement, and returns how many rows it has changed.
    ///
    /// # Errors
    ///
    /// When its turn, a connection or a lock does not come in time, or the statement fails.
    ///
    /// # Cancel safety
    ///
    /// As [`change`](Self::change).
    pub async fn execute(&self, statement: Statement) -> sqlx::Result<u64> {
        let execute = self.change(async move |mut change| {
            let rows = statement.execute(&mut *change).await?.rows_affected();
            change.commit().await?;
            Ok(rows)
        });
        execute.await
    }

    /// Asks for an answer, and for nothing in it.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn ping(&self) -> sqlx::Result<()> {
        self.fetch_all(self.sql("SELECT 1")).await.map(drop)
    }

    /// The connections of those who read, for a test that reads in its own way.
    #[cfg(test)]
    pub fn pool(&self) -> &sqlx::AnyPool {
        &self.lender.pool
    }
}

/// What makes a change that has begun, and commits it.
type Changing<T, E> = Box<dyn FnOnce(Change) -> Pin<Box<dyn Future<Output = Result<T, E>> + Send>> + Send>;

/// Goes through the door of a store. Who is refused there has had no answer.
async fn passed(door: &Door) -> sqlx::Result<()> {
    door.pass().await.map_err(|_| sqlx::Error::PoolTimedOut)
}

/// Works where nobody can drop it.
async fn undropped<T, E, Fut>(work: Fut) -> Result<T, E>
where
    Fut: Future<Output = Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: From<sqlx::Error> + Send + 'static,
{
    match spawn(work).await {
        Ok(done) => done,
        Err(fell) if fell.is_panic() => resume_unwind(fell.into_panic()),
        // The runtime is closing.
        Err(_) => Err(sqlx::Error::PoolClosed.into()),
    }
}

#[cfg(test)]
mod tests;
