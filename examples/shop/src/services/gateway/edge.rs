//! What may come in from outside at all.

use crate::parts::problem::Problem;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use bartizan::http::wire::{REQUEST_TIMEOUT, Wire, read_timeout};
use http::StatusCode;

/// Refuses a deadline that nobody can understand. Between services it would count as none; a customer is told.
pub(super) async fn check(request: Request, next: Next) -> Result<Response, Problem> {
    if read_timeout(request.headers(), false) == Wire::Malformed {
        let detail = format!("`{REQUEST_TIMEOUT}` must be a number of milliseconds, given once");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "bad-header", detail));
    }
    Ok(next.run(request).await)
}
