//! What spans are called, and which fields they have: OpenTelemetry's semantic conventions for HTTP and gRPC, and ours.
//!
//! Nothing is looked up for a span that nobody listens to.

use crate::layer::Side;
use crate::otel;
use crate::shared::Shared;
use bartizan_core::{Hedged, Kind, Refused};
use bartizan_http::Head;
use http::{Method, StatusCode, Uri};
use std::cell::LazyCell;
use std::fmt;
use tracing::Span;
use tracing::field::{Empty, display};

const TARGET: &str = "bartizan_trace";

/// A span of an HTTP or gRPC request, of either side. `$more` are the fields that one side has beside those of both.
macro_rules! request {
    ($title:literal, $shared:ident, $side:ident, $what:ident, $path:ident, $($more:tt)*) => {
        tracing::info_span!(
            target: TARGET,
            $title,
            name = $shared.name(),
            otel.name = %*$what,
            otel.kind = $side.kind(),
            otel.status_code = Empty,
            http.request.method = $what.http_method(),
            http.response.status_code = Empty,
            url.path = $path,
            rpc.system = $what.grpc().map(|_| "grpc"),
            rpc.service = $what.grpc().map(|(service, _)| service),
            rpc.method = $what.grpc().map(|(_, method)| method),
            rpc.grpc.status_code = Empty,
            "error.type" = Empty,
            refused.layer = Empty,
            refused.name = Empty,
            refused.reason = Empty,
            trace_id = Empty,
            span_id = Empty,
            $($more)*
        )
    };
}

/// The span of a request that a server handles. Its caller may say that it is gRPC: [`rpc_answered`] is told so by the answer.
pub(crate) fn server(shared: &Shared, paths: bool, head: &Head<'_>) -> Span {
    let (side, path) = (Side::Inbound, paths.then(|| head.uri.path()));
    let route = LazyCell::new(|| shared.route.get().and_then(|route| route(head)));
    let what = LazyCell::new(|| What::of(head, false, *route));
    request!("request", shared, side, what, path, http.route = *route)
}

/// The span of a call that a client makes, or of one attempt of it.
pub(crate) fn client(shared: &Shared, side: Side, paths: bool, grpc: bool, head: &Head<'_>) -> Span {
    let path = paths.then(|| head.uri.path());
    let route = LazyCell::new(|| shared.route.get().and_then(|route| route(head)));
    let what = LazyCell::new(|| What::of(head, grpc, *route));
    let attempt = LazyCell::new(|| Try::of(side, head));
    request!(
        "call",
        shared,
        side,
        what,
        path,
        server.address = head.uri.host(),
        server.port = port(head.uri),
        endpoint = place(shared, head.uri).map(display),
        attempt = attempt.attempt,
        hedge = attempt.hedge,
    )
}

/// The span of a call of the typed flavour.
pub(crate) fn typed(shared: &Shared, side: Side) -> Span {
    tracing::info_span!(
        target: TARGET,
        "call",
        name = shared.name(),
        otel.name = shared.name().unwrap_or("call"),
        otel.kind = side.kind(),
        otel.status_code = Empty,
        "error.type" = Empty,
        refused.layer = Empty,
        refused.name = Empty,
        refused.reason = Empty,
        trace_id = Empty,
        span_id = Empty,
        attempt = Try::ambient(side),
    )
}

/// The span of a job.
pub(crate) fn job(name: &str, kind: &str) -> Span {
    tracing::info_span!(
        target: TARGET,
        "job",
        otel.name = name,
        otel.kind = kind,
        otel.status_code = Empty,
        "error.type" = Empty,
        refused.layer = Empty,
        refused.name = Empty,
        refused.reason = Empty,
        trace_id = Empty,
        span_id = Empty,
    )
}

/// Records the status of an answer; for gRPC it says little unless it is an error.
pub(crate) fn status(span: &Span, side: Side, grpc: bool, status: StatusCode) {
    span.record("http.response.status_code", i64::from(status.as_u16()));
    let failed = status.is_server_error() || side.is_client() && status.is_client_error();
    if failed || grpc && status != StatusCode::OK {
        error(span, status.as_str());
    }
}

/// Records that a server has answered by gRPC, to a path that one of its methods has: then it is a name, and not what a caller makes up.
pub(crate) fn rpc_answered(span: &Span, path: Option<&str>) {
    span.record("rpc.system", "grpc");
    if let Some((service, method)) = path.and_then(rpc) {
        let title = What::Grpc(service, method);
        otel::rename(span, &title);
        span.record("otel.name", display(title));
        span.record("rpc.service", service);
        span.record("rpc.method", method);
    }
}

/// Records the code of a gRPC call. To a client all are errors but OK; to a server those that are its fault.
pub(crate) fn grpc_status(span: &Span, side: Side, code: u16) {
    span.record("rpc.grpc.status_code", i64::from(code));
    if code != 0 && (side.is_client() || matches!(code, 2 | 4 | 12..=15)) {
        span.record("error.type", display(code));
        span.record("otel.status_code", "ERROR");
    }
}

/// Records that a call failed, and by what: a word from a closed set.
pub(crate) fn error(span: &Span, what: &str) {
    span.record("error.type", what);
    span.record("otel.status_code", "ERROR");
}

/// Records that a caller left: nobody's error.
pub(crate) fn cancelled(span: &Span) {
    span.record("error.type", "cancelled");
}

/// Records who said no, and why.
pub(crate) fn refused(span: &Span, refused: &Refused) {
    span.record("refused.layer", refused.layer());
    span.record("refused.name", refused.name());
    span.record("refused.reason", refused.reason());
}

