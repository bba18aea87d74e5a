use crate::arrival::never_arrived;
use crate::begun::Begun;
use bartizan_core::{Refused, find_cause, is_own, recognised};
use bartizan_http::grpc_status;
use bartizan_http::wire::{self, Pushback, read_pushback_hint};
use http::{HeaderMap, Response};
use http_body::Body;
use std::any::Any;
use std::time::Duration;

/// What an answer, or its failure to come, says about sending the request again.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Signs {
    /// How the call ended.
    pub outcome: Outcome,
    /// When the server wants to be asked again.
    pub hint: Hint,
    /// The refusal by a layer on this side, if the answer is one.
    pub refused: Option<Refused>,
    /// Whether it is proven that the server has not begun with the request.
    pub never_arrived: bool,
    /// Whether it is certain that the error is about the request that was sent, and not about one to which a redirect led.
    pub own: bool,
    /// Whether the answer is marked as one of an overloaded or rate-limited peer, which must not be asked again: Envoy's
    /// `x-envoy-overloaded` and `x-envoy-ratelimited`.
    pub overloaded: bool,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With an HTTP status.
    Status(u16),
    /// With a gRPC code.
    Grpc(u16),
    /// Without an answer, or with one that was cut off.
    Lost,
}

/// When a server wants to be asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// It does not say.
    None,
    /// After so long: `Retry-After` (RFC 9110 §10.2.3) or `grpc-retry-pushback-ms` (gRFC A6).
    After(Duration),
    /// Not with this request: a pushback that is negative or unreadable (gRFC A6).
    Never,
}

impl Signs {
    /// Signs of an answer of which nothing is known.
    pub(crate) const fn unknown() -> Self {
        Self {
            outcome: Outcome::Lost,
            hint: Hint::None,
            refused: None,
            never_arrived: false,
            own: true,
            overloaded: false,
        }
    }

    /// Signs of an error of any type.
    #[cold]
    pub fn of_error<E: 'static>(error: &E) -> Self {
        let any: &dyn Any = error;
        let cause = recognised(any);
        let refused = any.downcast_ref().or_else(|| cause.and_then(find_cause::<Refused>));
        Self {
            outcome: Outcome::Lost,
            hint: Hint::None,
            never_arrived: refused.is_none() && cause.is_some_and(never_arrived),
            refused: refused.cloned(),
            own: cause.is_none_or(is_own),
            overloaded: false,
        }
    }

    /// Signs of an answer.
    #[cold]
    pub fn of_response<B: Body>(response: &Response<Begun<B>>) -> Self {
        let headers = response.headers();
        let at_end = response.body().trailers();
        let code = at_end.and_then(grpc_status).or_else(|| grpc_status(headers));
        let (outcome, hint) = match code {
            _ if response.body().has_failed() => (Outcome::Lost, Hint::None),
            Some(code) => (Outcome::Grpc(code), pushback(at_end.unwrap_or(headers))),
            None => (Outcome::Status(response.status().as_u16()), retry_after(headers)),
        };
        Self {
            outcome,
            hint,
            refused: response.extensions().get().cloned(),
            never_arrived: false,
            own: true,
            overloaded: is_overloaded(headers) || at_end.is_some_and(is_overloaded),
        }
    }
}

fn is_overloaded(headers: &HeaderMap) -> bool {
    ["x-envoy-overloaded", "x-envoy-ratelimited"].iter().any(|name| headers.contains_key(*name))
}

fn pushback(headers: &HeaderMap) -> Hint {
    match read_pushback_hint(headers) {
        Pushback::Absent => Hint::None,
        Pushback::Never => Hint::Never,
        Pushback::After(wait) => Hint::After(wait),
    }
}

fn retry_after(headers: &HeaderMap) -> Hint {
    wire::read_retry_after(headers).map_or(Hint::None, Hint::After)
}
