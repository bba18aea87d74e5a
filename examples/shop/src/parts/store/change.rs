//! A change of several statements.

use super::group::Seat;
use super::place::Kind;
use super::server::Session;
use super::sql::{Statement, statement};
use sqlx::AnyConnection;
use std::borrow::Cow;
use std::ops::{Deref, DerefMut};

/// All of its statements, or none. It is undone when it is dropped before it is committed, and a statement that failed
/// leaves nothing to commit.
#[derive(Debug)]
pub struct Change {
    on: On,
    kind: Kind,
}

/// Where it is made.
#[derive(Debug)]
enum On {
    File(Seat),
    Server(Session),
}

impl Change {
    pub(super) fn on_file(seat: Seat) -> Self {
        Self { on: On::File(seat), kind: Kind::Sqlite }
    }

    pub(super) fn on_server(session: Session, kind: Kind) -> Self {
        Self { on: On::Server(session), kind }
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
        match self.on {
            On::File(seat) => seat.commit().await,
            On::Server(session) => session.commit().await,
        }
    }
}

impl Deref for Change {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        match &self.on {
            On::File(seat) => seat,
            On::Server(session) => session,
        }
    }
}

impl DerefMut for Change {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        match &mut self.on {
            On::File(seat) => seat,
            On::Server(session) => session,
        }
    }
}
