//! Out of the queues: taken under a lease, and settled before it is over. Both take the time as an argument.

use super::{Change, DELIVERIES, Message, PAUSE_MS, Queues, Store, Trouble};
use sqlx::Row;

/// How long a consumer has a message to itself. One that is slower than that is taken for dead; what it does all the
/// same is done twice, and its inbox knows.
pub(super) const LEASE_MS: i64 = 10_000;

/// No message is put off for so long. One that is, was so before the clock was put back.
const FARTHEST_MS: i64 = 60_000;

/// A message that is this consumer's for a while.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) message: Message,
    /// Which delivery of this message it is, counted from 1. It names the lease as well: whoever takes the message
    /// later has another one.
    pub(super) tries: i64,
}

/// What came of a delivery.
#[derive(Debug)]
pub(super) enum Outcome {
    Handled,
    Failed(String),
    /// Nobody could look at it. It does not count.
    Untouched,
}

impl Queues {
    /// Takes the oldest messages that are due. One that has used up its deliveries, and whose lease is over
    /// nevertheless, is buried.
    pub(super) async fn take(
        &self,
        queue: &'static str,
        most: i64,
        now: i64,
    ) -> Result<Vec<Delivery>, Trouble> {
        Ok(due(&self.store, queue, most, now).await?)
    }

    /// Writes down what came of the deliveries of a round.
    pub(super) async fn settle(
        &self,
        queue: &'static str,
        outcomes: Vec<(Delivery, Outcome)>,
        now: i64,
    ) -> sqlx::Result<()> {
        let settle = self.store.change(async move |mut change| {
            for (delivery, outcome) in &outcomes {
                let tries = delivery.tries;
                match outcome {
                    Outcome::Handled => {
                        let delete = sqlx::query("DELETE FROM messages WHERE queue = $1 AND id = $2");
                        delete.bind(queue).bind(&delivery.message.id).execute(&mut *change).await?;
                    }
                    Outcome::Failed(reason) if tries >= DELIVERIES => {
                        bury(&mut change, queue, delivery, reason, now).await?;
                    }
                    Outcome::Failed(_) => {
                        put_off(&mut change, queue, delivery, tries, now + (PAUSE_MS << tries)).await?;
                    }
                    Outcome::Untouched => put_off(&mut change, queue, delivery, tries - 1, now).await?,
                }
            }
            change.commit().await
        });
        settle.await
    }
}

async fn due(queues: &Store, queue: &'static str, most: i64, now: i64) -> sqlx::Result<Vec<Delivery>> {
    // An idle queue costs a look, and no lock.
    let due =
        sqlx::query("SELECT id FROM messages WHERE queue = $1 AND (due_at <= $2 OR due_at > $3) LIMIT 1");
    let due = due.bind(queue).bind(now).bind(now + FARTHEST_MS);
    if queues.fetch_optional(due).await?.is_none() {
        return Ok(Vec::new());
    }
    let take = queues.change(async move |mut change| {
        let rows = sqlx::query(
            "SELECT id, topic, payload, created_at, tries FROM messages
                 WHERE queue = $1 AND (due_at <= $2 OR due_at > $3) ORDER BY id LIMIT $4",
        );
        let rows =
            rows.bind(queue).bind(now).bind(now + FARTHEST_MS).bind(most).fetch_all(&mut *change).await?;
        let mut taken = Vec::new();
        for row in &rows {
            let (message, tries) = (Message::read(row)?, row.try_get::<i64, _>(4)?);
            if tries >= DELIVERIES {
                let reason = format!("delivered {tries} times, and nobody came to the end of it");
                bury(&mut change, queue, &Delivery { message, tries }, &reason, now).await?;
            } else if lease(&mut change, queue, &message.id, tries, now).await? {
                taken.push(Delivery { message, tries: tries + 1 });
            }
        }
        change.commit().await?;
        Ok(taken)
    });
    take.await
}

/// Takes a message, unless somebody has been quicker.
async fn lease(change: &mut Change, queue: &str, id: &str, tries: i64, now: i64) -> sqlx::Result<bool> {
    let update = sqlx::query(
        "UPDATE messages SET due_at = $1, tries = $2 WHERE queue = $3 AND id = $4 AND tries = $5
         AND (due_at <= $6 OR due_at > $7)",
    );
    let update = update.bind(now + LEASE_MS).bind(tries + 1).bind(queue).bind(id).bind(tries).bind(now);
    let update = update.bind(now + FARTHEST_MS);
    Ok(update.execute(&mut **change).await?.rows_affected() == 1)
}

/// Ends a lease, if it is still this one.
async fn put_off(
    change: &mut Change,
    queue: &str,
    delivery: &Delivery,
    tries: i64,
    due_at: i64,
) -> sqlx::Result<()> {
    let update = sqlx::query(
        "UPDATE messages SET due_at = $1, tries = $2 WHERE queue = $3 AND id = $4 AND tries = $5",
    );
    let update = update.bind(due_at).bind(tries).bind(queue).bind(&delivery.message.id).bind(delivery.tries);
    update.execute(&mut **change).await.map(drop)
}

/// Moves a message to the dead letters, if this lease of it is still the last.
async fn bury(
    change: &mut Change,
    queue: &str,
    Delivery { message, tries }: &Delivery,
    reason: &str,
    now: i64,
) -> sqlx::Result<()> {
    let delete = sqlx::query("DELETE FROM messages WHERE queue = $1 AND id = $2 AND tries = $3");
    let delete = delete.bind(queue).bind(&message.id).bind(*tries);
    if delete.execute(&mut **change).await?.rows_affected() != 1 {
        return Ok(());
    }
    tracing::error!(queue, id = message.id, topic = message.topic, reason, "a dead letter");
    let insert = sqlx::query(
        "INSERT INTO dead_letters (queue, id, topic, payload, reason, died_at) VALUES ($1, $2, $3, $4, $5, $6)",
    );
    let insert = insert.bind(queue).bind(&message.id).bind(&message.topic).bind(&message.payload);
    insert.bind(reason).bind(now).execute(&mut **change).await.map(drop)
}
