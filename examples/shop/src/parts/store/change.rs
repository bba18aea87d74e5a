//! A change of several statements.

use super::super::faults::Door;
use super::condition::Condition;
use super::group::Seat;
use super::passed;
use super::place::Kind;
use super::server::Session;
use super::sql::{Statement, statement};
use bartizan::core::Instant;
use sqlx::AnyConnection;
use std::borrow::Cow;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// All of its statements, or none. It is undone when it is dropped before it is committed, and a statement that failed
/// leaves nothing to commit.
#[derive(Debug)]
pub struct Change {
    on: On,
    kind: Kind,
    /// Hears what comes of it.
    condition: Option<Arc<Condition>>,
}

/// Where it is made.
#[derive(Debug)]
enum On {
    File(Seat),
    Server(Session, Door),
}

impl Change {
    pub(super) fn on_file(seat: Seat) -> Self {
        Self { on: On::File(seat), kind: Kind::Sqlite, condition: None }
    }

    pub(super) fn on_server(session: Session, kind: Kind, door: Door) -> Self {
        Self { on: On::Server(session, door), kind, condition: None }
    }

    pub(super) fn watched(self, condition: Arc<Condition>) -> Self {
        Self { condition: Some(condition), ..self }
    }

    /// As [`Store::sql`](super::Store::sql).
    pub fn sql(&self, text: impl Into<Cow<'static, str>>) -> Statement {
        statement(self.kind, text.into())
    }

    /// Returns when it is on the disk, as far as the store can know.
    ///
    /// # Errors
    ///
    /// When it is not known to be.
    pub async fn commit(self) -> sqlx::Result<()> {
        #[cfg(feature = "planted")]
        if super::super::planted::strikes("acknowledged_before_commit") {
            return Ok(());
        }
        let Self { on, condition, .. } = self;
        let began = Instant::now();
        let committed = match on {
            On::File(seat) => seat.commit().await,
            On::Server(session, door) => {
                async {
                    passed(&door).await?;
                    session.commit().await
                }
                .await
            }
        };
        if let Some(condition) = condition {
            condition.note(&committed, began);
        }
        committed
    }
}

impl Deref for Change {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        match &self.on {
            On::File(seat) => seat,
            On::Server(session, _) => session,
        }
    }
}

impl DerefMut for Change {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        match &mut self.on {
            On::File(seat) => seat,
            On::Server(session, _) => session,
        }
    }
}
