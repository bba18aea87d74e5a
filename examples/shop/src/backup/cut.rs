//! All stores in one instant.
//!
//! A file of SQLite has one who writes. Whoever has the right to write to every store at once sees all of them stand
//! still; who then begins to read keeps what he sees, however long he reads and whoever writes meanwhile. So nobody waits
//! for longer than it takes to begin, some milliseconds, and not for the copying.

use crate::parts::failure::{Failure, root};
use crate::parts::store::Place;
use sqlx::any::install_default_drivers;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor, Row};
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long each store is asked for, while those before it wait: less than the services wait for theirs, so that nobody is refused.
const TURN: &str = "PRAGMA busy_timeout = 50";

/// Between two tries, in which the services have their turns.
const PAUSE: Duration = Duration::from_millis(100);

/// How long to try.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who reads the stores, each as it was in the same instant, and has a file to copy it to.
pub(super) struct Cut(Vec<Reader>);

struct Reader {
    name: &'static str,
    place: Place,
    connection: AnyConnection,
}

impl Cut {
    /// Looks at the stores of a folder, all at once; each is to be copied into another folder.
    ///
    /// # Errors
    ///
    /// When one is none, or is written to all the time.
    pub(super) async fn of(folder: &Path, names: &[&'static str], to: &Path) -> Result<Self, Failure> {
        install_default_drivers();
        let (mut writers, mut readers) = (Vec::new(), Vec::new());
        for name in names {
            let place = Place::file(folder, name);
            let copy = to.join(file_of(name));
            super::write(&copy, b"").map_err(|why| unwritten(&copy, &why))?;
            let opened = async {
                writers.push(connect(&place).await?);
                let mut connection = connect(&place).await?;
                let attach = sqlx::query("ATTACH DATABASE $1 AS copy").bind(copy.display().to_string());
                attach.execute(&mut connection).await?;
                Ok(connection)
            };
            let connection = opened.await.map_err(|why| unread(&place, &why))?;
            readers.push(Reader { name, place, connection });
        }
        let end = Instant::now() + PATIENCE;
        while !held(&mut writers, &readers).await? {
            if Instant::now() > end {
                return Err(Failure::new(format!(
                    "the stores of {} are written to without a pause: try again when less is going on.",
                    folder.display()
                )));
            }
            sleep(PAUSE).await;
        }
        for Reader { place, connection, .. } in &mut readers {
            // What is read first is what is read to the end.
            for statement in ["BEGIN", "SELECT COUNT(*) FROM main.sqlite_master"] {
                connection.execute(statement).await.map_err(|why| unread(place, &why))?;
            }
        }
        give_up(&mut writers).await;
        Ok(Self(readers))
    }

    /// Copies each, and returns the names of the files.
    ///
    /// # Errors
    ///
    /// When it cannot be read to its end, or written.
    pub(super) async fn copy(self) -> Result<Vec<String>, Failure> {
        let mut names = Vec::new();
        for Reader { name, place, connection } in self.0 {
            copy(connection).await.map_err(|why| unread(&place, &why))?;
            names.push(file_of(name));
        }
        Ok(names)
    }
}

fn file_of(store: &str) -> String {
    format!("{store}.db")
}

async fn connect(place: &Place) -> sqlx::Result<AnyConnection> {
    let url = place.url().map_err(sqlx::Error::Io)?;
    let mut connection = AnyConnection::connect(&url).await?;
    connection.execute(TURN).await?;
    Ok(connection)
}

/// Takes the right to write to all, or to none.
async fn held(writers: &mut [AnyConnection], readers: &[Reader]) -> Result<bool, Failure> {
    for at in 0..writers.len() {
        match writers[at].execute("BEGIN IMMEDIATE").await {
            Ok(_) => {}
            Err(why) if is_locked(&why) => {
                give_up(&mut writers[..at]).await;
                return Ok(false);
            }
            Err(why) => return Err(unread(&readers[at].place, &why)),
        }
    }
    Ok(true)
}

/// One that fails here is closed soon, and holds nothing any more.
async fn give_up(writers: &mut [AnyConnection]) {
    for writer in writers {
        let _ = writer.execute("ROLLBACK").await;
    }
}

/// Copies all tables, made by the same words, so that the copy is known for what it is.
async fn copy(mut from: AnyConnection) -> sqlx::Result<()> {
    let words = "SELECT name, sql FROM main.sqlite_master WHERE sql IS NOT NULL ORDER BY type DESC";
    // Tables before their indexes.
    for row in sqlx::query(words).fetch_all(&mut from).await? {
        let (name, words): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let (what, rest) = words.split_once(&name).ok_or(sqlx::Error::RowNotFound)?;
        from.execute(AssertSqlSafe(format!("{what}copy.{name}{rest}"))).await?;
        if what.trim_end().ends_with("TABLE") {
            let rows = format!("INSERT INTO copy.{name} SELECT * FROM main.{name}");
            from.execute(AssertSqlSafe(rows)).await?;
        }
    }
    from.execute("COMMIT").await?;
    let sound: String = sqlx::query("PRAGMA copy.quick_check").fetch_one(&mut from).await?.try_get(0)?;
    if sound != "ok" {
        return Err(sqlx::Error::Protocol(sound));
    }
    from.close().await
}

fn is_locked(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|why| why.message().contains("locked"))
}

fn unread(place: &Place, why: &sqlx::Error) -> Failure {
    Failure::new(format!("the store {place} cannot be copied: {}.", root(why)))
}

fn unwritten(file: &Path, why: &std::io::Error) -> Failure {
    Failure::new(format!("{} cannot be written: {why}.", file.display()))
}
