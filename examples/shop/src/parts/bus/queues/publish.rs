//! Into the queues.

use super::{Change, Message, Queues, Trouble, Unwanted};
use sqlx::Row;
use std::collections::BTreeSet;

impl Queues {
    /// All of them that are wanted, or none. One that is there already, alive or dead, is left as it is.
    pub(in super::super) async fn publish(&self, messages: Vec<Message>) -> Result<Vec<Unwanted>, Trouble> {
        let publish = self.store.change(async move |mut change| {
            let rows = sqlx::query("SELECT queue, pattern FROM bindings").fetch_all(&mut *change).await?;
            let bindings = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
            let bindings = bindings.collect::<sqlx::Result<Vec<(String, String)>>>()?;
            let mut unwanted = Vec::new();
            for message in &messages {
                let bound = bindings.iter().filter(|(_, pattern)| matches(pattern, &message.topic));
                let queues = bound.map(|(queue, _)| queue.as_str()).collect::<BTreeSet<_>>();
                if queues.is_empty() {
                    unwanted.push(Unwanted::nowhere(message));
                }
                for queue in queues {
                    store(&mut change, queue, message).await?;
                }
            }
            change.commit().await?;
            Ok(unwanted)
        });
        publish.await
    }
}

pub(super) async fn store(change: &mut Change, queue: &str, message: &Message) -> sqlx::Result<()> {
    let known = sqlx::query(
        "SELECT id FROM messages WHERE queue = $1 AND id = $2
         UNION ALL SELECT id FROM dead_letters WHERE queue = $3 AND id = $4",
    );
    let known = known.bind(queue).bind(&message.id).bind(queue).bind(&message.id);
    if known.fetch_optional(&mut **change).await?.is_some() {
        return Ok(());
    }
    let insert = sqlx::query(
        "INSERT INTO messages (queue, id, topic, payload, created_at, due_at, tries)
         VALUES ($1, $2, $3, $4, $5, 0, 0)",
    );
    let insert = insert.bind(queue).bind(&message.id).bind(&message.topic).bind(&message.payload);
    insert.bind(message.created_at).execute(&mut **change).await.map(drop)
}

/// Whether a topic is one of a pattern: word by word, where `*` stands for any one.
fn matches(pattern: &str, topic: &str) -> bool {
    let (mut words, mut wanted) = (topic.split('.'), pattern.split('.'));
    loop {
        match (wanted.next(), words.next()) {
            (None, None) => return true,
            (Some(wanted), Some(word)) if wanted == "*" || wanted == word => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_word() {
        assert!(matches("order.*", "order.created") && matches("user.created", "user.created"));
        assert!(matches("*.created", "user.created") && matches("*", "user"));
        for (pattern, topic) in [
            ("order.*", "order"),
            ("order.*", "order.item.added"),
            ("order.*", "orders.created"),
            ("*", "user.created"),
            ("user.created", "user.deleted"),
        ] {
            assert!(!matches(pattern, topic), "{pattern} {topic}");
        }
    }
}
