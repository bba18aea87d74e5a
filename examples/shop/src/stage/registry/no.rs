//! Every error is a sentence in plain text, as Consul says it.

use axum::response::{IntoResponse, Response};
use http::StatusCode;

#[derive(Debug)]
pub(super) struct No(StatusCode, String);

impl No {
    pub(super) fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self(status, why.into())
    }

    /// 400
    pub(super) fn bad(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, why)
    }

    #[cfg(test)]
    pub(super) fn why(&self) -> &str {
        &self.1
    }
}

impl IntoResponse for No {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}
