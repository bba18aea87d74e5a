//! The users' rows.

use crate::contracts::events::{USER_CREATED, UserEvent};
use crate::contracts::user::User;
use crate::parts::clock::now_ms;
use crate::parts::outbox::Outbox;
use crate::parts::store::{Store, is_taken};
use sqlx::Row;

pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS users (
    id VARCHAR(40) PRIMARY KEY,
    name VARCHAR(400) NOT NULL,
    email VARCHAR(254) NOT NULL UNIQUE,
    password_hash VARCHAR(255) NOT NULL,
    created_at BIGINT NOT NULL
)";

/// Clones share the store. The outbox tells of every new user.
#[derive(Clone)]
pub(super) struct Accounts {
    store: Store,
    outbox: Outbox,
}

/// What a log-in is checked against.
pub(super) struct Account {
    pub(super) id: String,
    pub(super) hash: String,
}

impl Accounts {
    pub(super) fn new(store: Store, outbox: Outbox) -> Self {
        Self { store, outbox }
    }

    /// Creates a user; false when the email is taken.
    pub(super) async fn create(&self, user: &User, hash: &str) -> sqlx::Result<bool> {
        let insert = sqlx::query(
            "INSERT INTO users (id, name, email, password_hash, created_at) VALUES ($1, $2, $3, $4, $5)",
        );
        let insert = insert.bind(&user.id).bind(&user.name).bind(&user.email).bind(hash).bind(now_ms());
        let event =
            UserEvent { user_id: user.id.clone(), name: user.name.clone(), email: user.email.clone() };
        let outbox = self.outbox.clone();
        let created = self.store.change(async move |mut change| {
            insert.execute(&mut *change).await?;
            outbox.put(&mut change, USER_CREATED, &event).await?;
            change.commit().await?;
            outbox.wake();
            Ok(())
        });
        match created.await {
            Ok(()) => Ok(true),
            Err(error) if is_taken(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn by_id(&self, id: &str) -> sqlx::Result<Option<User>> {
        let row = sqlx::query("SELECT id, name, email FROM users WHERE id = $1").bind(id);
        let row = row.fetch_optional(self.store.pool()).await?;
        row.map(|row| Ok(User { id: row.try_get(0)?, name: row.try_get(1)?, email: row.try_get(2)? }))
            .transpose()
    }

    pub(super) async fn by_email(&self, email: &str) -> sqlx::Result<Option<Account>> {
        let row = sqlx::query("SELECT id, password_hash FROM users WHERE email = $1").bind(email);
        let row = row.fetch_optional(self.store.pool()).await?;
        row.map(|row| Ok(Account { id: row.try_get(0)?, hash: row.try_get(1)? })).transpose()
    }
}
