//! The operator of the shop, who has the ops token.

use super::super::problem::Problem;
use super::same;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::AUTHORIZATION;
use std::sync::Arc;

/// Lets those through who show the token.
pub async fn operator(
    State(token): State<Arc<str>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let given =
        request.headers().get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    if !given.is_some_and(|given| same(given, token.as_bytes())) {
        return Err(Problem::unauthorized(
            "`Authorization: Bearer <token>` is asked for, with the token that was printed at the start, or `SHOP_TOKEN`",
        ));
    }
    Ok(next.run(request).await)
}
