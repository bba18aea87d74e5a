use crate::grpc::{grpc_status, grpc_verdict, is_grpc};
use crate::wire;
use bartizan_core::{Attempt, Classify, ErrorsFail, Refused, Step, Verdict};
use http::header::CONTENT_TYPE;
use http::{Extensions, HeaderMap, Request, Response, StatusCode};
use std::convert::Infallible;

/// How a response body ended.
#[derive(Clone, Copy, Debug)]
pub enum End<'a> {
    /// With trailers, which are about to be yielded.
    Trailers(&'a HeaderMap),
    /// Without trailers.
    Eof,
    /// With an error, or with a panic inside the body.
    Error,
    /// The reader dropped it before its end.
    Dropped,
}

/// The third stage of a classifier: it judges a call by the end of its body.
pub trait AtEnd: Send + 'static {
    /// Finds the verdict. Called once.
    fn finish(self, end: End<'_>) -> Verdict;
}

impl AtEnd for Infallible {
    fn finish(self, _: End<'_>) -> Verdict {
        match self {}
    }
}

/// Judges HTTP and gRPC calls; the default of every layer's HTTP flavour.
///
/// | what | verdict |
/// |---|---|
/// | an error of the inner service, a 5xx | failure |
/// | 429 | throttled, with `Retry-After` as its pause |
/// | a response with a [`Refused`] in its extensions that is [no verdict](Refused::is_verdict) | ignored |
/// | any other status, and the body ends or is dropped | success |
/// | any other status, and the body fails | failure; if by a [`Refused`] that is no verdict, as if dropped |
/// | gRPC | by `grpc-status`, see [`grpc_verdict`]; dropped before the trailers: ignored |
///
/// A gRPC call is told by the `content-type` of its request. Upgrades and `text/event-stream` are judged by their head, as
/// they may never end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HttpClassifier;

/// What [`HttpClassifier`] keeps of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpAttempt {
    grpc: bool,
}

/// What [`HttpClassifier`] keeps of the head of a good answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpAtEnd {
    grpc: bool,
}

impl<B> Classify<Request<B>> for HttpClassifier {
    type Attempt = HttpAttempt;

    #[inline]
    fn start(&self, req: &Request<B>) -> HttpAttempt {
        HttpAttempt { grpc: is_grpc(req.headers()) }
    }
}

impl<B, E: 'static> Attempt<Response<B>, E> for HttpAttempt {
    type AtEnd = HttpAtEnd;

    /// What most answers are is found out where they are, without a call.
    #[inline(always)]
    fn classify(self, out: Result<&Response<B>, &E>) -> Step<HttpAtEnd> {
        match out {
            Ok(response) if self.is_plain(response) => Step::AtEnd(HttpAtEnd { grpc: false }),
            Ok(response) => self.look(response.status(), response.headers(), response.extensions()),
            Err(error) => Step::Done(ErrorsFail::judge(error)),
        }
    }
}

impl HttpAttempt {
    /// Whether there is nothing in the head that could decide.
    #[inline(always)]
    fn is_plain<B>(self, response: &Response<B>) -> bool {
        let status = response.status();
        !self.grpc
            && response.extensions().is_empty()
            && (status.is_success() || status.is_redirection())
            && response.headers().is_empty()
    }

    #[inline(never)]
    fn look(self, status: StatusCode, headers: &HeaderMap, extensions: &Extensions) -> Step<HttpAtEnd> {
        if extensions.get::<Refused>().is_some_and(|refused| !refused.is_verdict()) {
            return Step::Done(Verdict::Ignored);
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Step::Done(Verdict::Throttled(wire::read_retry_after(headers)));
        }
        if status.is_server_error() {
            return Step::Done(Verdict::Failure);
        }
        if self.grpc {
            return match grpc_status(headers) {
                Some(_) => Step::Done(grpc_verdict(headers)),
                None => Step::AtEnd(HttpAtEnd { grpc: true }),
            };
        }
        if may_never_end(status, headers) {
            return Step::Done(Verdict::Success);
        }
        Step::AtEnd(HttpAtEnd { grpc: false })
    }
}

