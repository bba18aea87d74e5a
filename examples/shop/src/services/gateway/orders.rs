//! Orders. The token is checked here, so that a stranger costs the order service nothing, and there once more.

use super::Service;
use super::relay::relay;
use crate::parts::auth::Customer;
use crate::parts::id::Id;
use crate::parts::problem::Problem;
use axum::extract::{Request, State};
use axum::response::Response;

pub(super) async fn place(
    State(service): State<Service>,
    _: Customer,
    request: Request,
) -> Result<Response, Problem> {
    relay(&service.ordering, request).await
}

pub(super) async fn list(
    State(service): State<Service>,
    _: Customer,
    request: Request,
) -> Result<Response, Problem> {
    relay(&service.orders, request).await
}

pub(super) async fn read(
    State(service): State<Service>,
    _: Customer,
    _: Id,
    request: Request,
) -> Result<Response, Problem> {
    relay(&service.orders, request).await
}

pub(super) async fn cancel(
    State(service): State<Service>,
    _: Customer,
    _: Id,
    request: Request,
) -> Result<Response, Problem> {
    relay(&service.ordering, request).await
}
