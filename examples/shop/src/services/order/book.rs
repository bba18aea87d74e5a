//! The orders' rows.

use crate::contracts::events::{ORDER_CANCELLED, ORDER_CONFIRMED, ORDER_CREATED, OrderEvent};
use crate::contracts::order::{Order, Step};
use crate::contracts::product::Item;
use crate::parts::clock::now_ms;
use crate::parts::outbox::{self, Outbox};
use crate::parts::store::{Change, Store, is_taken};
use sqlx::Row;
use sqlx::any::AnyRow;

pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS orders (
    id VARCHAR(40) PRIMARY KEY,
    user_id VARCHAR(40) NOT NULL,
    idempotency_key VARCHAR(255) NOT NULL,
    step VARCHAR(40) NOT NULL,
    items TEXT NOT NULL,
    total_cents BIGINT,
    buyer VARCHAR(400) NOT NULL,
    payment_id VARCHAR(40),
    reason VARCHAR(255),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    UNIQUE (user_id, idempotency_key)
)";

/// For the sweeper.
pub(super) const INDEX: &str = "CREATE INDEX IF NOT EXISTS orders_due ON orders (step, due_at)";

pub(super) const OUTBOX: &str = outbox::table!("order_outbox");

/// How long the request that placed an order has it to itself before the sweeper looks at it.
const HEAD_START_MS: i64 = 2_000;

/// Nobody puts an order off for so long. One that is to be looked at even later is due: the clock was put back.
const FARTHEST_MS: i64 = 10_000;

/// The orders that a clause names.
macro_rules! orders {
    ($store:expr, $clause:literal) => {
        $store.sql(concat!(
            "SELECT id, user_id, step, items, total_cents, payment_id, reason, created_at, buyer, tries FROM orders ",
            $clause
        ))
    };
}

/// Clones share the store. An event is put into its outbox with the row that it tells of.
#[derive(Clone)]
pub(super) struct Book {
    store: Store,
    outbox: Outbox,
}

/// An order with what only the saga knows of it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) user_id: String,
    pub(super) order: Order,
    /// The name of who buys, or "customer".
    pub(super) buyer: String,
    /// How often the sweeper has tried to bring it on.
    pub(super) tries: i64,
}

/// What changes with a step.
#[derive(Clone, Debug, Default)]
pub(super) struct Note {
    pub(super) total_cents: Option<i64>,
    pub(super) payment_id: Option<String>,
    pub(super) reason: Option<String>,
}

/// An order that is about to be entered.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) id: String,
    pub(super) user_id: String,
    pub(super) key: String,
    pub(super) buyer: String,
    pub(super) items: Vec<Item>,
}

impl Book {
    pub(super) fn new(store: Store, outbox: Outbox) -> Self {
        Self { store, outbox }
    }

    /// Enters an order, or finds the one that this user has placed with this key.
    pub(super) async fn open(&self, draft: Draft) -> sqlx::Result<Entry> {
        let (user, key, outbox) = (draft.user_id.clone(), draft.key.clone(), self.outbox.clone());
        let entered = self.store.change(async move |mut change| {
            let entry = enter(&mut change, draft).await?;
            outbox.put(&mut change, ORDER_CREATED, &event(&entry)).await?;
            change.commit().await?;
            outbox.wake();
            Ok(entry)
        });
        match entered.await {
            Err(error) if is_taken(&error) => self.by_key(&user, &key).await?.ok_or(sqlx::Error::RowNotFound),
            entered => entered,
        }
    }

    /// The order that a user has placed with a key.
    pub(super) async fn by_key(&self, user: &str, key: &str) -> sqlx::Result<Option<Entry>> {
        let row = orders!(self.store, "WHERE user_id = $1 AND idempotency_key = $2").bind(user).bind(key);
        self.store.fetch_optional(row).await?.as_ref().map(entry).transpose()
    }

    pub(super) async fn find(&self, id: &str) -> sqlx::Result<Entry> {
        entry(&self.store.fetch_one(orders!(self.store, "WHERE id = $1").bind(id)).await?)
    }

