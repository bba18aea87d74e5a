//! What the shop has in a broker. Whoever publishes or consumes declares all of it first, so that it comes back by itself.

use super::Trouble;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ExchangeKind};
use std::collections::BTreeSet;

#[derive(Debug)]
pub(super) struct Topology {
    prefix: String,
    bindings: Vec<(&'static str, &'static str)>,
}

impl Topology {
    pub(super) fn new(prefix: &str, bindings: &[(&'static str, &'static str)]) -> Self {
        Self { prefix: prefix.to_owned(), bindings: bindings.to_vec() }
    }

    /// Where everything is published.
    pub(super) fn exchange(&self) -> ShortString {
        format!("{}.events", self.prefix).into()
    }

    /// What a consumer consumes.
    pub(super) fn queue(&self, queue: &str) -> ShortString {
        format!("{}.{queue}", self.prefix).into()
    }

    /// Where deliveries that failed wait for the next.
    pub(super) fn retry(&self, queue: &str) -> ShortString {
        format!("{}.{queue}.retry", self.prefix).into()
    }

    pub(super) fn dead(&self, queue: &str) -> ShortString {
        format!("{}.{queue}.dead", self.prefix).into()
    }

    /// Has all of it be there.
    pub(super) async fn declare(&self, channel: &Channel) -> Result<(), Trouble> {
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let (kind, none) = (ExchangeKind::Topic, FieldTable::default);
        channel.exchange_declare(self.exchange(), kind, durable, none()).await?;
        for queue in self.bindings.iter().map(|(queue, _)| *queue).collect::<BTreeSet<_>>() {
            let durable = QueueDeclareOptions::durable();
            channel.queue_declare(self.dead(queue), durable, none()).await?;
            channel.queue_declare(self.queue(queue), durable, none()).await?;
            channel.queue_declare(self.retry(queue), durable, self.waiting(queue)).await?;
        }
        for (queue, pattern) in &self.bindings {
            let (queue, exchange, bind) = (self.queue(queue), self.exchange(), QueueBindOptions::default());
            channel.queue_bind(queue, exchange, (*pattern).into(), bind, none()).await?;
        }
        Ok(())
    }

    /// What waits goes back when its time is over, and is deleted when it is there.
    fn waiting(&self, queue: &str) -> FieldTable {
        let back = self.queue(queue);
        let arguments = [
            ("x-queue-type", "quorum"),
            ("x-overflow", "reject-publish"),
            ("x-dead-letter-strategy", "at-least-once"),
            ("x-dead-letter-exchange", ""),
            ("x-dead-letter-routing-key", back.as_str()),
        ];
        let mut table = FieldTable::default();
        for (name, value) in arguments {
            table.insert(name.into(), AMQPValue::LongString(value.into()));
        }
        table
    }

    #[cfg(test)]
    pub(super) async fn count(&self, channel: &Channel, queue: &str) -> u32 {
        let mut count = 0;
        for queue in [self.queue(queue), self.retry(queue)] {
            let there = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
            count +=
                channel.queue_declare(queue, there, FieldTable::default()).await.unwrap().message_count();
        }
        count
    }
}