/// A refusal that is returned as an error.
pub(crate) fn refused_error(span: &Span, by: &Refused) {
    refused(span, by);
    error(
        span,
        match by.kind() {
            Kind::Unavailable => "unavailable",
            Kind::Exhausted => "exhausted",
            Kind::DeadlineExceeded => "deadline_exceeded",
        },
    );
}

impl Side {
    const fn kind(self) -> &'static str {
        match self {
            Self::Inbound => "server",
            Self::Outgoing => "client",
            Self::Around => "internal",
        }
    }

    pub(crate) const fn is_client(self) -> bool {
        !matches!(self, Self::Inbound)
    }
}

/// What a request asks for, as far as that is the same for many.
enum What<'a> {
    /// A method, or none that is known, and a route.
    Http(Option<&'a str>, Option<&'a str>),
    /// A service and a method.
    Grpc(&'a str, &'a str),
}

impl<'a> What<'a> {
    fn of(head: &Head<'a>, grpc: bool, route: Option<&'a str>) -> Self {
        if grpc {
            let (service, method) = rpc(head.uri.path()).unwrap_or(("_OTHER", "_OTHER"));
            return Self::Grpc(service, method);
        }
        // A method can be any word that a caller makes up.
        let known = [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::DELETE,
            Method::HEAD,
            Method::OPTIONS,
            Method::PATCH,
            Method::CONNECT,
            Method::TRACE,
        ];
        Self::Http(known.contains(head.method).then(|| head.method.as_str()), route)
    }

    fn http_method(&self) -> Option<&'a str> {
        match self {
            Self::Http(method, _) => Some(method.unwrap_or("_OTHER")),
            Self::Grpc(..) => None,
        }
    }

    const fn grpc(&self) -> Option<(&'a str, &'a str)> {
        match self {
            Self::Http(..) => None,
            Self::Grpc(service, method) => Some((service, method)),
        }
    }
}

impl fmt::Display for What<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(method, None) => f.write_str(method.unwrap_or("HTTP")),
            Self::Http(method, Some(route)) => write!(f, "{} {route}", method.unwrap_or("HTTP")),
            Self::Grpc(service, method) => write!(f, "{service}/{method}"),
        }
    }
}

/// The service and the method of a gRPC path. What is no name of protobuf's is something else.
fn rpc(path: &str) -> Option<(&str, &str)> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._".contains(&byte))
    };
    (path.len() <= 256 && is_name(service) && is_name(method)).then_some((service, method))
}

/// Which attempt of a call a request is.
struct Try {
    attempt: Option<i64>,
    hedge: Option<i64>,
}

impl Try {
    fn of(side: Side, head: &Head<'_>) -> Self {
        let context = head.context().unwrap_or_default();
        let copy = head.extensions.get::<Hedged>().map(|hedged| i64::from(hedged.copy()));
        let outgoing = side == Side::Outgoing;
        Self { attempt: outgoing.then_some(i64::from(context.attempt())), hedge: copy.filter(|_| outgoing) }
    }

    fn ambient(side: Side) -> Option<i64> {
        let context = bartizan_core::Context::current().unwrap_or_default();
        (side == Side::Outgoing).then_some(i64::from(context.attempt()))
    }
}

fn port(uri: &Uri) -> Option<i64> {
    let known = match uri.scheme_str() {
        Some("http") => Some(80),
        Some("https") => Some(443),
        _ => None,
    };
    uri.port_u16().or(known).map(i64::from)
}

/// Where a call goes: what its layer stands before, by its name, or else the address.
enum Place<'a> {
    Named(&'a str),
    Address(&'a str, i64),
}

fn place<'a>(shared: &'a Shared, uri: &'a Uri) -> Option<Place<'a>> {
    let named =
        shared.name().and_then(|name| name.split_once('/')).map(|(_, endpoint)| Place::Named(endpoint));
    named.or_else(|| Some(Place::Address(uri.host()?, port(uri)?)))
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::Address(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn title(method: &str, path: &str, grpc: bool, route: Option<&str>) -> String {
        let request = Request::builder().method(method).uri(path).body(()).expect("a request");
        What::of(&Head::of(&request), grpc, route).to_string()
    }

    #[test]
    fn titles_are_few() {
        assert_eq!(title("GET", "/orders/7?user=ada", false, Some("/orders/{id}")), "GET /orders/{id}");
        assert_eq!(title("GET", "/orders/7", false, None), "GET");
        assert_eq!(title("ADA", "/orders/7", false, Some("/orders/{id}")), "HTTP /orders/{id}");
        assert_eq!(title("POST", "/shop.v1.Stock/Reserve", true, None), "shop.v1.Stock/Reserve");
        for path in ["/", "/a", "/a/", "//b", "/a/b/c", "/a/b%20c", "/a b/c".replace(' ', "+").as_str()] {
            assert_eq!(title("POST", path, true, None), "_OTHER/_OTHER", "{path}");
        }
        assert_eq!(title("POST", &format!("/{}/b", "a".repeat(256)), true, None), "_OTHER/_OTHER");
    }

    #[test]
    fn a_place_has_no_user_in_it() {
        let shared = Shared::new(crate::Trace::new());
        let place = |uri: &str| place(&shared, &uri.parse().expect("a uri")).map(|place| place.to_string());
        assert_eq!(place("http://ada:secret@stock:8080/7").as_deref(), Some("stock:8080"));
        assert_eq!(place("https://stock/").as_deref(), Some("stock:443"));
        assert_eq!(place("/7"), None);
    }
}
