//! The queue on RabbitMQ. What waits to be delivered is counted: to read it would be to take it out of its place. The dead
//! letters are read while nobody else does, and put back.
//!
//! The broker does not count what a consumer has in its hands. So a mail that is missing is waited for, until it is late.

use super::books::{Books, DeadLetter, Sealed};
use crate::parts::bus::{Alone, Broker};
use crate::parts::failure::Failure;
use lapin::message::Delivery;
use lapin::options::{BasicGetOptions, BasicNackOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties, Queue};
use std::time::Duration;
use tokio::time::timeout;

/// How long a broker has for everything.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most dead letters that are read.
const MOST: u32 = 1000;

/// The one queue that a shop has, and the one in which its messages wait to be delivered again.
const QUEUES: [&str; 2] = ["mail", "mail.retry"];
const DEAD: &str = "mail.dead";

/// # Errors
///
/// When the broker cannot be reached, or has no such queues.
pub async fn read(broker: &Broker, books: &mut Books) -> Result<(), Failure> {
    let failed = |why: String| Failure::new(format!("the queues on {broker} cannot be read: {why}."));
    let seen = timeout(PATIENCE, look(broker)).await;
    let seen = seen.map_err(|_| failed(format!("it has not answered for {} s", PATIENCE.as_secs())))?;
    let (sealed, dead_letters) = seen.map_err(|why| failed(why.to_string()))?;
    books.sealed = Some(sealed);
    books.dead_letters = dead_letters;
    Ok(())
}

async fn look(broker: &Broker) -> lapin::Result<(Sealed, Vec<DeadLetter>)> {
    let properties = ConnectionProperties::default().with_connection_name("shop check".into());
    let connection = Connection::connect_uri(broker.uri(), properties).await?;
    let channel = connection.create_channel().await?;
    let mut waiting = Vec::new();
    for queue in QUEUES {
        let name = format!("{}.{queue}", broker.prefix());
        let count = find(&channel, &name).await?.message_count();
        waiting.push((name, count as usize));
    }
    let name = format!("{}.{DEAD}", broker.prefix());
    let alone = Alone::with(&connection, &name).await?;
    let dead = find(&channel, &name).await?;
    let letters = if dead.consumer_count() == 0 { leaf(&channel, &name).await? } else { Vec::new() };
    channel.close(200, "read".into()).await?;
    alone.leave().await?;
    connection.close(200, "read".into()).await?;
    let dead = letters.len().max(dead.message_count() as usize);
    Ok((Sealed { waiting, dead }, letters))
}

/// A queue that must be there.
async fn find(channel: &Channel, name: &str) -> lapin::Result<Queue> {
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(name.into(), options, FieldTable::default()).await
}

/// Takes what is in a queue, and puts it back.
async fn leaf(channel: &Channel, name: &str) -> lapin::Result<Vec<DeadLetter>> {
    let (mut letters, mut last) = (Vec::new(), None);
    for _ in 0..MOST {
        let Some(taken) = channel.basic_get(name.into(), BasicGetOptions::default()).await? else { break };
        last = Some(taken.delivery.delivery_tag);
        letters.push(letter(&taken.delivery));
    }
    if let Some(last) = last {
        let back = BasicNackOptions { multiple: true, requeue: true };
        channel.basic_nack(last, back).await?;
    }
    Ok(letters)
}

fn letter(delivery: &Delivery) -> DeadLetter {
    let properties = &delivery.properties;
    let text = |word: &Option<_>| word.as_ref().map(ToString::to_string);
    let reason = properties.headers().as_ref().and_then(|headers| headers.inner().get("x-shop-reason"));
    DeadLetter {
        id: text(properties.message_id()).unwrap_or_default(),
        topic: text(properties.kind()).unwrap_or_else(|| delivery.routing_key.to_string()),
        payload: String::from_utf8_lossy(&delivery.data).into_owned(),
        reason: match reason {
            Some(AMQPValue::LongString(reason)) => reason.to_string(),
            _ => "nobody has said why".into(),
        },
    }
}
