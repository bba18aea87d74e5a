//! The orders' rows.

use crate::contracts::order::{Order, Step};
use crate::contracts::product::Item;
use crate::parts::clock::now_ms;
use crate::parts::store::{Store, is_taken};
use sqlx::Row;
use sqlx::any::AnyRow;

pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS orders (
    id VARCHAR(40) PRIMARY KEY,
    user_id VARCHAR(40) NOT NULL,
    idempotency_key VARCHAR(255) NOT NULL,
    step VARCHAR(40) NOT NULL,
    items TEXT NOT NULL,
    total_cents BIGINT,
    buyer VARCHAR(400),
    payment_id VARCHAR(40),
    reason VARCHAR(255),
    created_at BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    UNIQUE (user_id, idempotency_key)
)";

/// For the sweeper.
pub(super) const INDEX: &str = "CREATE INDEX IF NOT EXISTS orders_due ON orders (step, due_at)";

/// How long the request that placed an order has it to itself before the sweeper looks at it.
const HEAD_START_MS: i64 = 2_000;

#[derive(Clone)]
pub(super) struct Book(Store);

/// An order with what only the saga knows of it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) user_id: String,
    pub(super) order: Order,
    /// How often the sweeper has tried to bring it on.
    pub(super) tries: i64,
}

/// What changes with a step.
#[derive(Default)]
pub(super) struct Change<'a> {
    pub(super) total_cents: Option<i64>,
    pub(super) buyer: Option<&'a str>,
    pub(super) payment_id: Option<&'a str>,
    pub(super) reason: Option<&'a str>,
}

impl Book {
    pub(super) fn new(store: Store) -> Self {
        Self(store)
    }

    /// Enters an order, or finds the one that this user has placed with this key.
    pub(super) async fn open(&self, id: &str, user: &str, key: &str, items: &[Item]) -> sqlx::Result<Entry> {
        let now = now_ms();
        let items = serde_json::to_string(items).map_err(|why| sqlx::Error::Encode(why.into()))?;
        let insert = sqlx::query(
            "INSERT INTO orders (id, user_id, idempotency_key, step, items, created_at, tries, due_at)
             VALUES ($1, $2, $3, 'PENDING', $4, $5, 0, $6)",
        );
        let insert = insert.bind(id).bind(user).bind(key).bind(items).bind(now).bind(now + HEAD_START_MS);
        match insert.execute(self.0.pool()).await {
            Err(error) if !is_taken(&error) => Err(error),
            _ => self.by_key(user, key).await?.ok_or(sqlx::Error::RowNotFound),
        }
    }

    /// The order that a user has placed with a key.
    pub(super) async fn by_key(&self, user: &str, key: &str) -> sqlx::Result<Option<Entry>> {
        let row = sqlx::query(
            "SELECT id, user_id, step, items, total_cents, payment_id, reason, created_at, tries
             FROM orders WHERE user_id = $1 AND idempotency_key = $2",
        );
        row.bind(user).bind(key).fetch_optional(self.0.pool()).await?.as_ref().map(entry).transpose()
    }

    pub(super) async fn find(&self, id: &str) -> sqlx::Result<Entry> {
        let row = sqlx::query(
            "SELECT id, user_id, step, items, total_cents, payment_id, reason, created_at, tries
             FROM orders WHERE id = $1",
        );
        entry(&row.bind(id).fetch_one(self.0.pool()).await?)
    }

    /// The newest orders of a user.
    pub(super) async fn of(&self, user: &str, most: i64) -> sqlx::Result<Vec<Order>> {
        let rows = sqlx::query(
            "SELECT id, user_id, step, items, total_cents, payment_id, reason, created_at, tries
             FROM orders WHERE user_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2",
        );
        let rows = rows.bind(user).bind(most).fetch_all(self.0.pool()).await?;
        rows.iter().map(|row| Ok(entry(row)?.order)).collect()
    }

    /// Takes a step, unless the order has gone another way; then it is left there.
    pub(super) async fn step(&self, id: &str, from: Step, to: Step, change: Change<'_>) -> sqlx::Result<()> {
        let update = sqlx::query(
            "UPDATE orders SET step = $1, total_cents = COALESCE($2, total_cents), buyer = COALESCE($3, buyer),
             payment_id = COALESCE($4, payment_id), reason = COALESCE($5, reason)
             WHERE id = $6 AND step = $7",
        );
        let update =
            update.bind(text(to)).bind(change.total_cents).bind(change.buyer).bind(change.payment_id);
        update.bind(change.reason).bind(id).bind(text(from)).execute(self.0.pool()).await.map(drop)
    }

    /// Orders that should have come on by now, the longest waiting first.
    pub(super) async fn due(&self, most: i64) -> sqlx::Result<Vec<(String, i64)>> {
        let rows = sqlx::query(
            "SELECT id, tries FROM orders
             WHERE step IN ('PENDING', 'RESERVED', 'PAID', 'REFUNDING', 'RELEASING') AND due_at <= $1
             ORDER BY due_at LIMIT $2",
        );
        let rows = rows.bind(now_ms()).bind(most).fetch_all(self.0.pool()).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// Puts the next try of an order off.
    pub(super) async fn put_off(&self, id: &str, tries: i64, pause_ms: i64) -> sqlx::Result<()> {
        let update = sqlx::query("UPDATE orders SET tries = $1, due_at = $2 WHERE id = $3");
        update.bind(tries).bind(now_ms() + pause_ms).bind(id).execute(self.0.pool()).await.map(drop)
    }
}

fn text(step: Step) -> &'static str {
    match step {
        Step::Pending => "PENDING",
        Step::Reserved => "RESERVED",
        Step::Paid => "PAID",
        Step::Confirmed => "CONFIRMED",
        Step::Refunding => "REFUNDING",
        Step::Releasing => "RELEASING",
        Step::Cancelled => "CANCELLED",
    }
}

fn entry(row: &AnyRow) -> sqlx::Result<Entry> {
    let step = match row.try_get::<String, _>(2)?.as_str() {
        "PENDING" => Step::Pending,
        "RESERVED" => Step::Reserved,
        "PAID" => Step::Paid,
        "CONFIRMED" => Step::Confirmed,
        "REFUNDING" => Step::Refunding,
        "RELEASING" => Step::Releasing,
        "CANCELLED" => Step::Cancelled,
        other => return Err(sqlx::Error::Decode(format!("no step of an order: {other}").into())),
    };
    let items =
        serde_json::from_str(&row.try_get::<String, _>(3)?).map_err(|why| sqlx::Error::Decode(why.into()))?;
    let order = Order {
        id: row.try_get(0)?,
        status: step.status(),
        step,
        total_cents: row.try_get(4)?,
        items,
        payment_id: row.try_get(5)?,
        reason: row.try_get(6)?,
        created_at: row.try_get(7)?,
    };
    Ok(Entry { user_id: row.try_get(1)?, order, tries: row.try_get(8)? })
}
