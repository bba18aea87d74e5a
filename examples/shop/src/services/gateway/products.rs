use super::Service;
use super::relay::relay;
use crate::parts::auth::Admin;
use crate::parts::id::Id;
use crate::parts::problem::Problem;
use axum::extract::{Request, State};
use axum::response::Response;

pub(super) async fn list(State(service): State<Service>, request: Request) -> Result<Response, Problem> {
    relay(&service.products, request).await
}

pub(super) async fn read(
    State(service): State<Service>,
    _: Id,
    request: Request,
) -> Result<Response, Problem> {
    relay(&service.products, request).await
}

/// Checked here, so that others cost the product service nothing, and there once more.
pub(super) async fn restock(
    State(service): State<Service>,
    _: Admin,
    _: Id,
    request: Request,
) -> Result<Response, Problem> {
    relay(&service.products, request).await
}
