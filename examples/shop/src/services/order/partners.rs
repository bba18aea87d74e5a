//! The three services that an order needs, each call with the answers on which the saga decides.

use crate::contracts::payment::get_request::By;
use crate::contracts::payment::{ChargeRequest, GetRequest, Payment, RefundRequest, State};
use crate::contracts::problems::{OUT_OF_STOCK, RELEASED, UNKNOWN_PRODUCT};
use crate::contracts::product::{Item, Reservation, Reserve};
use crate::contracts::user::User;
use crate::parts::peer::{Answer, Lost, Peer, repeatable};
use crate::parts::problem;
use crate::stacks::Payments;
use bartizan::retry::IDEMPOTENCY_KEY;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tonic::Response;

/// Reasons of a cancelled order that its customer is told in a status of their own.
pub(super) const SOLD_OUT: &str = "out of stock";
pub(super) const DECLINED: &str = "payment declined";

#[derive(Clone)]
pub(super) struct Partners {
    users: Peer,
    products: Peer,
    payments: Payments,
}

/// What came of a call to product.
pub(super) enum Said<T> {
    Yes(T),
    No(String),
    /// It may have happened or not. To be asked again.
    Unknown,
}

/// What came of a charge.
pub(super) enum Charged {
    Captured {
        payment_id: String,
    },
    No(String),
    /// Given back, or about to be.
    GivenBack,
    /// It may have happened or not. To be asked by key.
    Unknown,
}

impl Partners {
    pub(super) fn new(users: Peer, products: Peer, payments: Payments) -> Self {
        Self { users, products, payments }
    }

    /// The name of who buys. The stack answers for a user service that is away; nor does an order wait for one that does not know.
    pub(super) async fn buyer(&self, id: &str) -> String {
        let answer = self.users.get(&format!("/users/{id}")).await;
        answer.ok().and_then(|answer| answer.json().ok()).unwrap_or_else(User::somebody).name
    }

    /// Holds the items, and says what they cost.
    pub(super) async fn reserve(&self, order: &str, items: &[Item]) -> Said<i64> {
        let body = Reserve { items: items.to_vec() };
        let answer = self.products.put(&format!("/reservations/{order}"), &body).await;
        said(answer, |answer| answer.json::<Reservation>().ok().map(|held| held.total_cents))
    }

    /// Sells what is held.
    pub(super) async fn commit(&self, order: &str) -> Said<()> {
        let path = format!("/reservations/{order}/commit");
        // Product knows the order, and sells to it once.
        let key = HeaderValue::from_str(order).map(|key| (IDEMPOTENCY_KEY, key));
        let headers = HeaderMap::from_iter(key.ok());
        said(self.products.send(Method::POST, &path, headers, Bytes::new()).await, |_| Some(()))
    }

    /// Gives back what is held or sold; true when it is known to be back.
    pub(super) async fn release(&self, order: &str) -> bool {
        let path = format!("/reservations/{order}");
        let answer = self.products.send(Method::DELETE, &path, HeaderMap::new(), Bytes::new()).await;
        answer.is_ok_and(|answer| answer.status.is_success())
    }

    pub(super) async fn charge(&self, order: &str, user: &str, amount_cents: i64) -> Charged {
        let charge = ChargeRequest {
            idempotency_key: order.into(),
            order_id: order.into(),
            user_id: user.into(),
            amount_cents,
        };
        charged(self.payments.clone().charge(repeatable(charge)).await.map(Response::into_inner))
    }

    /// What became of the charge of an order.
    pub(super) async fn find_charge(&self, order: &str) -> Charged {
        let by = Some(By::IdempotencyKey(order.into()));
        charged(self.payments.clone().get(repeatable(GetRequest { by })).await.map(Response::into_inner))
    }

    /// Gives the money back; true when it is known that nothing is kept.
    pub(super) async fn refund(&self, order: &str) -> bool {
        let refund = RefundRequest { idempotency_key: order.into() };
        let refunded = self.payments.clone().refund(repeatable(refund)).await.map(Response::into_inner);
        refunded.is_ok_and(|payment| matches!(payment.state(), State::Refunded | State::Declined))
    }
}

fn said<T>(answer: Result<Answer, Lost>, yes: impl FnOnce(&Answer) -> Option<T>) -> Said<T> {
    let Ok(answer) = answer else { return Said::Unknown };
    if answer.status.is_success() {
        return yes(&answer).map_or(Said::Unknown, Said::Yes);
    }
    // Only what product is known to say is taken for its word; any other error may be one of the way there.
    let kind = problem::kind(&answer.body);
    match (answer.status, kind.as_str()) {
        (StatusCode::CONFLICT, OUT_OF_STOCK) => Said::No(SOLD_OUT.into()),
        (StatusCode::CONFLICT, RELEASED) => Said::No("the reservation was given back".into()),
        (StatusCode::UNPROCESSABLE_ENTITY, UNKNOWN_PRODUCT) => Said::No("a product is unknown".into()),
        (StatusCode::UNPROCESSABLE_ENTITY, _) => Said::No("product refused the items".into()),
        _ => Said::Unknown,
    }
}

fn charged(payment: Result<Payment, tonic::Status>) -> Charged {
    let Ok(payment) = payment else { return Charged::Unknown };
    match payment.state() {
        State::Captured => Charged::Captured { payment_id: payment.id },
        State::Declined => Charged::No(format!("{DECLINED}: {}", payment.reason)),
        State::Refunding | State::Refunded => Charged::GivenBack,
        State::Unknown | State::Unspecified => Charged::Unknown,
    }
}
