//! The three services that an order needs, each call with the answer on which the saga decides.

use super::book::Entry;
use super::way::{Answer, Ask};
use crate::contracts::payment::get_request::By;
use crate::contracts::payment::{ChargeRequest, GetRequest, Payment, RefundRequest, State};
use crate::contracts::problems::{OUT_OF_STOCK, RELEASED, UNKNOWN_PRODUCT};
use crate::contracts::product::{Item, Reservation, Reserve};
use crate::contracts::user::User;
use crate::parts::peer::{Answer as Peered, Lost, Peer, repeatable};
use crate::parts::problem;
use crate::stacks::Payments;
use bartizan::retry::IDEMPOTENCY_KEY;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tonic::{Code, Response, Status};

/// Reasons of a cancelled order that its customer is told in a status of their own.
pub(super) const SOLD_OUT: &str = "out of stock";
pub(super) const DECLINED: &str = "payment declined";

#[derive(Clone)]
pub(super) struct Partners {
    users: Peer,
    products: Peer,
    payments: Payments,
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

    pub(super) async fn ask(&self, ask: Ask, entry: &Entry) -> Answer {
        let order = &entry.order;
        match (ask, order.total_cents) {
            (Ask::Reserve, _) => self.reserve(&order.id, &order.items).await,
            (Ask::FindCharge, _) => self.find_charge(&order.id).await,
            (Ask::Charge, Some(total)) => self.charge(&order.id, &entry.user_id, total).await,
            (Ask::Charge, None) => Answer::Unknown,
            (Ask::Commit, _) => self.commit(&order.id).await,
            (Ask::Refund, _) => self.refund(&order.id).await,
            (Ask::Release, _) => self.release(&order.id).await,
        }
    }

    async fn reserve(&self, order: &str, items: &[Item]) -> Answer {
        let body = Reserve { items: items.to_vec() };
        let answer = self.products.put(&format!("/reservations/{order}"), &body).await;
        said(answer, |answer| {
            let total = |held: Reservation| Answer::Held { total_cents: held.total_cents };
            answer.json().map_or(Answer::Unknown, total)
        })
    }

    async fn commit(&self, order: &str) -> Answer {
        let path = format!("/reservations/{order}/commit");
        // Product knows the order, and sells to it once.
        let key = HeaderValue::from_str(order).map(|key| (IDEMPOTENCY_KEY, key));
        let headers = HeaderMap::from_iter(key.ok());
        said(self.products.send(Method::POST, &path, headers, Bytes::new()).await, |_| Answer::Done)
    }

    async fn release(&self, order: &str) -> Answer {
        let path = format!("/reservations/{order}");
        match self.products.send(Method::DELETE, &path, HeaderMap::new(), Bytes::new()).await {
            Ok(answer) if answer.status.is_success() => Answer::Done,
            _ => Answer::Unknown,
        }
    }

    async fn charge(&self, order: &str, user: &str, amount_cents: i64) -> Answer {
        let charge = ChargeRequest {
            idempotency_key: order.into(),
            order_id: order.into(),
            user_id: user.into(),
            amount_cents,
        };
        charged(self.payments.clone().charge(repeatable(charge)).await.map(Response::into_inner))
    }

    async fn find_charge(&self, order: &str) -> Answer {
        let by = Some(By::IdempotencyKey(order.into()));
        charged(self.payments.clone().get(repeatable(GetRequest { by })).await.map(Response::into_inner))
    }

    async fn refund(&self, order: &str) -> Answer {
        let refund = RefundRequest { idempotency_key: order.into() };
        match self.payments.clone().refund(repeatable(refund)).await.map(Response::into_inner) {
            Ok(payment) if matches!(payment.state(), State::Refunded | State::Declined) => Answer::Done,
            _ => Answer::Unknown,
        }
    }
}

fn said(answer: Result<Peered, Lost>, yes: impl FnOnce(&Peered) -> Answer) -> Answer {
    let Ok(answer) = answer else { return Answer::Unknown };
    if answer.status.is_success() {
        return yes(&answer);
    }
    // Only what product is known to say is taken for its word; any other error may be one of the way there.
    let kind = problem::kind(&answer.body);
    match (answer.status, kind.as_str()) {
        (StatusCode::CONFLICT, OUT_OF_STOCK) => Answer::No(SOLD_OUT.into()),
        (StatusCode::CONFLICT, RELEASED) => Answer::No("the reservation was given back".into()),
        (StatusCode::UNPROCESSABLE_ENTITY, UNKNOWN_PRODUCT) => Answer::No("a product is unknown".into()),
        (StatusCode::UNPROCESSABLE_ENTITY, _) => Answer::No("product refused the items".into()),
        _ => Answer::Unknown,
    }
}

fn charged(payment: Result<Payment, Status>) -> Answer {
    let payment = match payment {
        Ok(payment) => payment,
        // The same will be said for ever. What the key was used for, if it was, is given back.
        Err(status) if status.code() == Code::InvalidArgument => {
            return Answer::GivenBack("payment refused the charge".into());
        }
        Err(_) => return Answer::Unknown,
    };
    match payment.state() {
        State::Captured => Answer::Captured { payment_id: payment.id },
        State::Declined => Answer::No(format!("{DECLINED}: {}", payment.reason)),
        State::Refunding | State::Refunded => Answer::GivenBack("the payment was given back".into()),
        State::Unknown | State::Unspecified => Answer::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_payment_knows_decides() {
        let of = |state: State| charged(Ok(Payment { state: state.into(), ..Payment::default() }));
        assert_eq!(of(State::Captured), Answer::Captured { payment_id: String::new() });
        assert!(matches!(of(State::Declined), Answer::No(why) if why.starts_with(DECLINED)));
        for state in [State::Refunding, State::Refunded] {
            assert!(matches!(of(state), Answer::GivenBack(_)), "{state:?}");
        }
        for state in [State::Unknown, State::Unspecified] {
            assert_eq!(of(state), Answer::Unknown, "{state:?}");
        }
        for code in (0..17).map(Code::from_i32) {
            let refused = code == Code::InvalidArgument;
            let answer = charged(Err(Status::new(code, "")));
            assert_eq!(matches!(answer, Answer::GivenBack(_)), refused, "{code:?}");
            assert_eq!(answer == Answer::Unknown, !refused, "{code:?}");
        }
    }

    #[test]
    fn only_what_product_is_known_to_say_decides() {
        let of = |status: StatusCode, kind: &str| {
            let body = format!("{{\"type\": \"urn:shop:problem:{kind}\"}}");
            said(Ok(Peered::of(status, body)), |_| Answer::Done)
        };
        assert_eq!(of(StatusCode::OK, ""), Answer::Done);
        assert_eq!(of(StatusCode::CONFLICT, OUT_OF_STOCK), Answer::No(SOLD_OUT.into()));
        for (status, kind) in [(409, RELEASED), (422, UNKNOWN_PRODUCT), (422, "invalid")] {
            assert!(matches!(of(StatusCode::from_u16(status).unwrap(), kind), Answer::No(_)), "{kind}");
        }
        for (status, kind) in [
            (409, ""),
            (404, "not-found"),
            (429, ""),
            (500, "internal"),
            (503, OUT_OF_STOCK),
            (507, "storage-full"),
        ] {
            assert_eq!(of(StatusCode::from_u16(status).unwrap(), kind), Answer::Unknown, "{status} {kind}");
        }
    }
}