fn may_never_end(status: StatusCode, headers: &HeaderMap) -> bool {
    const EVENTS: &[u8] = b"text/event-stream";
    status == StatusCode::SWITCHING_PROTOCOLS
        || headers.get(CONTENT_TYPE).is_some_and(|value| {
            value.as_bytes().get(..EVENTS.len()).is_some_and(|start| start.eq_ignore_ascii_case(EVENTS))
        })
}

impl AtEnd for HttpAtEnd {
    #[inline]
    fn finish(self, end: End<'_>) -> Verdict {
        match end {
            End::Error => Verdict::Failure,
            End::Trailers(trailers) if self.grpc => grpc_verdict(trailers),
            End::Eof if self.grpc => Verdict::Failure,
            End::Dropped if self.grpc => Verdict::Ignored,
            End::Trailers(_) | End::Eof | End::Dropped => Verdict::Success,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_core::{Kind, Reason};
    use std::time::Duration;

    fn judge(grpc: bool, response: &Response<()>) -> Step<HttpAtEnd> {
        HttpAttempt { grpc }.classify(Ok::<_, &Infallible>(response))
    }

    fn status(code: u16) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(code).expect("a status");
        response
    }

    #[test]
    fn heads_that_decide() {
        for code in [500, 502, 503, 504, 599] {
            assert_eq!(judge(false, &status(code)), Step::Done(Verdict::Failure), "{code}");
        }
        for code in [200, 204, 304, 404, 409] {
            assert_eq!(judge(false, &status(code)), Step::AtEnd(HttpAtEnd { grpc: false }), "{code}");
        }
        let mut throttled = status(429);
        assert_eq!(judge(false, &throttled), Step::Done(Verdict::Throttled(None)));
        throttled.headers_mut().insert("retry-after", 7.into());
        assert_eq!(judge(false, &throttled), Step::Done(Verdict::Throttled(Some(Duration::from_secs(7)))));
        assert_eq!(judge(false, &status(101)), Step::Done(Verdict::Success));
        for kind in ["text/event-stream", "Text/Event-Stream;charset=utf-8"] {
            let mut events = status(200);
            events.headers_mut().insert(CONTENT_TYPE, kind.parse().expect("a value"));
            assert_eq!(judge(false, &events), Step::Done(Verdict::Success), "{kind}");
        }
    }

    #[test]
    fn refusals_of_layers_inside_are_ignored_unless_they_reached() {
        const BEFORE: Reason = Reason::new("limit", Kind::Unavailable, "full");
        const AFTER: Reason = BEFORE.reached();
        let mut response = status(503);
        response.extensions_mut().insert(Refused::new(&BEFORE));
        assert_eq!(judge(false, &response), Step::Done(Verdict::Ignored));
        response.extensions_mut().insert(Refused::new(&AFTER));
        assert_eq!(judge(false, &response), Step::Done(Verdict::Failure));
    }

    #[test]
    fn ends_that_decide() {
        let trailers = HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), 14.into())]);
        let (http, grpc) = (HttpAtEnd { grpc: false }, HttpAtEnd { grpc: true });
        for (at_end, end, ought) in [
            (http, End::Eof, Verdict::Success),
            (http, End::Trailers(&trailers), Verdict::Success),
            (http, End::Dropped, Verdict::Success),
            (http, End::Error, Verdict::Failure),
            (grpc, End::Eof, Verdict::Failure),
            (grpc, End::Trailers(&trailers), Verdict::Failure),
            (grpc, End::Dropped, Verdict::Ignored),
            (grpc, End::Error, Verdict::Failure),
        ] {
            assert_eq!(at_end.finish(end), ought, "{at_end:?} {end:?}");
        }
    }
}
