//! One store, as it was when the first of its tables was read, whoever keeps it.

use super::books::{Books, Item, Letter, Place as At};
use crate::parts::failure::{Failure, root};
use crate::parts::store::{Kind, Place, escape};
use sqlx::any::{AnyRow, install_default_drivers};
use sqlx::{AnyConnection, Connection, FromRow};
use std::time::Duration;
use tokio::time::timeout;

/// How long a server has to let the checker in.
const CONNECT: Duration = Duration::from_secs(5);

pub struct Snapshot {
    place: Place,
    connection: AnyConnection,
}

impl Snapshot {
    /// # Errors
    ///
    /// When the store cannot be reached.
    pub async fn open(place: Place) -> Result<Self, Failure> {
        install_default_drivers();
        let failed = |why: String| Failure::new(format!("the store {place} cannot be read: {why}."));
        // Nothing is created, and nothing can be written.
        let url = match &place {
            Place::File(file) => {
                std::path::absolute(file).map(|file| format!("sqlite://{}?mode=ro", escape(&file)))
            }
            Place::Server(_) => place.url(),
        };
        let url = url.map_err(|why| failed(why.to_string()))?;
        let begin = async {
            let mut connection = AnyConnection::connect(&url).await?;
            for statement in begin(place.kind()) {
                sqlx::raw_sql(*statement).execute(&mut connection).await?;
            }
            Ok::<_, sqlx::Error>(connection)
        };
        let begun = timeout(CONNECT, begin).await;
        let begun = begun.map_err(|_| failed(format!("it has not answered for {} s", CONNECT.as_secs())))?;
        let connection = begun.map_err(|why| failed(root(&why)))?;
        Ok(Self { place, connection })
    }

    /// # Errors
    ///
    /// When the table is missing, or cannot be read.
    pub async fn rows<T>(&mut self, table: &str, query: &'static str) -> Result<Vec<T>, Failure>
    where
        T: for<'r> FromRow<'r, AnyRow> + Send + Unpin,
    {
        let rows = self.rows_if_any(table, query).await?;
        rows.ok_or_else(|| {
            Failure::new(format!("the store {} is of no shop: it has no table {table}.", self.place))
        })
    }

    /// None when there is no such table.
    ///
    /// # Errors
    ///
    /// When the table cannot be read.
    pub async fn rows_if_any<T>(
        &mut self,
        table: &str,
        query: &'static str,
    ) -> Result<Option<Vec<T>>, Failure>
    where
        T: for<'r> FromRow<'r, AnyRow> + Send + Unpin,
    {
        match sqlx::query_as(query).fetch_all(&mut self.connection).await {
            Ok(rows) => Ok(Some(rows)),
            Err(why) if is_missing(&why) => Ok(None),
            Err(why) => {
                let (place, why) = (&self.place, root(&why));
                Err(Failure::new(format!("the table {table} of the store {place} cannot be read: {why}.")))
            }
        }
    }

    /// # Errors
    ///
    /// As [`rows`](Self::rows).
    pub async fn letters(
        &mut self,
        at: At,
        table: &str,
        query: &'static str,
        books: &mut Books,
    ) -> Result<(), Failure> {
        type Row = (String, String, String, i64, i64);
        let rows = self.rows::<Row>(table, query).await?.into_iter();
        books.letters.extend(rows.map(|(id, topic, payload, created_at, tries)| Letter {
            at,
            id,
            topic,
            payload,
            created_at,
            tries,
        }));
        Ok(())
    }

    /// # Errors
    ///
    /// When it is none.
    pub fn items(&self, of: &str, items: &str) -> Result<Vec<Item>, Failure> {
        serde_json::from_str(items).map_err(|_| self.unknown(&format!("list of items in {of}"), items))
    }

    pub fn unknown(&self, what: &str, word: &str) -> Failure {
        Failure::new(format!("the store {} holds no {what}: {word}.", self.place))
    }
}

/// What begins a transaction that sees one instant, and only reads.
fn begin(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Sqlite => &["BEGIN"],
        Kind::Postgres => &["BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"],
        Kind::MySql => &[
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
        ],
    }
}

/// Whether there is no such table: each kind has its own way to say so.
fn is_missing(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| {
        matches!(error.code().as_deref(), Some("42P01" | "42S02"))
            || error.message().starts_with("no such table")
    })
}
