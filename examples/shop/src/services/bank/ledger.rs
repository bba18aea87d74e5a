//! The bank's book: one row per key.

use crate::contracts::bank::{Entry, EntryState};
use crate::parts::store::{Store, is_taken};
use sqlx::Row;
use sqlx::any::AnyRow;

pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS charges (
    id VARCHAR(40) PRIMARY KEY,
    amount_cents BIGINT NOT NULL,
    state VARCHAR(40) NOT NULL,
    reason VARCHAR(255)
)";

#[derive(Clone)]
pub(super) struct Ledger(Store);

impl Ledger {
    pub(super) fn new(store: Store) -> Self {
        Self(store)
    }

    /// Enters a key, or returns what was entered under it before.
    pub(super) async fn enter(
        &self,
        key: &str,
        amount_cents: i64,
        state: EntryState,
        reason: Option<&str>,
    ) -> sqlx::Result<Entry> {
        let insert =
            sqlx::query("INSERT INTO charges (id, amount_cents, state, reason) VALUES ($1, $2, $3, $4)");
        let insert = insert.bind(key).bind(amount_cents).bind(text(state)).bind(reason);
        match insert.execute(self.0.pool()).await {
            Err(error) if !is_taken(&error) => Err(error),
            _ => self.find(key).await?.ok_or(sqlx::Error::RowNotFound),
        }
    }

    pub(super) async fn find(&self, key: &str) -> sqlx::Result<Option<Entry>> {
        let row = sqlx::query("SELECT id, amount_cents, state, reason FROM charges WHERE id = $1").bind(key);
        row.fetch_optional(self.0.pool()).await?.as_ref().map(entry).transpose()
    }

    /// Gives captured money back; whoever asks second finds it given back.
    pub(super) async fn give_back(&self, key: &str) -> sqlx::Result<()> {
        let update =
            sqlx::query("UPDATE charges SET state = 'REFUNDED' WHERE id = $1 AND state = 'CAPTURED'");
        update.bind(key).execute(self.0.pool()).await.map(drop)
    }
}

fn text(state: EntryState) -> &'static str {
    match state {
        EntryState::Captured => "CAPTURED",
        EntryState::Declined => "DECLINED",
        EntryState::Refunded => "REFUNDED",
    }
}

fn entry(row: &AnyRow) -> sqlx::Result<Entry> {
    let state = match row.try_get::<String, _>(2)?.as_str() {
        "CAPTURED" => EntryState::Captured,
        "DECLINED" => EntryState::Declined,
        "REFUNDED" => EntryState::Refunded,
        other => return Err(sqlx::Error::Decode(format!("no state of a charge: {other}").into())),
    };
    Ok(Entry { key: row.try_get(0)?, amount_cents: row.try_get(1)?, state, reason: row.try_get(3)? })
}
