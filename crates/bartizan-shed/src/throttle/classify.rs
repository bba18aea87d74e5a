use bartizan_core::{Attempt, Classify, Step, Verdict};
use bartizan_http::wire::{read_pushback, read_retry_after};
use bartizan_http::{AtEnd, End, HttpAtEnd, HttpAttempt, HttpClassifier, grpc_status};
use http::{Request, Response, StatusCode};

/// [`HttpClassifier`], but a 503 and gRPC's `UNAVAILABLE` are throttled, not failures: so a server says that it refuses, ours too.
///
/// The default of a [`ThrottleLayer`](super::ThrottleLayer) in the HTTP flavour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefusalClassifier;

/// What [`RefusalClassifier`] keeps of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusalAttempt(HttpAttempt);

/// What [`RefusalClassifier`] keeps of the head of a good answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusalAtEnd(HttpAtEnd);

/// `UNAVAILABLE`.
const UNAVAILABLE: u16 = 14;

impl<B> Classify<Request<B>> for RefusalClassifier {
    type Attempt = RefusalAttempt;

    #[inline]
    fn start(&self, req: &Request<B>) -> RefusalAttempt {
        RefusalAttempt(HttpClassifier.start(req))
    }
}

impl<B, E: 'static> Attempt<Response<B>, E> for RefusalAttempt {
    type AtEnd = RefusalAtEnd;

    #[inline]
    fn classify(self, out: Result<&Response<B>, &E>) -> Step<RefusalAtEnd> {
        match (self.0.classify(out), out) {
            (Step::Done(Verdict::Failure), Ok(response)) => Step::Done(judge(response)),
            (Step::Done(verdict), _) => Step::Done(verdict),
            (Step::AtEnd(at_end), _) => Step::AtEnd(RefusalAtEnd(at_end)),
        }
    }
}

/// Looks again at the head of an answer that is a failure.
fn judge<B>(response: &Response<B>) -> Verdict {
    let headers = response.headers();
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        Verdict::Throttled(read_retry_after(headers))
    } else if grpc_status(headers) == Some(UNAVAILABLE) {
        Verdict::Throttled(read_pushback(headers))
    } else {
        Verdict::Failure
    }
}

impl AtEnd for RefusalAtEnd {
    #[inline]
    fn finish(self, end: End<'_>) -> Verdict {
        match (self.0.finish(end), end) {
            (Verdict::Failure, End::Trailers(trailers)) if grpc_status(trailers) == Some(UNAVAILABLE) => {
                Verdict::Throttled(read_pushback(trailers))
            }
            (verdict, _) => verdict,
        }
    }
}

#[cfg(all(test, not(bartizan_loom)))]
mod tests {
    use super::*;
    use bartizan_core::{Kind, Reason, Refused};
    use http::HeaderMap;
    use std::convert::Infallible;
    use std::time::Duration;

    fn judge(grpc: bool, response: &Response<()>) -> Step<RefusalAtEnd> {
        let kind = if grpc { "application/grpc" } else { "text/plain" };
        let request = Request::builder().header("content-type", kind).body(()).expect("a request");
        RefusalClassifier.start(&request).classify(Ok::<_, &Infallible>(response))
    }

    fn answer(status: u16, header: Option<(&'static str, u16)>) -> Response<()> {
        let mut response = Response::builder().status(status);
        if let Some((name, number)) = header {
            response = response.header(name, number);
        }
        response.body(()).expect("a response")
    }

    #[test]
    fn heads() {
        let failure = Step::Done(Verdict::Failure);
        let throttled = |seconds| Step::Done(Verdict::Throttled(seconds));
        for (grpc, response, ought) in [
            (false, answer(503, None), throttled(None)),
            (false, answer(503, Some(("retry-after", 7))), throttled(Some(Duration::from_secs(7)))),
            (false, answer(429, None), throttled(None)),
            (false, answer(500, None), failure),
            (false, answer(502, None), failure),
            (true, answer(200, Some(("grpc-status", 14))), throttled(None)),
            (true, answer(200, Some(("grpc-status", 8))), throttled(None)),
            (true, answer(200, Some(("grpc-status", 13))), failure),
            (true, answer(200, Some(("grpc-status", 0))), Step::Done(Verdict::Success)),
        ] {
            assert_eq!(judge(grpc, &response), ought, "{response:?}");
        }
    }

    #[test]
    fn a_refusal_on_this_side_is_ignored() {
        const OPEN: Reason = Reason::new("breaker", Kind::Unavailable, "open");
        let mut response = answer(503, None);
        response.extensions_mut().insert(Refused::new(&OPEN));
        assert_eq!(judge(false, &response), Step::Done(Verdict::Ignored));
    }

    #[test]
    fn trailers() {
        let Step::AtEnd(at_end) = judge(true, &answer(200, None)) else { panic!("judged by its head") };
        for (status, ought) in [
            (14, Verdict::Throttled(None)),
            (8, Verdict::Throttled(None)),
            (2, Verdict::Failure),
            (0, Verdict::Success),
        ] {
            let trailers =
                HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), status.into())]);
            assert_eq!(at_end.finish(End::Trailers(&trailers)), ought, "{status}");
        }
        assert_eq!(at_end.finish(End::Eof), Verdict::Failure);
    }
}
