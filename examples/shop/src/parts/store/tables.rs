//! The tables of a store: created when it is new, and the same ones for ever after.

use super::OPENING;
use super::place::Kind;
use super::sql::{passed, statement};
use sqlx::{AnyConnection, AssertSqlSafe, Row};
use std::borrow::Cow;
use std::collections::BTreeSet;
use tokio::time::timeout;

/// What is on a server remembers how each table was made, as SQLite does by itself.
const MADE: &str =
    "CREATE TABLE IF NOT EXISTS shop_tables (name VARCHAR(80) PRIMARY KEY, made_by TEXT NOT NULL)";

/// How MySQL compares texts: as they are, to the last blank.
const AS_THEY_ARE: &str =
    " CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */ ENGINE = InnoDB";

/// Creates the tables of a new store; false when it is not new, and has others. Nothing is changed then: half of the
/// tables of another version are worse than none.
pub(super) async fn prepare(
    connection: &mut AnyConnection,
    kind: Kind,
    tables: &[&'static str],
) -> sqlx::Result<bool> {
    let tables: Vec<_> = tables.iter().map(|table| passed(Cow::Borrowed(table)).into_owned()).collect();
    let tables = tables.as_slice();
    match kind {
        Kind::Sqlite => in_file(connection, tables).await,
        Kind::Postgres | Kind::MySql => {
            // While others make them, what is there may look like somebody else's: that is found out behind the lock.
            if ours(connection, kind, tables).await? == Some(true) {
                return Ok(true);
            }
            let prepared = on_server(connection, kind, tables);
            timeout(OPENING * 2, prepared).await.map_err(|_| sqlx::Error::PoolTimedOut)?
        }
    }
}

/// A file is one service's alone. One that has its tables is opened even while it is locked.
async fn in_file(connection: &mut AnyConnection, tables: &[String]) -> sqlx::Result<bool> {
    let ours = tables.iter().map(|table| plain(table)).collect::<BTreeSet<_>>();
    let there = there(connection).await?;
    if !there.is_empty() {
        return Ok(there == ours);
    }
    // Others may be opening it as well.
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    let there = self::there(connection).await?;
    if there.is_empty() {
        for table in tables {
            sqlx::raw_sql(AssertSqlSafe(table.clone())).execute(&mut *connection).await?;
        }
    }
    sqlx::raw_sql("COMMIT").execute(&mut *connection).await?;
    Ok(there.is_empty() || there == ours)
}

/// The tables that a file has.
async fn there(connection: &mut AnyConnection) -> sqlx::Result<BTreeSet<String>> {
    let rows = sqlx::query("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL");
    rows.fetch_all(connection).await?.iter().map(|row| Ok(plain(row.try_get(0)?))).collect()
}

/// A database may be that of several services, and of others. The connection is not used for anything else: what is
/// locked on it is free when it is closed.
async fn on_server(connection: &mut AnyConnection, kind: Kind, tables: &[String]) -> sqlx::Result<bool> {
    let lock = match kind {
        Kind::Sqlite | Kind::Postgres => {
            "BEGIN; DO $$ BEGIN PERFORM pg_advisory_xact_lock(hashtext('shop.' || current_schema())); END $$"
        }
        Kind::MySql => "DO GET_LOCK(MD5(CONCAT('shop.', DATABASE())), 10)",
    };
    sqlx::raw_sql(lock).execute(&mut *connection).await?;
    sqlx::raw_sql(AssertSqlSafe(dialect(kind, MADE))).execute(&mut *connection).await?;
    // Others may have been quicker.
    if let Some(ours) = ours(connection, kind, tables).await? {
        return Ok(ours);
    }
    for table in tables {
        make(connection, kind, table).await?;
    }
    if kind == Kind::Postgres {
        sqlx::raw_sql("COMMIT").execute(&mut *connection).await?;
    }
    Ok(true)
}

/// Makes a table, and remembers how. MySQL commits each step by itself: a table that is remembered and not there was
/// interrupted, and is made now; one that is there and not remembered is somebody else's.
async fn make(connection: &mut AnyConnection, kind: Kind, table: &str) -> sqlx::Result<()> {
    let known = made_by(connection, kind, &name(table)).await?.is_some();
    if !is_index(table) && !known {
        remember(connection, kind, table).await?;
    }
    let made = sqlx::raw_sql(AssertSqlSafe(dialect(kind, table))).execute(&mut *connection).await;
    match made {
        Err(error) if !(kind == Kind::MySql && is_index(table) && is_there(&error)) => return Err(error),
        _ => {}
    }
    if is_index(table) && !known {
        remember(connection, kind, table).await?;
    }
    Ok(())
}

async fn remember(connection: &mut AnyConnection, kind: Kind, table: &str) -> sqlx::Result<()> {
    let insert = statement(kind, "INSERT INTO shop_tables (name, made_by) VALUES ($1, $2)".into());
    insert.bind(name(table)).bind(plain(table)).execute(connection).await.map(drop)
}

/// Whether all tables are there and ours; none when some are still to be made, and nothing is in the way.
async fn ours(connection: &mut AnyConnection, kind: Kind, tables: &[String]) -> sqlx::Result<Option<bool>> {
    let remembered = exists(connection, kind, "shop_tables").await?;
    let mut all = true;
    for table in tables {
        let made_by = if remembered { made_by(connection, kind, &name(table)).await? } else { None };
        let there = is_index(table) || exists(connection, kind, &name(table)).await?;
        match made_by {
            Some(made_by) if made_by != plain(table) => return Ok(Some(false)),
            Some(_) => all &= there,
            None if there && !is_index(table) => return Ok(Some(false)),
            None => all = false,
        }
    }
    Ok(all.then_some(true))
}

async fn made_by(connection: &mut AnyConnection, kind: Kind, name: &str) -> sqlx::Result<Option<String>> {
    let row = statement(kind, "SELECT made_by FROM shop_tables WHERE name = $1".into()).bind(name.to_owned());
    row.fetch_optional(connection).await?.map(|row| row.try_get(0)).transpose()
}

async fn exists(connection: &mut AnyConnection, kind: Kind, name: &str) -> sqlx::Result<bool> {
    let here = if kind == Kind::MySql { "DATABASE()" } else { "current_schema()" };
    let count = format!(
        "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = {here} AND table_name = $1"
    );
    let row = statement(kind, count.into()).bind(name.to_owned()).fetch_one(connection).await?;
    Ok(row.try_get::<i64, _>(0)? > 0)
}

/// MySQL knows no `IF NOT EXISTS` of an index, calls 64 KiB a text, and compares texts as no other does unless it is told.
fn dialect(kind: Kind, table: &str) -> String {
    match kind {
        Kind::Sqlite | Kind::Postgres => table.to_owned(),
        Kind::MySql if is_index(table) => plain(table),
        Kind::MySql => format!("{}{AS_THEY_ARE}", table.replace(" TEXT", " MEDIUMTEXT")),
    }
}

fn is_index(table: &str) -> bool {
    table.starts_with("CREATE INDEX")
}

/// Whether an index was there already. Only MySQL cannot be told not to mind.
#[cfg(feature = "mysql")]
fn is_there(error: &sqlx::Error) -> bool {
    let error = error.as_database_error().and_then(|error| error.try_downcast_ref());
    error.is_some_and(|error: &sqlx::mysql::MySqlDatabaseError| error.number() == 1061)
}

#[cfg(not(feature = "mysql"))]
fn is_there(_: &sqlx::Error) -> bool {
    false
}

/// `orders` of `CREATE TABLE IF NOT EXISTS orders (…`.
fn name(table: &str) -> String {
    plain(table).split_whitespace().nth(2).unwrap_or_default().to_owned()
}

/// How SQLite remembers what created a table.
fn plain(table: &str) -> String {
    table.replacen(" IF NOT EXISTS", "", 1).split_whitespace().collect::<Vec<_>>().join(" ")
}
