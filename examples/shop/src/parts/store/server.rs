//! A store on a server: its connections, and what is begun on them.

use super::OPENING;
use super::lend::Lent;
use super::place::Kind;
use sqlx::any::AnyPoolOptions;
use sqlx::{AnyConnection, AnyPool};
use std::ops::{Deref, DerefMut};
use std::time::Duration;
use tokio::sync::oneshot;

/// Connections of one service. All instances of a shop together stay below the hundred that Postgres has to give.
const CONNECTIONS: u32 = 6;

/// One that nobody has used for so long is closed.
const IDLE: Duration = Duration::from_secs(60);

/// Set on every connection. A lock, of a row or of a table, is waited for until nobody waits for the answer any more; and
/// who is stopped in the middle of a change does not hold up the others for ever.
const POSTGRES: [&str; 1] = ["SET lock_timeout = '1s'; SET idle_in_transaction_session_timeout = '10s'"];
const MYSQL: [&str; 4] = [
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION innodb_lock_wait_timeout = 1, SESSION lock_wait_timeout = 1",
    "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')",
    "/*M!100300 SET SESSION idle_transaction_timeout = 10 */",
];

/// Each connection is asked before it is used, so that one which died with its server is nobody's bad luck.
pub(super) async fn pool(url: &str, kind: Kind) -> sqlx::Result<AnyPool> {
    let pool = AnyPoolOptions::new()
        .min_connections(1)
        .max_connections(CONNECTIONS)
        .acquire_timeout(OPENING)
        .idle_timeout(IDLE)
        .max_lifetime(None)
        .test_before_acquire(true)
        .after_connect(move |connection, _| Box::pin(greet(connection, kind)));
    pool.connect(url).await
}

async fn greet(connection: &mut AnyConnection, kind: Kind) -> sqlx::Result<()> {
    let settings: &[&'static str] = match kind {
        Kind::Sqlite => &[],
        Kind::Postgres => &POSTGRES,
        Kind::MySql => &MYSQL,
    };
    for setting in settings {
        sqlx::raw_sql(*setting).execute(&mut *connection).await?;
    }
    Ok(())
}

/// A connection on which a transaction is open.
#[derive(Debug)]
pub(super) struct Session {
    connection: Option<Lent>,
    /// Where it goes when it is not committed.
    left: Option<oneshot::Sender<Lent>>,
}

/// What a session leaves that is dropped.
#[derive(Debug)]
pub(super) struct Left(oneshot::Receiver<Lent>);

impl Session {
    pub(super) async fn begin(mut connection: Lent, kind: Kind) -> sqlx::Result<(Self, Left)> {
        let begin = match kind {
            Kind::Sqlite | Kind::MySql => "START TRANSACTION",
            Kind::Postgres => "BEGIN ISOLATION LEVEL READ COMMITTED",
        };
        sqlx::raw_sql(begin).execute(&mut *connection).await?;
        let (left, leaves) = oneshot::channel();
        Ok((Self { connection: Some(connection), left: Some(left) }, Left(leaves)))
    }

    pub(super) async fn commit(mut self) -> sqlx::Result<()> {
        self.left = None;
        sqlx::raw_sql("COMMIT").execute(&mut *self).await?;
        if let Some(connection) = self.connection.take() {
            connection.back();
        }
        Ok(())
    }
}

impl Left {
    /// Undoes what was not committed, once the session is dropped.
    pub(super) async fn undo(mut self) {
        let Ok(mut connection) = self.0.try_recv() else { return };
        if sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await.is_ok() {
            connection.back();
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let (Some(connection), Some(left)) = (self.connection.take(), self.left.take()) {
            drop(left.send(connection));
        }
    }
}

impl Deref for Session {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        self.connection.as_ref().expect("it is there until it is committed")
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        self.connection.as_mut().expect("it is there until it is committed")
    }
}
