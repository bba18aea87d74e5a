//! Whether a store can be used, without a change to it.

use super::super::failure::{Failure, root};
use super::place::{Kind, Place};
use super::{LONGEST, OPENING};
use sqlx::any::install_default_drivers;
use sqlx::{AnyConnection, Connection, Row};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use tokio::time::timeout;

/// What every file of SQLite begins with; an empty one is one as well.
const BEGINNING: &[u8] = b"SQLite format 3\0";

/// Whether tables may be made.
const POSTGRES: &str = "SELECT CASE WHEN has_schema_privilege(current_schema(), 'CREATE') THEN 1 ELSE 0 END";
/// MySQL says it of nobody; that the database is there and may be asked has to do.
const MYSQL: &str = "SELECT 1";

/// Looks at the file of a store, which may be missing, or connects to its server.
///
/// # Errors
///
/// When it cannot be read or written, is none, or does not let this shop in; the sentence shows no password.
pub async fn is_there(place: &Place) -> Result<(), Failure> {
    let failed = |why: String| Failure::new(format!("the store {place} cannot be opened: {why}."));
    match place {
        Place::File(file) => is_file(file).map_err(|why| failed(why.to_string())),
        Place::Server(_) => {
            let url = place.url().map_err(|why| failed(why.to_string()))?;
            let answered = timeout(OPENING + LONGEST, may_create(&url, place.kind())).await;
            match answered
                .map_err(|_| failed("it gives no answer".into()))?
                .map_err(|why| failed(root(&why)))?
            {
                true => Ok(()),
                false => Err(failed("its user may not create tables there".into())),
            }
        }
    }
}

fn is_file(file: &Path) -> io::Result<()> {
    // Opened for both, so that a disk that is mounted to be read is found out.
    let mut opened = match File::options().read(true).write(true).open(file) {
        Err(why) if matches!(why.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(());
        }
        opened => opened?,
    };
    let mut beginning = Vec::new();
    Read::by_ref(&mut opened).take(BEGINNING.len() as u64).read_to_end(&mut beginning)?;
    match beginning.is_empty() || beginning == BEGINNING {
        true => Ok(()),
        false => Err(io::Error::other("file is not a database")),
    }
}

async fn may_create(url: &str, kind: Kind) -> sqlx::Result<bool> {
    install_default_drivers();
    let mut connection = AnyConnection::connect(url).await?;
    let question = if kind == Kind::Postgres { POSTGRES } else { MYSQL };
    let row = sqlx::query(question).fetch_one(&mut connection).await?;
    connection.close().await?;
    // The servers call it an integer of different lengths.
    let one = row.try_get::<i64, _>(0).or_else(|_| row.try_get::<i32, _>(0).map(i64::from))?;
    Ok(one == 1)
}
