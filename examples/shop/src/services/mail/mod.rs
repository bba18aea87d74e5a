//! Mails: what has happened, told to those who bought. Nobody waits for them; they are written when the bus tells.

mod letters;
mod mailbox;

use crate::contracts::events::{BINDINGS, MAIL};
use crate::contracts::mail::Mails;
use crate::parts::bus::consumer::Unhandled;
use crate::parts::bus::{Bus, Message};
use crate::parts::clock::now_ms;
use crate::parts::config::Config;
use crate::parts::failure::Failure;
use crate::parts::health;
use crate::parts::problem::{self, Problem};
use crate::parts::store::Store;
use crate::stacks;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use mailbox::Mailbox;
use serde::Deserialize;
use std::time::Duration;
use tokio::time::sleep;

/// How many mails are listed, unless it is said; and at most.
const LISTED: i64 = 50;
const MOST_LISTED: i64 = 500;

/// How often it is looked for messages that can be forgotten, and the pause between two batches of them.
const FORGET: Duration = Duration::from_secs(3600);
const BETWEEN: Duration = Duration::from_millis(100);

/// Opens the store, starts the consumer on the current runtime, and returns the routes.
///
/// # Errors
///
/// When the store or the bus cannot be opened.
pub async fn start(config: &Config) -> Result<Router, Failure> {
    let store = Store::open(config, "mail", &mailbox::TABLES).await?;
    let mailbox = Mailbox::new(store.clone());
    let bus = Bus::open(config, BINDINGS).await?.behind(stacks::bus(config));
    let receiver = mailbox.clone();
    tokio::spawn(forget(mailbox.clone()));
    let health = health::of_consumer(config, store, bus.clone());
    tokio::spawn(bus.consume(MAIL, move |message| receive(receiver.clone(), message)));
    let routes = Router::new().route("/mails", get(list)).with_state(mailbox);
    let routes = stacks::MAIL.guard(routes, config);
    Ok(problem::fallbacks(routes.merge(health)))
}

/// Keeps the inbox from growing for ever.
async fn forget(mailbox: Mailbox) {
    loop {
        let pause = match mailbox.forget(now_ms() - mailbox::REMEMBERED_MS).await {
            Ok(0) => FORGET,
            Ok(_) => BETWEEN,
            Err(error) => {
                tracing::warn!(%error, "the inbox cannot forget");
                FORGET
            }
        };
        sleep(pause).await;
    }
}

/// Writes the mail of a message, unless it was written before.
async fn receive(mailbox: Mailbox, message: Message) -> Result<(), Unhandled> {
    let letter = letters::write(&message).map_err(Unhandled::Message)?;
    Ok(mailbox.deliver(message.id, letter).await?)
}

#[derive(Deserialize)]
struct Wanted {
    limit: Option<i64>,
}

async fn list(
    State(mailbox): State<Mailbox>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Mails>, Problem> {
    let bad = |why: String| Problem::new(StatusCode::BAD_REQUEST, "bad-query", why);
    let Query(Wanted { limit }) = wanted.map_err(|refused| bad(refused.body_text()))?;
    let limit = limit.unwrap_or(LISTED);
    if !(1..=MOST_LISTED).contains(&limit) {
        return Err(bad(format!("`limit` must be 1 to {MOST_LISTED}")));
    }
    Ok(Json(Mails { mails: mailbox.newest(limit).await? }))
}

#[cfg(test)]
mod tests;
