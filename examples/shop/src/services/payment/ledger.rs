//! The payments' rows.

use crate::contracts::payment::{ChargeRequest, Payment, State};
use crate::parts::clock::now_ms;
use crate::parts::id;
use crate::parts::store::{Store, is_taken};
use sqlx::Row;
use sqlx::any::AnyRow;

pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS payments (
    id VARCHAR(40) PRIMARY KEY,
    idempotency_key VARCHAR(40) NOT NULL UNIQUE,
    order_id VARCHAR(40) NOT NULL,
    user_id VARCHAR(40) NOT NULL,
    amount_cents BIGINT NOT NULL,
    state VARCHAR(40) NOT NULL,
    reason VARCHAR(255) NOT NULL,
    created_at BIGINT NOT NULL
)";

#[derive(Clone)]
pub(super) struct Ledger(Store);

/// Whether a payment was refunded before it was charged: its row knows nothing but its key.
pub(super) fn voided(payment: &Payment) -> bool {
    payment.state() == State::Refunded && payment.order_id.is_empty()
}

impl Ledger {
    pub(super) fn new(store: Store) -> Self {
        Self(store)
    }

    /// Opens a payment that nothing is known of yet, or finds the one with its key.
    pub(super) async fn open(&self, charge: &ChargeRequest) -> sqlx::Result<Payment> {
        let key = &charge.idempotency_key;
        self.insert(key, &charge.order_id, &charge.user_id, charge.amount_cents, State::Unknown).await
    }

    /// Finds the payment with a key, or uses the key up.
    pub(super) async fn void_or_find(&self, key: &str) -> sqlx::Result<Payment> {
        self.insert(key, "", "", 0, State::Refunded).await
    }

    async fn insert(
        &self,
        key: &str,
        order: &str,
        user: &str,
        cents: i64,
        state: State,
    ) -> sqlx::Result<Payment> {
        let insert = self.0.sql(
            "INSERT INTO payments (id, idempotency_key, order_id, user_id, amount_cents, state, reason, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, '', $7)",
        );
        let insert = insert.bind(id::new()).bind(key).bind(order).bind(user).bind(cents);
        match self.0.execute(insert.bind(state.as_str_name()).bind(now_ms())).await {
            Err(error) if !is_taken(&error) => Err(error),
            _ => self.by_key(key).await?.ok_or(sqlx::Error::RowNotFound),
        }
    }

    pub(super) async fn by_key(&self, key: &str) -> sqlx::Result<Option<Payment>> {
        self.find(
            "SELECT id, order_id, user_id, amount_cents, state, reason FROM payments WHERE idempotency_key = $1",
            key,
        )
        .await
    }

    pub(super) async fn by_id(&self, id: &str) -> sqlx::Result<Option<Payment>> {
        self.find("SELECT id, order_id, user_id, amount_cents, state, reason FROM payments WHERE id = $1", id)
            .await
    }

    /// Changes a state, unless it is another one by now.
    pub(super) async fn turn(&self, key: &str, from: State, to: State, reason: &str) -> sqlx::Result<()> {
        let update = self
            .0
            .sql("UPDATE payments SET state = $1, reason = $2 WHERE idempotency_key = $3 AND state = $4");
        let update = update.bind(to.as_str_name()).bind(reason).bind(key).bind(from.as_str_name());
        self.0.execute(update).await.map(drop)
    }

    /// Begins to give money back, whatever a charge that is under way makes of the payment meanwhile.
    pub(super) async fn turn_back(&self, key: &str) -> sqlx::Result<()> {
        let update = self.0.sql(
            "UPDATE payments SET state = 'STATE_REFUNDING'
             WHERE idempotency_key = $1 AND state IN ('STATE_UNKNOWN', 'STATE_CAPTURED')",
        );
        self.0.execute(update.bind(key)).await.map(drop)
    }

    async fn find(&self, query: &'static str, name: &str) -> sqlx::Result<Option<Payment>> {
        self.0.fetch_optional(self.0.sql(query).bind(name)).await?.as_ref().map(payment).transpose()
    }
}

fn payment(row: &AnyRow) -> sqlx::Result<Payment> {
    let state = row.try_get::<String, _>(4)?;
    let state = State::from_str_name(&state)
        .ok_or_else(|| sqlx::Error::Decode(format!("no state of a payment: {state}").into()))?;
    Ok(Payment {
        id: row.try_get(0)?,
        order_id: row.try_get(1)?,
        user_id: row.try_get(2)?,
        amount_cents: row.try_get(3)?,
        state: state.into(),
        reason: row.try_get(5)?,
    })
}
