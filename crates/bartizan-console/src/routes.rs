use crate::Console;
use crate::caller::{is_cross_site, names_loopback};
use crate::picture;
use crate::places::NoPlace;
use crate::problem::Problem;
use crate::stream::Stream;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bartizan_core::registry;

const FOREIGN_HOST: Problem = Problem::new(
    StatusCode::MISDIRECTED_REQUEST,
    "This console answers to loopback names alone. Console::any_host lets it answer to all.",
);
const FOREIGN_SITE: Problem =
    Problem::new(StatusCode::FORBIDDEN, "A page of another site may not read this.");
const READ_ONLY: Problem =
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "This console is read, and not written.");
const CLOSED: Problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "The streams are closed.");
const FULL: Problem = Problem {
    retry_after: Some(5),
    ..Problem::new(StatusCode::SERVICE_UNAVAILABLE, "As many streams are open as are allowed.")
};

/// Asks a proxy of nginx's kind not to hold events back.
const UNBUFFERED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

pub(crate) fn router<S: Clone + Send + Sync + 'static>(console: &Console) -> Router<S> {
    let read_only = async || READ_ONLY;
    Router::new()
        .route("/layers", get(layers).fallback(read_only))
        .route("/stream", get(stream).fallback(read_only))
        .route_layer(from_fn_with_state(console.clone(), guard))
        .with_state(console.clone())
}

async fn layers() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], picture::json(&registry::handles()))
}

async fn stream(State(console): State<Console>) -> Result<Response, Problem> {
    let place = console.places().take(console.most_streams()).map_err(|why| match why {
        NoPlace::Full => FULL,
        NoPlace::Closed => CLOSED,
    })?;
    let head = [(CONTENT_TYPE, HeaderValue::from_static("text/event-stream")), UNBUFFERED];
    Ok((head, Body::new(Stream::new(console, place))).into_response())
}

/// Lets in who may read, and marks every answer as nothing to keep or to guess about.
async fn guard(State(console): State<Console>, request: Request, next: Next) -> Response {
    let mut response = if !console.takes_any_host() && !names_loopback(request.uri(), request.headers()) {
        FOREIGN_HOST.into_response()
    } else if is_cross_site(request.headers()) {
        FOREIGN_SITE.into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
