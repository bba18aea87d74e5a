//! Names of users, orders and payments.

use super::problem::Problem;
use axum::extract::{FromRequestParts, Path};
use http::StatusCode;
use http::request::Parts;

/// A new name: 36 characters that sort by age.
pub fn new() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// Whether it may be the name of anything.
pub fn is_one(name: &str) -> bool {
    (1..=40).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// The `{id}` of a path. One that no row can have is answered with 404 before any store is asked.
pub struct Id(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let id =
            Path::<String>::from_request_parts(parts, state).await.map(|Path(id)| id).unwrap_or_default();
        if !is_one(&id) {
            return Err(Problem::new(StatusCode::NOT_FOUND, "not-found", "nothing has this id"));
        }
        Ok(Self(id))
    }
}
