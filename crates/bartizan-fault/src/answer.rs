use crate::blow::End;
use bartizan_http::Form;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Response, StatusCode};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Answers as a service that fails does: nothing but its text tells it from a failure of its own.
pub(crate) fn answer(end: Option<End>, form: Form) -> Response<Vec<u8>> {
    let response = answer_whole(end, form == Form::Grpc);
    if form == Form::Head { response.map(|_| Vec::new()) } else { response }
}

fn answer_whole(end: Option<End>, grpc: bool) -> Response<Vec<u8>> {
    match (end, grpc) {
        // A gRPC client takes whatever comes in a body for a message.
        (Some(End::Status(status)), true) => bare(status),
        (Some(End::Status(status)), false) => problem(status),
        (Some(End::Grpc(code)), true) => trailers_only(code),
        (Some(End::Grpc(code)), false) => problem(status_of(code)),
        (_, true) => trailers_only(13),
        (_, false) => problem(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

fn bare(status: StatusCode) -> Response<Vec<u8>> {
    let mut response = Response::new(Vec::new());
    *response.status_mut() = status;
    response
}

fn problem(status: StatusCode) -> Response<Vec<u8>> {
    if [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::NOT_MODIFIED].contains(&status) {
        return bare(status);
    }
    let title = status.canonical_reason().unwrap_or_default();
    let body = format!(r#"{{"title":"{title}","status":{},"detail":"injected fault"}}"#, status.as_u16());
    let mut response = bare(status).map(|_| body.into_bytes());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}

fn trailers_only(code: u16) -> Response<Vec<u8>> {
    let mut response = bare(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, code.into());
    headers.insert(GRPC_MESSAGE, HeaderValue::from_static("injected fault"));
    response
}

/// The HTTP status that goes with a gRPC code, after google.rpc.Code.
fn status_of(code: u16) -> StatusCode {
    match code {
        0 => StatusCode::OK,
        3 | 9 | 11 => StatusCode::BAD_REQUEST,
        4 => StatusCode::GATEWAY_TIMEOUT,
        5 => StatusCode::NOT_FOUND,
        6 | 10 => StatusCode::CONFLICT,
        7 => StatusCode::FORBIDDEN,
        8 => StatusCode::TOO_MANY_REQUESTS,
        12 => StatusCode::NOT_IMPLEMENTED,
        14 => StatusCode::SERVICE_UNAVAILABLE,
        16 => StatusCode::UNAUTHORIZED,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
