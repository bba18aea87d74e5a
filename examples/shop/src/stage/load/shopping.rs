//! What customers do in the shop.

use super::crowd::Crowd;
use super::customer::Customer;
use super::errand::{Errand, Journey};
use super::gateway::{Answer, Gateway, Said, send};
use super::insist::{insist, refused};
use super::journal::Journal;
use super::outcome::Outcome;
use crate::contracts::product::Products;
use crate::parts::failure::Failure;
use crate::parts::id;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often an order is asked for again, with the same key, when it failed or was not answered.
const MOST_AGAIN: u32 = 2;

/// How long a customer waits at most before that: half of it to all of it, and twice as long each time.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// For how long who insists asks again.
const INSISTS: Duration = Duration::from_secs(60);

/// The most that they wait, and when the shop asks for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Shopping {
    pub(super) gateway: Gateway,
    pub(super) crowd: Arc<Crowd>,
    pub(super) products: Vec<String>,
    pub(super) journal: Option<Journal>,
    /// Whether customers ask for their orders until the shop answers for them.
    pub(super) insists: bool,
}

/// What became of an errand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Done {
    /// Who has no last order yet looks at all of theirs.
    pub(super) journey: Journey,
    pub(super) outcome: Outcome,
    /// How often the same was asked again.
    pub(super) again: u32,
    /// Whether the shop has answered for an order.
    pub(super) acknowledged: bool,
}

/// What the shop sells.
///
/// # Errors
///
/// When it does not say, or sells nothing.
pub(super) async fn products(gateway: &Gateway) -> Result<Vec<String>, Failure> {
    let answer = insist(gateway, "show its products", || gateway.get("/products")).await?;
    let said = serde_json::from_slice::<Products>(&answer.body).ok().filter(|_| answer.status.is_success());
    let Some(Products { products }) = said else {
        return Err(refused(gateway, "show its products", &format!("it answered {}", answer.status)));
    };
    if products.is_empty() {
        return Err(Failure::new(format!("the shop at {} sells nothing.", gateway.url())));
    }
    Ok(products.into_iter().map(|product| product.id).collect())
}

impl Shopping {
    pub(super) async fn run(&self, errand: Errand) -> Done {
        let product = &self.products[errand.product];
        if let Journey::List | Journey::Product = errand.journey {
            return look(&self.gateway, errand.journey, product).await;
        }
        let customer = &self.crowd.customers[errand.customer];
        match (errand.journey, customer.last_order()) {
            (Journey::Place, _) => self.place(customer, product, errand).await,
            (Journey::Last, Some(id)) => {
                looked(Journey::Last, &self.read(customer, &format!("/orders/{id}")).await)
            }
            _ => looked(Journey::Own, &self.read(customer, "/orders").await),
        }
    }

    async fn read(&self, customer: &Customer, path: &str) -> Said {
        self.crowd.ask(&self.gateway, customer, || self.gateway.get(path)).await
    }

    /// Places an order. Nobody knows what became of a question that failed or was not answered; that is what keys are
    /// for: the same may be asked again.
    async fn place(&self, customer: &Customer, product: &str, errand: Errand) -> Done {
        let key = id::new();
        let order = json!({ "items": [{ "product_id": product, "quantity": errand.quantity }] });
        let request = || self.gateway.post("/orders", &order).header("idempotency-key", &key);
        let mut dice = fastrand::Rng::with_seed(errand.seed);
        let mut again = 0;
        let came = Instant::now();
        loop {
            let said = self.crowd.ask(&self.gateway, customer, request).await;
            let (outcome, promised) = judge(&said);
            if let (Some((id, word)), Ok(answer)) = (&promised, &said) {
                customer.set_last_order(id);
                self.journal.iter().for_each(|journal| journal.note(id, answer.status.as_u16(), word, &key));
            }
            let enough = match self.insists {
                true => promised.is_some() || Instant::now() - came > INSISTS,
                false => again == MOST_AGAIN || !is_unknown(&said),
            };
            if enough {
                return Done { journey: Journey::Place, outcome, again, acknowledged: promised.is_some() };
            }
            let asked_for = said.as_ref().ok().and_then(Answer::retry_after).unwrap_or_default();
            let back_off = (FIRST_WAIT * 2_u32.pow(again.min(8))).mul_f64(0.5 + dice.f64() / 2.0);
            sleep(back_off.max(asked_for).min(LONGEST_WAIT)).await;
            again += 1;
        }
    }
}

/// Looks at all products, or at one. It takes no account.
pub(super) async fn look(gateway: &Gateway, journey: Journey, product: &str) -> Done {
    let request = match journey {
        Journey::Product => gateway.get(&format!("/products/{product}")),
        _ => gateway.get("/products"),
    };
    looked(journey, &send(request).await)
}

fn looked(journey: Journey, said: &Said) -> Done {
    Done { journey, outcome: Outcome::of(said), again: 0, acknowledged: false }
}

/// Whether an order may have been placed, or not.
fn is_unknown(said: &Said) -> bool {
    said.as_ref().map_or(true, |answer| answer.status.is_server_error())
}

/// The outcome of an order, and its id and status where the shop has answered for it.
fn judge(said: &Said) -> (Outcome, Option<(String, String)>) {
    let outcome = Outcome::of(said);
    let Ok(answer) = said else { return (outcome, None) };
    let body = answer.json();
    let promise = match outcome {
        Outcome::Ok | Outcome::Pending => (&body["id"], body["status"].as_str().unwrap_or("UNKNOWN")),
        Outcome::Declined | Outcome::SoldOut => (&body["order"], "CANCELLED"),
        _ => return (outcome, None),
    };
    match promise {
        (Value::String(id), word) if [id, word].into_iter().all(is_word) => {
            // An order that was taken back for another reason than those with an outcome of their own is no good.
            let outcome = if word == "CANCELLED" && outcome.is_good() { Outcome::Failed } else { outcome };
            (outcome, Some((id.clone(), word.to_owned())))
        }
        // An order without an id can neither be found again nor proven.
        _ if outcome.is_good() => (Outcome::Failed, None),
        _ => (outcome, None),
    }
}

/// Whether a line of the journal can hold it.
fn is_word(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests;
