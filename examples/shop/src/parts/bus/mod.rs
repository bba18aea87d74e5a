//! What has happened, from those who did it to those whom it concerns: a durable queue for each consumer.
//!
//! There are two kinds behind one face. `AMQP_URL` names a RabbitMQ; unset, the queues are in one SQLite file of the
//! data folder, which all services share. On both a message is stored when [`publish`](Bus::publish) returns, in every
//! queue that is bound to its topic; it is delivered at least once, and so perhaps twice; who dies with it gives it back;
//! and one that was delivered five times in vain is a dead letter, with the reason beside it.

pub mod consumer;
mod dead;
mod gate;
mod queues;
#[cfg(feature = "rabbitmq")]
mod rabbit;
#[cfg(not(feature = "rabbitmq"))]
#[path = "no_rabbit.rs"]
mod rabbit;
#[cfg(test)]
mod tests;

pub use dead::DeadLetter;
pub use gate::{Gate, Trouble, Work};
#[cfg(all(feature = "rabbitmq", feature = "stage"))]
pub use rabbit::Alone;
pub use rabbit::Broker;

use super::config::Config;
use super::failure::Failure;
use bartizan::trace::TraceContext;
use queues::Queues;
use rabbit::Rabbit;
use serde::Deserialize;
use sqlx::Row;
use sqlx::any::AnyRow;
use std::time::Duration;

/// How long a message is handled before that is given up.
const ATTEMPT: Duration = Duration::from_secs(2);

/// How often a message is delivered before it is a dead letter.
const DELIVERIES: i64 = 5;

/// The pause after a delivery that failed, doubled with each.
const PAUSE_MS: i64 = 200;

/// The most messages that a consumer has at a time.
const IN_FLIGHT: u16 = 8;

/// The longest payload, in bytes.
const LONGEST: usize = 1 << 20;

/// Clones share the connections.
#[derive(Clone, Debug)]
pub struct Bus {
    kind: Kind,
    gate: Gate,
    /// Whether who opened it knows of anybody who hears.
    is_heard: bool,
}

#[derive(Clone, Debug)]
enum Kind {
    File(Queues),
    Rabbit(Rabbit),
}

/// What is read of an event that was traced.
#[derive(Deserialize)]
struct Traced {
    traceparent: String,
}

/// Something that has happened. Two messages of one id are the same one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    pub id: String,
    pub topic: String,
    pub payload: String,
    pub created_at: i64,
}

/// A message that the bus does not take, whoever tries it however often, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unwanted {
    pub id: String,
    pub why: String,
}

impl Unwanted {
    fn nowhere(message: &Message) -> Self {
        Self { id: message.id.clone(), why: format!("no queue is bound to {}", message.topic) }
    }
}

/// Fails unless the bus that is configured answers, and has the queues or takes them.
///
/// # Errors
///
/// When `AMQP_URL` names a broker that cannot be used.
pub async fn is_there(config: &Config, bindings: &[(&'static str, &'static str)]) -> Result<(), Failure> {
    match &config.amqp {
        Some(broker) => Rabbit::new(broker.clone(), &config.here, bindings).is_there().await,
        None => Ok(()),
    }
}

/// Fails unless the broker that is configured lets this shop in. Nothing is declared there.
///
/// # Errors
///
/// When `AMQP_URL` names a broker that cannot be used.
pub async fn answers(config: &Config) -> Result<(), Failure> {
    match &config.amqp {
        Some(broker) => Rabbit::new(broker.clone(), &config.here, &[]).answers().await,
        None => Ok(()),
    }
}

