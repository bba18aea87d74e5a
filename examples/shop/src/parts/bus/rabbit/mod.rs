//! The queues of a RabbitMQ: a durable topic exchange, and for each consumer a durable queue, one in which deliveries that
//! failed wait for the next, and one for the dead letters.
//!
//! Nothing is acknowledged before what follows from it is confirmed: published messages are stored when the broker has
//! confirmed them, and one that goes into another queue is taken out of its own when it is there. How often a message has
//! failed stands in a header of its copies. One that comes back without a copy was in somebody's hands who died: that
//! counts as well, as it does where a lease is over, and is written into a copy before it is handled again.
//!
//! The way back from the waiting queue is the broker's own, at least once as well; that is why it is a quorum queue, and
//! the broker RabbitMQ 3.10 or later.

mod alone;
mod broker;
mod consume;
mod dead;
mod envelope;
mod link;
mod publish;
#[cfg(test)]
mod tests;
mod topology;

#[cfg(feature = "stage")]
pub use alone::Alone;
pub use broker::Broker;

use super::super::clock::now_ms;
use super::super::failure::Failure;
use super::consumer::{Never, Patience, Unhandled, attempt};
use super::{DELIVERIES, DeadLetter, Gate, IN_FLIGHT, Message, PAUSE_MS, Trouble, Unwanted};
use link::Link;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::timeout;
use topology::Topology;

/// How long a broker has to answer whether it is there.
const PATIENCE: Duration = Duration::from_secs(1);

/// Clones share the connection.
#[derive(Clone, Debug)]
pub(super) struct Rabbit {
    link: Link,
    topology: Arc<Topology>,
    /// Where channels lie that publish, while nobody does.
    publisher: publish::Idle,
    subscription: Arc<Subscription>,
}

impl From<lapin::Error> for Trouble {
    fn from(error: lapin::Error) -> Self {
        Self::Broker(error.to_string())
    }
}

/// Whether this consumes, and its messages come.
#[derive(Debug, Default)]
struct Subscription {
    wanted: AtomicBool,
    there: AtomicBool,
}

impl Rabbit {
    pub(super) fn new(broker: Broker, here: &str, bindings: &[(&'static str, &'static str)]) -> Self {
        let topology = Arc::new(Topology::new(broker.prefix(), bindings));
        let link = Link::new(broker, here);
        Self { link, topology, publisher: publish::Idle::default(), subscription: Arc::default() }
    }

    pub(super) async fn is_there(&self) -> Result<(), Failure> {
        self.usable(async { self.channel().await.map(drop) }).await
    }

    /// The same, without the queues.
    pub(super) async fn answers(&self) -> Result<(), Failure> {
        let asked = async { Ok(self.link.connection().await?.create_channel().await.map(drop)?) };
        self.usable(asked).await
    }

    async fn usable(&self, asked: impl Future<Output = Result<(), Trouble>>) -> Result<(), Failure> {
        let why = match timeout(link::CONNECT, asked).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(trouble)) => trouble.to_string(),
            Err(_) => "it gives no answer".into(),
        };
        let broker = self.link.broker();
        Err(Failure::new(format!("AMQP_URL is set, but the RabbitMQ at {broker} cannot be used: {why}.")))
    }

    pub(super) async fn ping(&self) -> Result<(), Trouble> {
        let subscription = &self.subscription;
        if subscription.wanted.load(Ordering::Acquire) && !subscription.there.load(Ordering::Acquire) {
            return Err(Trouble::Broker("no messages come".into()));
        }
        let asked =
            async { self.link.alive().ok_or_else(link::away)?.create_channel().await.map_err(Trouble::from) };
        match timeout(PATIENCE, asked).await {
            Ok(channel) => channel.map(drop),
            Err(_) => Err(Trouble::Broker("the broker gives no answer".into())),
        }
    }

    /// A channel of its own, on which what is published is confirmed, and before which all queues are there.
    async fn channel(&self) -> Result<lapin::Channel, Trouble> {
        let channel = self.link.connection().await?.create_channel().await?;
        channel.confirm_select(lapin::options::ConfirmSelectOptions::default()).await?;
        self.topology.declare(&channel).await?;
        Ok(channel)
    }

    /// How many messages there are in a queue and in the one that waits behind it. What is in somebody's hands is not
    /// counted by the broker.
    #[cfg(test)]
    pub(super) async fn waiting(&self, queue: &'static str) -> u32 {
        self.topology.count(&self.channel().await.unwrap(), queue).await
    }
}
