//! A message as the broker carries it: what it is about in the properties, the payload as it is.

use super::{DELIVERIES, Message, Trouble};
use lapin::message::Delivery;
use lapin::protocol::basic::AMQPProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

/// How often a message has failed.
const TRIES: &str = "x-shop-tries";
const CREATED_AT: &str = "x-shop-created-at";
const REASON: &str = "x-shop-reason";
const DIED_AT: &str = "x-shop-died-at";

/// The longest id and topic, which have room in a store.
const LONGEST_NAME: usize = 40;

/// The longest reason that a header has room for.
const LONGEST_REASON: usize = 1000;

/// Stored on disk.
const PERSISTENT: u8 = 2;

/// Whatever came, as far as it can be understood. It is written anew each time that it goes into another queue: nothing
/// that somebody has put beside it, and that the broker would obey, goes along.
#[derive(Clone, Debug)]
pub(super) struct Envelope {
    id: String,
    topic: String,
    payload: Vec<u8>,
    created_at: i64,
    /// How often it has failed.
    pub(super) tries: i64,
    reason: String,
    died_at: i64,
}

impl Envelope {
    pub(super) fn of(message: Message) -> Self {
        let Message { id, topic, payload, created_at } = message;
        let payload = payload.into_bytes();
        Self { id, topic, payload, created_at, tries: 0, reason: String::new(), died_at: 0 }
    }

    pub(super) fn read(delivery: &Delivery) -> Self {
        let properties = &delivery.properties;
        let text = |name: &Option<ShortString>| name.as_ref().map(|name| name.as_str().to_owned());
        let number = |name| match header(properties, name) {
            Some(AMQPValue::LongLongInt(number)) => Some(*number),
            _ => None,
        };
        let reason = match header(properties, REASON) {
            Some(AMQPValue::LongString(reason)) => reason.to_string(),
            _ => String::new(),
        };
        Self {
            id: text(properties.message_id()).unwrap_or_default(),
            topic: text(properties.kind()).unwrap_or_else(|| delivery.routing_key.as_str().to_owned()),
            payload: delivery.data.clone(),
            created_at: number(CREATED_AT).unwrap_or_default(),
            // Anybody can have written it.
            tries: number(TRIES).unwrap_or_default().clamp(0, DELIVERIES),
            reason,
            died_at: number(DIED_AT).unwrap_or_default(),
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    pub(super) fn payload(&self) -> &[u8] {
        &self.payload
    }

    pub(super) fn reason(&self) -> &str {
        &self.reason
    }

    pub(super) fn died_at(&self) -> i64 {
        self.died_at
    }

    /// The message in it; or why it is none, now or later.
    pub(super) fn open(&self) -> Result<Message, String> {
        let name = |what: &str, name: &str| match name.len() {
            1..=LONGEST_NAME if name.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(name.to_owned()),
            _ => Err(format!("{what} is not of 1 to {LONGEST_NAME} visible characters: {name:?}")),
        };
        let (id, topic) = (name("its id", &self.id)?, name("its topic", &self.topic)?);
        let payload =
            str::from_utf8(&self.payload).map_err(|why| format!("its payload is no text: {why}"))?;
        Ok(Message { id, topic, payload: payload.to_owned(), created_at: self.created_at })
    }

    /// The same, having failed so often.
    pub(super) fn after(self, tries: i64) -> Self {
        Self { tries, ..self }
    }

    /// The same, dead.
    pub(super) fn dead(self, reason: &str, died_at: i64) -> Self {
        let end = reason.floor_char_boundary(LONGEST_REASON);
        Self { reason: reason[..end].to_owned(), died_at, ..self }
    }

    /// The same, as if it had never been delivered.
    pub(super) fn alive(self) -> Self {
        Self { tries: 0, reason: String::new(), died_at: 0, ..self }
    }

    pub(super) fn properties(&self) -> Result<AMQPProperties, Trouble> {
        let short = |text: &str| {
            ShortString::try_new(text).map_err(|why| Trouble::Broker(format!("{text:?} is too long: {why}")))
        };
        let mut headers = FieldTable::default();
        headers.insert(TRIES.into(), AMQPValue::LongLongInt(self.tries));
        headers.insert(CREATED_AT.into(), AMQPValue::LongLongInt(self.created_at));
        if self.died_at != 0 {
            headers.insert(DIED_AT.into(), AMQPValue::LongLongInt(self.died_at));
            headers.insert(REASON.into(), AMQPValue::LongString(self.reason.as_str().into()));
        }
        let properties = AMQPProperties::default().with_delivery_mode(PERSISTENT);
        let properties = properties.with_message_id(short(&self.id)?).with_type(short(&self.topic)?);
        Ok(properties.with_content_type("application/json".into()).with_headers(headers))
    }
}

fn header<'a>(properties: &'a AMQPProperties, name: &str) -> Option<&'a AMQPValue> {
    properties.headers().as_ref()?.inner().get(name)
}