impl Bus {
    /// The RabbitMQ of `AMQP_URL`, or the queues of `<data-dir>/bus.db`; binds queues to topics. In a pattern `*` stands
    /// for one word: `order.*`. A broker may be away: it is asked when there is something to say to it, so that a service
    /// can be started again meanwhile. Whether one is there at all, [`is_there`] says when the shop is opened.
    ///
    /// # Errors
    ///
    /// When the file of the queues cannot be used.
    pub async fn open(config: &Config, bindings: &[(&'static str, &'static str)]) -> Result<Self, Failure> {
        let kind = match &config.amqp {
            Some(broker) => Kind::Rabbit(Rabbit::new(broker.clone(), &config.here, bindings)),
            None => Kind::File(Queues::open(config, bindings).await?),
        };
        Ok(Self { kind, gate: Gate::default(), is_heard: !bindings.is_empty() })
    }

    /// Has what is published and taken pass a gate.
    pub fn behind(self, gate: Gate) -> Self {
        Self { gate, ..self }
    }

    /// Stores messages in every queue that is bound to their topics, and returns those that it does not take: no queue is
    /// bound to their topic, or they are too long. Who opened the bus without any queue has nobody to tell, and if nobody hears,
    /// that is well.
    ///
    /// # Errors
    ///
    /// When it is not known of each whether it is stored. Publishing them again does no harm.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it may have stored some of them.
    pub async fn publish(&self, messages: Vec<Message>) -> Result<Vec<Unwanted>, Trouble> {
        let long = |message: &Message| message.payload.len() > LONGEST;
        let (long, messages): (Vec<_>, Vec<_>) = messages.into_iter().partition(long);
        let unwanted = long.into_iter().map(|Message { id, payload, .. }| Unwanted {
            id,
            why: format!("it is of {} bytes, and the longest is of {LONGEST}", payload.len()),
        });
        let mut unwanted: Vec<_> = unwanted.collect();
        if !messages.is_empty() {
            let nowhere = match self.kind.clone() {
                Kind::File(queues) => self.gate.pass(async move { queues.publish(messages).await }).await?,
                Kind::Rabbit(rabbit) => self.gate.pass(async move { rabbit.publish(messages).await }).await?,
            };
            unwanted.extend(nowhere.into_iter().filter(|_| self.is_heard));
        }
        Ok(unwanted)
    }

    /// Whether it answers, and, if this is a consumer's, its messages come.
    ///
    /// # Errors
    ///
    /// When not; the trouble says why.
    pub async fn ping(&self) -> Result<(), Trouble> {
        self.gate.door().await?;
        match &self.kind {
            Kind::File(queues) => Ok(queues.store().ping().await?),
            Kind::Rabbit(rabbit) => rabbit.ping().await,
        }
    }

    /// The file itself, for a test that locks it.
    #[cfg(test)]
    pub fn store(&self) -> &super::store::Store {
        match &self.kind {
            Kind::File(queues) => queues.store(),
            Kind::Rabbit(_) => panic!("a broker has no file"),
        }
    }

    /// Waits until nothing waits in a queue any more.
    #[cfg(test)]
    pub async fn drained(&self, queue: &'static str) {
        let drained = async {
            while self.waiting(queue).await != 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), drained).await.expect("the queue drains");
    }

    /// How many messages wait in a queue, or to be delivered again, or are in somebody's hands.
    #[cfg(test)]
    pub async fn waiting(&self, queue: &'static str) -> u32 {
        match &self.kind {
            Kind::File(queues) => queues.waiting(queue).await,
            Kind::Rabbit(rabbit) => rabbit.waiting(queue).await,
        }
    }
}

impl Message {
    /// Whose doing it tells, as far as that was traced. It is in the payload, so that it goes wherever that goes.
    pub fn sent_by(&self) -> Option<TraceContext> {
        serde_json::from_str::<Traced>(&self.payload).ok()?.traceparent.parse().ok()
    }

    /// Reads a row that begins with `id, topic, payload, created_at`.
    pub fn read(row: &AnyRow) -> sqlx::Result<Self> {
        let (id, topic) = (row.try_get(0)?, row.try_get(1)?);
        Ok(Self { id, topic, payload: row.try_get(2)?, created_at: row.try_get(3)? })
    }
}
