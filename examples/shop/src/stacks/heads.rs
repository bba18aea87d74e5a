//! What the layers before the routes look at.

use super::priority;
use crate::parts::auth::{Customer, same};
use crate::parts::config::Config;
use crate::parts::serve::Caller;
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use bartizan::Context;
use bartizan::http::Head;
use bartizan::trace::TraceContext;
use http::{HeaderName, HeaderValue, Method};
use std::net::SocketAddr;
use std::sync::Arc;

/// Names the trace of a request to who may look at it.
const TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");

/// Says how much a request matters by its route. Whatever it says itself can only make that less.
pub(super) fn rank(mut request: Request) -> Request {
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let priority = priority(request.method(), path);
    request.extensions_mut().insert(Context::new().with_priority(priority));
    request
}

pub(super) fn is_log_in(head: &Head<'_>) -> bool {
    head.method == Method::POST && head.uri.path() == "/api/v1/sessions"
}

/// Whether a request is of the shop's own load.
pub(super) fn own_load(config: &Config) -> impl Fn(&Head<'_>) -> bool + Clone + Send + Sync + 'static {
    let token: Arc<str> = config.ops_token.as_str().into();
    move |head| head.headers.get("x-shop-token").is_some_and(|said| same(said.as_bytes(), token.as_bytes()))
}

/// Tells the shop's own load in which trace its request was.
pub(super) async fn tell_trace(own: impl Fn(&Head<'_>) -> bool, request: Request, next: Next) -> Response {
    let trace = own(&Head::of(&request)).then(TraceContext::current).flatten();
    let mut answer = next.run(request).await;
    let id = trace.and_then(|trace| HeaderValue::try_from(trace.trace_id().to_string()).ok());
    id.into_iter().for_each(|id| drop(answer.headers_mut().insert(TRACE_ID, id)));
    answer
}

/// Where a request comes from: the address of its connection, whatever it says itself.
pub(super) fn caller(head: &Head<'_>) -> Option<SocketAddr> {
    head.extensions.get().map(|Caller(from)| *from)
}

pub(super) fn user(head: &Head<'_>) -> Option<String> {
    Customer::of(head).map(|customer| customer.id.clone())
}

/// What has a breaker of its own: the method and the path of a route, whatever its parameters.
pub(super) fn route(head: &Head<'_>) -> String {
    format!("{} {}", head.method, template(head).unwrap_or_default())
}

/// The path of a route, with its parameters left open.
pub(super) fn template<'a>(head: &Head<'a>) -> Option<&'a str> {
    head.extensions.get::<MatchedPath>().map(MatchedPath::as_str)
}
