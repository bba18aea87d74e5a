//! Names of users, orders and payments.

use super::problem::Problem;
use axum::extract::{FromRequestParts, Path};
use http::StatusCode;
use http::request::Parts;

/// A new name: 36 characters that sort by age.
pub fn new() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// The `{id}` of a path. One that no row can have is answered with 404 before any store is asked.
pub struct Id(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let id =
            Path::<String>::from_request_parts(parts, state).await.map(|Path(id)| id).unwrap_or_default();
        let named = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if id.is_empty() || id.len() > 40 || !id.bytes().all(named) {
            return Err(Problem::new(StatusCode::NOT_FOUND, "not-found", "nothing has this id"));
        }
        Ok(Self(id))
    }
}
