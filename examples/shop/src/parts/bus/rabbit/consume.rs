//! Out of the queues: handled one after the other, and acknowledged each.

use super::envelope::Envelope;
use super::publish::into;
use super::{
    DELIVERIES, Gate, IN_FLIGHT, Message, Never, Ordering, PAUSE_MS, Patience, Rabbit, Subscription, Trouble,
    Unhandled, attempt, now_ms,
};
use futures_core::Stream;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Consumer};
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;
use tokio::runtime::Handle;

/// What came of a delivery.
enum Outcome {
    Handled,
    /// It failed, for this reason.
    Failed(String),
    /// Nobody could look at it.
    Untouched(sqlx::Error),
}

/// Says that messages come, until it is dropped.
struct Subscribed<'a>(&'a Subscription);

impl Drop for Subscribed<'_> {
    fn drop(&mut self) {
        self.0.there.store(false, Ordering::Release);
    }
}

/// The channel of a consumer, which is closed with it: the broker keeps what is in the hands of one that is only
/// forgotten.
struct Own(Channel);

impl Drop for Own {
    fn drop(&mut self) {
        let channel = self.0.clone();
        // Without a runtime the connection ends as well.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move { channel.close(200, "done".into()).await });
        }
    }
}

impl Rabbit {
    /// Handles what comes, until the broker fails. A consumer's own store that fails is waited for.
    pub(in super::super) async fn consume<F, Fut>(
        &self,
        gate: &Gate,
        queue: &'static str,
        handle: &F,
        patience: &mut Patience,
    ) -> Result<Never, Trouble>
    where
        F: Fn(Message) -> Fut,
        Fut: Future<Output = Result<(), Unhandled>> + Send + 'static,
    {
        self.subscription.wanted.store(true, Ordering::Release);
        let rabbit = self.clone();
        // Who is given up in the middle of it would leave a consumer behind that nobody hears.
        let subscribing = tokio::spawn(async move {
            let (channel, consumer) = rabbit.subscribe(queue).await?;
            Ok::<_, Trouble>((Own(channel), consumer))
        });
        let gone = |_| Trouble::Broker("the runtime is closing".into());
        let (channel, mut consumer) = gate.pass(async move { subscribing.await.map_err(gone)? }).await?;
        let channel = &channel.0;
        self.subscription.there.store(true, Ordering::Release);
        let _subscribed = Subscribed(&self.subscription);
        let mut store = Patience::default();
        while let Some(delivery) = next(&mut consumer).await {
            gate.door().await?;
            match self.deliver(channel, queue, &delivery?, handle).await? {
                None => store = Patience::default(),
                Some(error) => {
                    tracing::warn!(queue, %error, "nothing can be written down");
                    store.wait().await;
                }
            }
            *patience = Patience::default();
        }
        Err(Trouble::Broker("the broker sends nothing any more".into()))
    }

    /// Its channel is this consumer's own: when it is dropped, what is in its hands goes back.
    pub(super) async fn subscribe(&self, queue: &'static str) -> Result<(Channel, Consumer), Trouble> {
        let channel = self.channel().await?;
        channel.basic_qos(IN_FLIGHT, BasicQosOptions::default()).await?;
        let (queue, nameless) = (self.topology.queue(queue), ShortString::default());
        let options = BasicConsumeOptions::default();
        let consumer = channel.basic_consume(queue, nameless, options, FieldTable::default()).await?;
        Ok((channel, consumer))
    }

    /// Hands a message over and settles it; returns what the consumer's own store has failed with.
    pub(super) async fn deliver<F, Fut>(
        &self,
        channel: &Channel,
        queue: &'static str,
        delivery: &Delivery,
        handle: &F,
    ) -> Result<Option<sqlx::Error>, Trouble>
    where
        F: Fn(Message) -> Fut,
        Fut: Future<Output = Result<(), Unhandled>> + Send + 'static,
    {
        let envelope = Envelope::read(delivery);
        let (tries, mut trouble) = (envelope.tries + 1, None);
        match envelope.open() {
            Err(reason) => self.bury(channel, queue, envelope, &reason).await?,
            Ok(_) if delivery.redelivered && tries >= DELIVERIES => {
                let reason = format!("delivered {tries} times, and nobody came to the end of it");
                self.bury(channel, queue, envelope, &reason).await?;
            }
            Ok(_) if delivery.redelivered => self.put_off(channel, queue, envelope, tries).await?,
            Ok(message) => match outcome(attempt(queue, message, handle).await) {
                Outcome::Handled => {}
                Outcome::Failed(reason) if tries >= DELIVERIES => {
                    self.bury(channel, queue, envelope, &reason).await?;
                }
                Outcome::Failed(_) => self.put_off(channel, queue, envelope, tries).await?,
                Outcome::Untouched(error) => {
                    let tries = envelope.tries;
                    self.put_off(channel, queue, envelope, tries).await?;
                    trouble = Some(error);
                }
            },
        }
        delivery.ack(BasicAckOptions::default()).await?;
        Ok(trouble)
    }

    /// Has a message wait for its next delivery.
    async fn put_off(
        &self,
        channel: &Channel,
        queue: &'static str,
        envelope: Envelope,
        tries: i64,
    ) -> Result<(), Trouble> {
        let envelope = envelope.after(tries);
        let pause = Duration::from_millis((PAUSE_MS << tries.min(DELIVERIES)).unsigned_abs());
        let properties = envelope.properties()?.with_expiration(pause.as_millis().to_string().into());
        into(self.topology.retry(queue), &envelope, properties, channel).await
    }

    async fn bury(
        &self,
        channel: &Channel,
        queue: &'static str,
        envelope: Envelope,
        reason: &str,
    ) -> Result<(), Trouble> {
        let (id, topic) = (envelope.id(), envelope.topic());
        tracing::error!(queue, id, topic, reason, "a dead letter");
        let envelope = envelope.dead(reason, now_ms());
        into(self.topology.dead(queue), &envelope, envelope.properties()?, channel).await
    }
}

pub(super) async fn next(consumer: &mut Consumer) -> Option<lapin::Result<Delivery>> {
    poll_fn(|cx| Pin::new(&mut *consumer).poll_next(cx)).await
}

fn outcome(handled: Result<(), Unhandled>) -> Outcome {
    match handled {
        Ok(()) => Outcome::Handled,
        Err(Unhandled::Message(reason)) => Outcome::Failed(reason),
        Err(Unhandled::Store(error)) => Outcome::Untouched(error),
    }
}
