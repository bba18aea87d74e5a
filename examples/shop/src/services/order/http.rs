//! The HTTP side: places, reads and cancels the orders of a customer.

use super::Service;
use super::book::{Draft, Entry};
use super::input::{self, Key};
use super::partners::{DECLINED, SOLD_OUT};
use crate::contracts::object::Object;
use crate::contracts::order::{Order, Orders, PlaceOrder, Status};
use crate::contracts::problems::{KEY_REUSED, OUT_OF_STOCK, PAYMENT_DECLINED};
use crate::parts::auth::Customer;
use crate::parts::body::Input;
use crate::parts::id::{self, Id};
use crate::parts::problem::Problem;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::LOCATION;
use std::time::Duration;
use tokio::time::Instant;

/// How long a customer waits for the saga before the answer is "pending". A call to payment fits in; and what is left
/// of the gateway's patience is enough to say so on a machine that is busy.
const PATIENCE: Duration = Duration::from_millis(1000);

/// The most orders in one list.
const LISTED: i64 = 50;

pub(super) async fn place(
    State(service): State<Service>,
    customer: Customer,
    Key(key): Key,
    Input(Object(wanted)): Input<Object<PlaceOrder>>,
) -> Result<Response, Problem> {
    let until = Instant::now() + PATIENCE;
    input::check(&wanted)?;
    let placed = match service.book.by_key(&customer.id, &key).await? {
        Some(placed) => placed,
        None => {
            let known = service.catalogue.check(&wanted.items);
            let (known, buyer) = tokio::join!(known, service.partners.buyer(&customer.id));
            known?;
            let (id, user_id, items) = (id::new(), customer.id, wanted.items.clone());
            service.book.open(Draft { id, user_id, key, buyer, items }).await?
        }
    };
    if placed.order.items != wanted.items {
        let detail = "this `Idempotency-Key` was used for an order of other items";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, KEY_REUSED, detail));
    }
    let Entry { order, .. } = service.saga.advance(&placed.order.id, until).await?;
    match (order.status, order.reason.as_deref()) {
        (Status::Confirmed, _) => Ok(located(StatusCode::CREATED, order)),
        (Status::Cancelled, Some(SOLD_OUT)) => {
            let detail = "there are not so many left; the order is cancelled";
            Err(Problem::new(StatusCode::CONFLICT, OUT_OF_STOCK, detail).order(&order.id))
        }
        (Status::Cancelled, Some(why)) if why.starts_with(DECLINED) => {
            let detail = format!("{why}; the order is cancelled");
            Err(Problem::new(StatusCode::PAYMENT_REQUIRED, PAYMENT_DECLINED, detail).order(&order.id))
        }
        (Status::Cancelled, _) => Ok(located(StatusCode::OK, order)),
        (Status::Pending | Status::Refunding | Status::Releasing, _) => {
            Ok(located(StatusCode::ACCEPTED, order))
        }
    }
}

pub(super) async fn list(
    State(service): State<Service>,
    customer: Customer,
) -> Result<Json<Orders>, Problem> {
    Ok(Json(Orders { orders: service.book.of(&customer.id, LISTED).await? }))
}

pub(super) async fn read(
    State(service): State<Service>,
    customer: Customer,
    Id(id): Id,
) -> Result<Json<Order>, Problem> {
    let entry = match customer.is_admin() {
        true => find(&service, &id).await?,
        false => own(&service, &customer, &id).await?,
    };
    Ok(Json(entry.order))
}

pub(super) async fn cancel(
    State(service): State<Service>,
    customer: Customer,
    Id(id): Id,
) -> Result<Response, Problem> {
    let until = Instant::now() + PATIENCE;
    own(&service, &customer, &id).await?;
    service.saga.turn_back(&id, "cancelled by the customer").await?;
    let Entry { order, .. } = service.saga.advance(&id, until).await?;
    let status = if order.status == Status::Cancelled { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok(located(status, order))
}

/// An order of this customer. One of somebody else is not there, as far as this customer can tell.
async fn own(service: &Service, customer: &Customer, id: &str) -> Result<Entry, Problem> {
    let entry = find(service, id).await?;
    if entry.user_id == customer.id { Ok(entry) } else { Err(missing()) }
}

async fn find(service: &Service, id: &str) -> Result<Entry, Problem> {
    match service.book.find(id).await {
        Err(sqlx::Error::RowNotFound) => Err(missing()),
        found => Ok(found?),
    }
}

fn missing() -> Problem {
    Problem::not_found("there is no such order")
}

fn located(status: StatusCode, order: Order) -> Response {
    (status, [(LOCATION, format!("/orders/{}", order.id))], Json(order)).into_response()
}
