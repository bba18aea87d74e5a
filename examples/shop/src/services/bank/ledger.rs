//! The bank's book: one row per key, and one for each time that money has moved.

use crate::contracts::bank::{Charge, Entry, EntryState};
use crate::parts::clock::now_ms;
use crate::parts::id;
use crate::parts::store::{Change, Store, repeated};
use sqlx::Row;
use sqlx::any::AnyRow;

pub(super) const TABLES: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS charges (
        id VARCHAR(40) PRIMARY KEY,
        amount_cents BIGINT NOT NULL,
        reference VARCHAR(40) NOT NULL,
        state VARCHAR(40) NOT NULL,
        reason VARCHAR(255)
    )",
    // What is taken is above zero, what is given back below it.
    "CREATE TABLE IF NOT EXISTS movements (
        id VARCHAR(40) PRIMARY KEY,
        charge_id VARCHAR(40) NOT NULL,
        reference VARCHAR(40) NOT NULL,
        amount_cents BIGINT NOT NULL,
        at BIGINT NOT NULL
    )",
];

#[derive(Clone)]
pub(super) struct Ledger(Store);

impl Ledger {
    pub(super) fn new(store: Store) -> Self {
        Self(store)
    }

    /// Takes the money of a charge, unless there is a reason against it, or returns what was entered under its key
    /// before.
    pub(super) async fn charge(
        &self,
        key: String,
        Charge { amount_cents, reference }: Charge,
        declined: Option<String>,
    ) -> sqlx::Result<Entry> {
        repeated(|| {
            let (key, reference, declined) = (key.clone(), reference.clone(), declined.clone());
            self.0.change(async move |mut change| {
                if let Some(entry) = find(&mut change, &key).await? {
                    return Ok(entry);
                }
                let state = if declined.is_some() { EntryState::Declined } else { EntryState::Captured };
                let entry = Entry { key, amount_cents, state, reason: declined };
                enter(&mut change, &entry, &reference).await?;
                if state == EntryState::Captured {
                    move_money(&mut change, &entry.key, &reference, amount_cents).await?;
                }
                change.commit().await?;
                Ok(entry)
            })
        })
        .await
    }

    /// Gives captured money back, and uses a key up that was never used.
    pub(super) async fn refund(&self, key: String) -> sqlx::Result<Entry> {
        repeated(|| {
            let key = key.clone();
            self.0.change(async move |mut change| {
                let Some(entry) = find(&mut change, &key).await? else {
                    let entry = Entry { key, amount_cents: 0, state: EntryState::Refunded, reason: None };
                    enter(&mut change, &entry, "").await?;
                    change.commit().await?;
                    return Ok(entry);
                };
                if entry.state != EntryState::Captured {
                    return Ok(entry);
                }
                let reference = change.sql("SELECT reference FROM charges WHERE id = $1").bind(&entry.key);
                let reference: String = reference.fetch_one(&mut *change).await?.try_get(0)?;
                let update =
                    change.sql("UPDATE charges SET state = 'REFUNDED' WHERE id = $1 AND state = 'CAPTURED'");
                // Captured money goes one way only: who has not turned the row, was not the first to refund it.
                if update.bind(&entry.key).execute(&mut *change).await?.rows_affected() == 1 {
                    move_money(&mut change, &entry.key, &reference, -entry.amount_cents).await?;
                }
                change.commit().await?;
                Ok(Entry { state: EntryState::Refunded, ..entry })
            })
        })
        .await
    }

    pub(super) async fn find(&self, key: &str) -> sqlx::Result<Option<Entry>> {
        let row = self.0.sql(FIND).bind(key);
        self.0.fetch_optional(row).await?.as_ref().map(entry).transpose()
    }
}

const FIND: &str = "SELECT id, amount_cents, state, reason FROM charges WHERE id = $1";

async fn find(change: &mut Change, key: &str) -> sqlx::Result<Option<Entry>> {
    change.sql(FIND).bind(key).fetch_optional(&mut **change).await?.as_ref().map(entry).transpose()
}

async fn enter(change: &mut Change, entry: &Entry, reference: &str) -> sqlx::Result<()> {
    let insert = change
        .sql("INSERT INTO charges (id, amount_cents, reference, state, reason) VALUES ($1, $2, $3, $4, $5)");
    let insert = insert.bind(&entry.key).bind(entry.amount_cents).bind(reference).bind(text(entry.state));
    insert.bind(&entry.reason).execute(&mut **change).await.map(drop)
}

async fn move_money(change: &mut Change, key: &str, reference: &str, cents: i64) -> sqlx::Result<()> {
    let insert = change.sql(
        "INSERT INTO movements (id, charge_id, reference, amount_cents, at) VALUES ($1, $2, $3, $4, $5)",
    );
    let insert = insert.bind(id::new()).bind(key).bind(reference).bind(cents).bind(now_ms());
    insert.execute(&mut **change).await.map(drop)
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
