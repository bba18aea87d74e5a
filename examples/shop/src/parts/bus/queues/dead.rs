//! The dead letters in the file.

use super::publish::store;
use super::{DeadLetter, Message, Queues, Trouble};
use sqlx::Row;
use sqlx::any::AnyRow;

impl Queues {
    pub(in super::super) async fn dead_letters(&self, queue: &str) -> Result<Vec<DeadLetter>, Trouble> {
        let rows = sqlx::query(
            "SELECT id, topic, payload, reason, died_at FROM dead_letters WHERE queue = $1 ORDER BY died_at, id",
        );
        let rows = self.store.fetch_all(rows.bind(queue.to_owned())).await?;
        Ok(rows.iter().map(read).collect::<sqlx::Result<_>>()?)
    }

    /// Takes dead letters out, and puts them back into the queue or not.
    pub(in super::super) async fn bury_no_more(
        &self,
        queue: &str,
        id: Option<&str>,
        again: bool,
    ) -> Result<usize, Trouble> {
        let mut chosen = self.dead_letters(queue).await?;
        chosen.retain(|letter| id.is_none_or(|id| letter.id == id));
        let queue = queue.to_owned();
        let change = self.store.change(async move |mut change| {
            let mut many = 0;
            for DeadLetter { id, topic, payload, died_at, .. } in chosen {
                let delete = sqlx::query("DELETE FROM dead_letters WHERE queue = $1 AND id = $2");
                let delete = delete.bind(queue.clone()).bind(id.clone()).execute(&mut *change).await?;
                if delete.rows_affected() == 1 {
                    many += 1;
                    let message = Message { id, topic, payload, created_at: died_at };
                    if again {
                        store(&mut change, &queue, &message).await?;
                    }
                }
            }
            change.commit().await?;
            Ok::<_, sqlx::Error>(many)
        });
        Ok(change.await?)
    }
}

fn read(row: &AnyRow) -> sqlx::Result<DeadLetter> {
    Ok(DeadLetter {
        id: row.try_get(0)?,
        topic: row.try_get(1)?,
        payload: row.try_get(2)?,
        reason: row.try_get(3)?,
        died_at: row.try_get(4)?,
    })
}
