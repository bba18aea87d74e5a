//! The users' rows.

use super::sessions::end_all;
use crate::contracts::events::{USER_CREATED, UserEvent};
use crate::contracts::user::User;
use crate::parts::auth::Role;
use crate::parts::clock::now_ms;
use crate::parts::outbox::Outbox;
use crate::parts::store::{Store, is_taken};
use sqlx::Row;
use sqlx::any::AnyRow;
use std::time::Duration;

pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS users (
    id VARCHAR(40) PRIMARY KEY,
    name VARCHAR(400) NOT NULL,
    email VARCHAR(254) NOT NULL UNIQUE,
    password_hash VARCHAR(255) NOT NULL,
    role VARCHAR(40) NOT NULL,
    epoch BIGINT NOT NULL,
    created_at BIGINT NOT NULL
)";

/// Whoever has read a hash replaces no other one.
const SET_PASSWORD: &str = "UPDATE users SET password_hash = $1 WHERE id = $2 AND password_hash = $3";

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
    pub(super) role: Role,
    /// How often all sessions were ended.
    pub(super) epoch: i64,
}

impl Accounts {
    pub(super) fn new(store: Store, outbox: Outbox) -> Self {
        Self { store, outbox }
    }

    /// Creates a user; false when the email is taken.
    pub(super) async fn create(&self, user: &User, role: Role, hash: &str) -> sqlx::Result<bool> {
        let insert = self.store.sql(
            "INSERT INTO users (id, name, email, password_hash, role, epoch, created_at)
             VALUES ($1, $2, $3, $4, $5, 0, $6)",
        );
        let insert = insert.bind(&user.id).bind(&user.name).bind(&user.email).bind(hash);
        let insert = insert.bind(text(role)).bind(now_ms());
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
        let row = self.store.sql("SELECT id, name, email FROM users WHERE id = $1").bind(id);
        let row = self.store.fetch_optional(row).await?;
        row.map(|row| Ok(User { id: row.try_get(0)?, name: row.try_get(1)?, email: row.try_get(2)? }))
            .transpose()
    }

    pub(super) async fn by_email(&self, email: &str) -> sqlx::Result<Option<Account>> {
        let row = "SELECT id, password_hash, role, epoch FROM users WHERE email = $1";
        let row = self.store.fetch_optional(self.store.sql(row).bind(email)).await?;
        row.as_ref().map(account).transpose()
    }

    pub(super) async fn account(&self, id: &str) -> sqlx::Result<Option<Account>> {
        let row = "SELECT id, password_hash, role, epoch FROM users WHERE id = $1";
        let row = self.store.fetch_optional(self.store.sql(row).bind(id)).await?;
        row.as_ref().map(account).transpose()
    }

    /// Writes a password in another way; nothing is changed when it is another one by now.
    pub(super) async fn rehash(&self, account: Account, hash: String) -> sqlx::Result<()> {
        let update = self.store.sql(SET_PASSWORD);
        self.store.execute(update.bind(hash).bind(account.id).bind(account.hash)).await.map(drop)
    }

    /// Sets another password and ends all sessions, which would last for `lasts`; false when it is another one by now.
    pub(super) async fn set_password(
        &self,
        account: Account,
        hash: String,
        lasts: Duration,
    ) -> sqlx::Result<bool> {
        let update = self.store.sql(SET_PASSWORD);
        let update = update.bind(hash).bind(account.id.clone()).bind(account.hash);
        let set = self.store.change(async move |mut change| {
            if update.execute(&mut *change).await?.rows_affected() != 1 {
                return Ok(false);
            }
            end_all(&mut change, &account.id, lasts).await?;
            change.commit().await?;
            Ok(true)
        });
        set.await
    }
}

fn account(row: &AnyRow) -> sqlx::Result<Account> {
    let role: String = row.try_get(2)?;
    let role = match role.as_str() {
        ADMIN => Role::Admin,
        _ => Role::Customer,
    };
    Ok(Account { id: row.try_get(0)?, hash: row.try_get(1)?, role, epoch: row.try_get(3)? })
}

const ADMIN: &str = "ADMIN";

fn text(role: Role) -> &'static str {
    match role {
        Role::Customer => "CUSTOMER",
        Role::Admin => ADMIN,
    }
}
