//! The simulated bank. It stands for one that is elsewhere: with `BANK_URL` set, it is not started.
//!
//! It declines a charge over its limit, and moves the money of a key at most once.

mod ledger;

use crate::contracts::bank::{Charge, Entry, EntryState};
use crate::contracts::object::Object;
use crate::parts::body::Input;
use crate::parts::config::Config;
use crate::parts::failure::Failure;
use crate::parts::health;
use crate::parts::id::Id;
use crate::parts::problem::{self, Problem};
use crate::parts::store::Store;
use crate::stacks;
use axum::extract::State;
use axum::routing::{post, put};
use axum::{Json, Router};
use ledger::Ledger;

/// The largest single charge: ten million of whatever a hundred cents are.
const CARD_LIMIT_CENTS: i64 = 1_000_000_000;

/// Opens the store and returns the routes.
///
/// # Errors
///
/// When the store cannot be opened.
pub async fn start(config: &Config) -> Result<Router, Failure> {
    let store = Store::open(config, "bank", &ledger::TABLES).await?;
    let routes = Router::new()
        .route("/charges/{key}", put(charge).get(read))
        .route("/charges/{key}/refund", post(refund))
        .with_state(Ledger::new(store.clone()));
    let routes = stacks::BANK.guard(routes, config);
    Ok(problem::fallbacks(routes.merge(health::routes(config, Some(store)))))
}

async fn charge(
    State(ledger): State<Ledger>,
    Id(key): Id,
    Input(Object(charge)): Input<Object<Charge>>,
) -> Result<Json<Entry>, Problem> {
    let amount = charge.amount_cents;
    if amount <= 0 {
        return Err(Problem::invalid("`amount_cents` must be positive"));
    }
    if charge.reference.is_empty() || charge.reference.len() > 40 {
        return Err(Problem::invalid("`reference` must have 1 to 40 bytes"));
    }
    let reason = (amount > CARD_LIMIT_CENTS).then(|| "over the limit of the card".to_owned());
    let entry = ledger.charge(key, charge, reason).await?;
    if entry.amount_cents != amount && entry.state != EntryState::Refunded {
        return Err(Problem::invalid("this key was used with another amount"));
    }
    Ok(Json(entry))
}

async fn read(State(ledger): State<Ledger>, Id(key): Id) -> Result<Json<Entry>, Problem> {
    ledger.find(&key).await?.map(Json).ok_or_else(|| Problem::not_found("this key was never used"))
}

/// Gives the money back. A key that was never used is used up by it, so that a late charge takes nothing.
async fn refund(State(ledger): State<Ledger>, Id(key): Id) -> Result<Json<Entry>, Problem> {
    Ok(Json(ledger.refund(key).await?))
}

#[cfg(test)]
mod tests;
