//! The lock of a store, held from outside: as by somebody who has begun to write, and does not commit.

use crate::parts::config::Config;
use crate::parts::failure::root;
use crate::parts::store::{Kind, Place};
use sqlx::any::install_default_drivers;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long it is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// While it is held, nobody writes to the store, and everybody reads. Dropped, it is released a moment later.
#[derive(Debug)]
pub(super) struct Lock {
    /// Dropped, it ends who holds it.
    wanted: oneshot::Sender<()>,
    held: JoinHandle<()>,
}

impl Lock {
    /// Takes the lock of a service's store: that of the file, or of all of its tables on a server.
    ///
    /// # Errors
    ///
    /// When it cannot be had in time; in words for people.
    pub(super) async fn take(config: &Config, service: &str) -> Result<Self, String> {
        install_default_drivers();
        let place = Place::of(config, service);
        let url = place.url().map_err(|why| why.to_string())?;
        let statements = statements(place.kind(), tables(service));
        let taken = timeout(PATIENCE, async {
            let mut connection = AnyConnection::connect(&url).await?;
            for statement in statements {
                sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
            }
            Ok(connection)
        });
        let connection = match taken.await {
            Ok(taken) => taken.map_err(|why: sqlx::Error| root(&why))?,
            Err(_) => return Err("others hold it".into()),
        };
        let (wanted, unwanted) = oneshot::channel();
        let held = tokio::spawn(async move {
            let _ = unwanted.await;
            // Whatever comes of it, the connection is gone, and the lock with it.
            let _ = timeout(PATIENCE, connection.close()).await;
        });
        Ok(Self { wanted, held })
    }

    /// Returns when it is free.
    pub(super) async fn release(self) {
        drop(self.wanted);
        let _ = self.held.await;
    }
}

/// What locks some tables against all who write.
fn statements(kind: Kind, tables: &[&str]) -> Vec<String> {
    match kind {
        Kind::Sqlite => vec!["PRAGMA busy_timeout = 4000".into(), "BEGIN IMMEDIATE".into()],
        Kind::Postgres => {
            vec!["BEGIN".into(), format!("LOCK TABLE {} IN EXCLUSIVE MODE", tables.join(", "))]
        }
        Kind::MySql => {
            let tables = tables.iter().map(|table| format!("{table} READ")).collect::<Vec<_>>();
            vec![format!("LOCK TABLES {}", tables.join(", "))]
        }
    }
}

/// The tables of a service: several services may share a database.
fn tables(service: &str) -> &'static [&'static str] {
    match service {
        "user" => &["users", "signing_keys", "ended_sessions", "user_outbox"],
        "product" => &["products", "reservations"],
        "order" => &["orders", "order_outbox"],
        "payment" => &["payments"],
        "mail" => &["mail_inbox", "mails"],
        _ => &["charges", "movements"],
    }
}
