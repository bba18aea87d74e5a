use crate::Console;
use crate::order::{self, Order};
use crate::page;
use crate::picture;
use crate::places::{self, NoPlace};
use crate::problem::Problem;
use crate::stream::{Past, Stream};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bartizan_core::Instant;
use bartizan_core::registry::{self, Observed};
use std::sync::Arc;

const UNWRITABLE: Problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "This is read, and not written.");
const NO_PATH: Problem = Problem::new(StatusCode::NOT_FOUND, "The path is not written in UTF-8.");
const NO_TWIN: Problem =
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "The query is twin=, and a number counted from zero.");
const TOO_LONG: Problem =
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "What is written is longer than 4096 bytes.");
const CLOSED: Problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "The streams are closed.");
const FULL: Problem =
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "As many streams are open as are allowed.").retry_after(5);

/// An order is far shorter.
const MOST_BYTES: usize = 4096;

const JSON: (HeaderName, &str) = (CONTENT_TYPE, "application/json");

/// Asks a proxy of nginx's kind not to hold events back.
const UNBUFFERED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

/// Keeps what is told out of the pages of others, which could else load it as if it were a script.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

pub(crate) fn router<S: Clone + Send + Sync + 'static>(console: &Console) -> Router<S> {
    let unwritable = async || UNWRITABLE;
    let told = Router::new()
        .route("/layers", get(layers).fallback(unwritable))
        .route("/stream", get(stream).fallback(unwritable))
        .route("/history", get(history).fallback(unwritable))
        .route("/layers/{layer}/{*name}", get(layer).post(write).fallback(unwritable))
        .route_layer(from_fn_with_state(console.clone(), readers));
    told.merge(page::routes().route("/console/about", get(about)))
        .route_layer(from_fn_with_state(console.clone(), guard))
        .with_state(console.clone())
}

async fn layers() -> impl IntoResponse {
    ([JSON], picture::json(&registry::handles()))
}

async fn stream(State(console): State<Console>) -> Result<Response, Problem> {
    let place = take_place(&console)?;
    let head = [(CONTENT_TYPE, HeaderValue::from_static("text/event-stream")), UNBUFFERED];
    Ok((head, Body::new(Stream::new(console, place))).into_response())
}

async fn history(State(console): State<Console>) -> Result<Response, Problem> {
    let place = take_place(&console)?;
    let pieces = console.looks().history(Instant::now());
    Ok(([JSON], Body::new(Past::new(pieces, place))).into_response())
}

/// A place for who reads for long, or keeps much while it does not read.
fn take_place(console: &Console) -> Result<places::Place, Problem> {
    console.places().take(console.most_streams()).map_err(|why| match why {
        NoPlace::Full => FULL,
        NoPlace::Closed => CLOSED,
    })
}

/// What the page has to know before it asks for anything.
async fn about(State(console): State<Console>) -> impl IntoResponse {
    ([JSON], console.about().to_string())
}

type Place = Result<Path<(String, String)>, PathRejection>;

async fn layer(place: Place, uri: Uri) -> Result<impl IntoResponse, Problem> {
    Ok(([JSON], picture::one(&*find(place, &uri)?)))
}

async fn write(
    State(console): State<Console>,
    place: Place,
    request: Request,
) -> Result<impl IntoResponse, Problem> {
    console.access().writes(request.uri(), request.headers())?;
    let (head, body) = request.into_parts();
    let body = to_bytes(body, MOST_BYTES).await.map_err(|_| TOO_LONG)?;
    let order = Order::read(&body)?;
    let handle = find(place, &head.uri)?;
    order.give(&*handle)?;
    Ok(([JSON], picture::one(&*handle)))
}

fn find(place: Place, uri: &Uri) -> Result<Arc<dyn Observed>, Problem> {
    let Path((layer, name)) = place.map_err(|_| NO_PATH)?;
    let twin = match uri.query() {
        None => None,
        Some(query) => {
            let twin = query.strip_prefix("twin=").and_then(|twin| twin.parse().ok());
            Some(twin.ok_or(NO_TWIN)?)
        }
    };
    order::find(registry::handles(), &layer, &name, twin)
}

/// Lets in who may see this console, and marks every answer as nothing to keep or to guess about.
async fn guard(State(console): State<Console>, request: Request, next: Next) -> Response {
    let mut response = match console.access().sees(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// Lets in who may read what the handles show.
async fn readers(State(console): State<Console>, request: Request, next: Next) -> Response {
    match console.access().reads(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}
