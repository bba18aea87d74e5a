//! Into the queues: published, and then confirmed.

use super::envelope::Envelope;
use super::{Message, Rabbit, Trouble, Unwanted};
use lapin::options::BasicPublishOptions;
use lapin::protocol::basic::AMQPProperties;
use lapin::types::ShortString;
use lapin::{Channel, Confirmation, PublisherConfirm};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Nobody waits for a place in a queue that is not there: the broker gives the message back.
const MANDATORY: BasicPublishOptions = BasicPublishOptions { mandatory: true, immediate: false };

/// Channels on which all is confirmed. Who fails on one, or is dropped with it, does not put it back.
#[derive(Clone, Debug, Default)]
pub(super) struct Idle(Arc<Mutex<Vec<Channel>>>);

impl Idle {
    fn take(&self) -> Option<Channel> {
        let mut channels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        channels.retain(|channel| channel.status().connected());
        channels.pop()
    }

    fn put(&self, channel: Channel) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(channel);
    }
}

impl Rabbit {
    pub(in super::super) async fn publish(&self, messages: Vec<Message>) -> Result<Vec<Unwanted>, Trouble> {
        let mut channel = match self.publisher.take() {
            Some(channel) => channel,
            None => self.channel().await?,
        };
        let mut returned = self.put(&channel, messages).await?;
        if !returned.is_empty() {
            // Somebody may have deleted a queue. With a new channel it is there again.
            channel = self.channel().await?;
            returned = self.put(&channel, returned).await?;
        }
        self.publisher.put(channel);
        Ok(returned.iter().map(Unwanted::nowhere).collect())
    }

    /// Has messages stored, and returns those that have come back.
    async fn put(&self, channel: &Channel, messages: Vec<Message>) -> Result<Vec<Message>, Trouble> {
        let mut confirms = Vec::new();
        for message in &messages {
            let topic = ShortString::try_new(message.topic.as_str());
            let topic = topic.map_err(|why| Trouble::Broker(format!("the topic is too long: {why}")))?;
            let properties = Envelope::of(message.clone()).properties()?;
            let (exchange, payload) = (self.topology.exchange(), message.payload.as_bytes());
            confirms.push(channel.basic_publish(exchange, topic, MANDATORY, payload, properties).await?);
        }
        // Which confirmation a message comes back with is not said, but that it is one of these.
        let mut returned = BTreeSet::new();
        for confirm in confirms {
            returned.extend(confirmed(confirm).await?);
        }
        Ok(messages.into_iter().filter(|message| returned.contains(&message.id)).collect())
    }
}

/// Has an envelope stored in a queue.
pub(super) async fn into(
    queue: ShortString,
    envelope: &Envelope,
    properties: AMQPProperties,
    channel: &Channel,
) -> Result<(), Trouble> {
    let (exchange, payload) = (ShortString::default(), envelope.payload());
    let confirm = channel.basic_publish(exchange, queue.clone(), MANDATORY, payload, properties).await?;
    match confirmed(confirm).await? {
        None => Ok(()),
        Some(_) => Err(Trouble::Broker(format!("the queue {queue} is gone"))),
    }
}

/// Waits until the broker has stored something, and returns the id of what it has given back.
async fn confirmed(confirm: PublisherConfirm) -> Result<Option<String>, Trouble> {
    match confirm.await? {
        Confirmation::Ack(returned) => Ok(returned.map(|returned| {
            let id = returned.properties.message_id();
            id.as_ref().map(|id| id.as_str().to_owned()).unwrap_or_default()
        })),
        _ => Err(Trouble::Broker("the broker could not store it".into())),
    }
}