    /// The newest orders of a user.
    pub(super) async fn of(&self, user: &str, most: i64) -> sqlx::Result<Vec<Order>> {
        let rows = orders!(self.store, "WHERE user_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2");
        let rows = self.store.fetch_all(rows.bind(user).bind(most)).await?;
        rows.iter().map(|row| Ok(entry(row)?.order)).collect()
    }

    /// Takes a step, unless the order has gone another way; then it is left there.
    pub(super) async fn step(&self, from: &Entry, to: Step, note: Note) -> sqlx::Result<()> {
        let update = self.store.sql(
            "UPDATE orders SET step = $1, total_cents = COALESCE($2, total_cents),
             payment_id = COALESCE($3, payment_id), reason = COALESCE($4, reason), updated_at = $5
             WHERE id = $6 AND step = $7",
        );
        let update = update.bind(text(to)).bind(note.total_cents).bind(&note.payment_id).bind(&note.reason);
        let update = update.bind(now_ms()).bind(&from.order.id).bind(text(from.order.step));
        let topic = match to {
            Step::Confirmed => ORDER_CONFIRMED,
            Step::Cancelled => ORDER_CANCELLED,
            _ => return self.store.execute(update).await.map(drop),
        };
        // Nobody else has changed the row, or the step is not taken.
        let event = OrderEvent {
            total_cents: note.total_cents.or(from.order.total_cents),
            reason: note.reason.or_else(|| from.order.reason.clone()),
            ..event(from)
        };
        let outbox = self.outbox.clone();
        let step = self.store.change(async move |mut change| {
            if update.execute(&mut *change).await?.rows_affected() == 1 {
                outbox.put(&mut change, topic, &event).await?;
                change.commit().await?;
                outbox.wake();
            }
            Ok(())
        });
        step.await
    }

    /// Orders that should have come on by now, the longest waiting first.
    pub(super) async fn due(&self, most: i64) -> sqlx::Result<Vec<(String, i64)>> {
        let rows = self.store.sql(
            "SELECT id, tries FROM orders
             WHERE step IN ('PENDING', 'RESERVED', 'PAID', 'REFUNDING', 'RELEASING')
             AND (due_at <= $1 OR due_at > $2) ORDER BY due_at LIMIT $3",
        );
        let now = now_ms();
        let rows = self.store.fetch_all(rows.bind(now).bind(now + FARTHEST_MS).bind(most)).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// Puts the next try of an order off.
    pub(super) async fn put_off(&self, id: &str, tries: i64, pause_ms: i64) -> sqlx::Result<()> {
        let update = self.store.sql("UPDATE orders SET tries = $1, due_at = $2 WHERE id = $3");
        self.store.execute(update.bind(tries).bind(now_ms() + pause_ms).bind(id)).await.map(drop)
    }
}

async fn enter(change: &mut Change, draft: Draft) -> sqlx::Result<Entry> {
    let Draft { id, user_id, key, buyer, items } = draft;
    let now = now_ms();
    let text = serde_json::to_string(&items).map_err(|why| sqlx::Error::Encode(why.into()))?;
    let insert = change.sql(
        "INSERT INTO orders
         (id, user_id, idempotency_key, step, items, buyer, created_at, updated_at, tries, due_at)
         VALUES ($1, $2, $3, 'PENDING', $4, $5, $6, $7, 0, $8)",
    );
    let insert = insert.bind(&id).bind(&user_id).bind(key).bind(text).bind(&buyer);
    insert.bind(now).bind(now).bind(now + HEAD_START_MS).execute(&mut **change).await?;
    let (step, total_cents, payment_id, reason) = (Step::Pending, None, None, None);
    let status = step.status();
    let order = Order { id, status, step, total_cents, items, payment_id, reason, created_at: now };
    Ok(Entry { user_id, order, buyer, tries: 0 })
}

/// What is told of an order.
fn event(Entry { user_id, order, buyer, .. }: &Entry) -> OrderEvent {
    OrderEvent {
        order_id: order.id.clone(),
        user_id: user_id.clone(),
        buyer: buyer.clone(),
        items: order.items.clone(),
        total_cents: order.total_cents,
        reason: order.reason.clone(),
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
    Ok(Entry { user_id: row.try_get(1)?, order, buyer: row.try_get(8)?, tries: row.try_get(9)? })
}

#[cfg(test)]
mod tests;
