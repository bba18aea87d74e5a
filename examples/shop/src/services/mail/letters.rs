//! What a mail says.

use crate::contracts::events::{
    ORDER_CANCELLED, ORDER_CONFIRMED, ORDER_CREATED, OrderEvent, USER_CREATED, UserEvent,
};
use crate::parts::bus::Message;
use serde::de::DeserializeOwned;

/// A mail that is not written down yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Letter {
    /// The order or the user that it is about.
    pub(super) subject_id: String,
    pub(super) kind: &'static str,
    pub(super) recipient: String,
    pub(super) body: String,
}

/// What a store has room for.
const LONGEST_SUBJECT: usize = 40;
const LONGEST_RECIPIENT: usize = 400;
const LONGEST_BODY: usize = 16_000;

/// The mail of a message; or why none can be made of it, now or later. No store takes more than it has room for, nor all
/// of them the character of the number 0: to try it again and again would hold up the others.
pub(super) fn write(message: &Message) -> Result<Letter, String> {
    let letter = letter(message)?;
    for (what, text, longest) in [
        ("the subject", &letter.subject_id, LONGEST_SUBJECT),
        ("the recipient", &letter.recipient, LONGEST_RECIPIENT),
        ("the body", &letter.body, LONGEST_BODY),
    ] {
        if text.is_empty() || text.chars().count() > longest || text.contains('\0') {
            return Err(format!("{what} is not of 1 to {longest} characters"));
        }
    }
    Ok(letter)
}

fn letter(message: &Message) -> Result<Letter, String> {
    match message.topic.as_str() {
        ORDER_CREATED => order(message, ORDER_CREATED, |order| {
            format!("thank you for your order {} of {}.", order.order_id, items(order))
        }),
        ORDER_CONFIRMED => order(message, ORDER_CONFIRMED, |order| {
            let cents = order.total_cents.unwrap_or_default();
            let total = format!("{}.{:02}", cents / 100, cents % 100);
            format!("your order {} is paid ({total}) and on its way: {}.", order.order_id, items(order))
        }),
        ORDER_CANCELLED => order(message, ORDER_CANCELLED, |order| {
            let why = order.reason.as_deref().unwrap_or("no reason was given");
            format!("your order {} is cancelled: {why}. It costs you nothing.", order.order_id)
        }),
        USER_CREATED => {
            let UserEvent { user_id, name, email } = read(message)?;
            let body = format!("Dear {name},\n\nwelcome to the shop.\n");
            Ok(Letter {
                subject_id: user_id,
                kind: USER_CREATED,
                recipient: format!("{name} <{email}>"),
                body,
            })
        }
        topic => Err(format!("no mail is written about {topic}")),
    }
}

fn order(
    message: &Message,
    kind: &'static str,
    sentence: impl FnOnce(&OrderEvent) -> String,
) -> Result<Letter, String> {
    let order: OrderEvent = read(message)?;
    let body = format!("Dear {},\n\n{}\n", order.buyer, sentence(&order));
    Ok(Letter { subject_id: order.order_id, kind, recipient: order.buyer, body })
}

fn items(order: &OrderEvent) -> String {
    let items = order.items.iter().map(|item| format!("{} x {}", item.quantity, item.product_id));
    items.collect::<Vec<_>>().join(", ")
}

fn read<T: DeserializeOwned>(message: &Message) -> Result<T, String> {
    serde_json::from_str(&message.payload).map_err(|why| format!("the payload cannot be read: {why}"))
}
