use crate::begun::Begun;
use crate::original::Original;
use crate::repeat::is_repeatable;
use crate::signs::Signs;
use crate::way::{Heard, Keep, Way};
use bartizan_core::{Attempt, Avoid, Classify, Context, Endpoint, Step, Verdict};
use bartizan_http::{AtEnd, End, Head, HttpClassifier, Replay, ReplayLimit, Replays, is_grpc, wire};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, Request, Response, response};
use http_body::Body;
use hyper::body::Bytes;
use pin_project_lite::pin_project;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, ready};
use tower_service::Service;

/// Statuses and gRPC codes on which a request asks to be sent again, as a list with commas. It goes no further than to the layer that
/// sends again, and only counts where that trusts its callers.
pub const RETRY_ON: HeaderName = HeaderName::from_static("x-request-retry-on");

type Rule = dyn Fn(&Head<'_>) -> bool + Send + Sync;

/// Sends HTTP requests more than once: a copy of the head, and the body from its first byte.
#[derive(Clone)]
pub struct HttpWay<C = HttpClassifier> {
    classify: C,
    /// What may be repeated; by [`is_repeatable`] if none.
    rule: Option<Arc<Rule>>,
}

impl HttpWay {
    /// Creates the way that judges by [`HttpClassifier`] and repeats what is [repeatable](is_repeatable).
    #[must_use]
    pub const fn new() -> Self {
        Self { classify: HttpClassifier, rule: None }
    }
}

impl<C> HttpWay<C> {
    /// Replaces the classifier.
    #[must_use]
    pub fn classify<D>(self, classify: D) -> HttpWay<D> {
        HttpWay { classify, rule: self.rule }
    }

    /// Sets what may be repeated.
    #[must_use]
    pub fn repeat(mut self, rule: impl Fn(&Head<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.rule = Some(Arc::new(rule));
        self
    }

    #[inline]
    fn may_repeat(&self, head: &Head<'_>) -> bool {
        self.rule.as_ref().map_or_else(|| is_repeatable(head), |rule| rule(head))
    }
}

impl Default for HttpWay {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: fmt::Debug> fmt::Debug for HttpWay<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpWay").field("classify", &self.classify).finish_non_exhaustive()
    }
}

/// What copies of an HTTP request are made of.
#[derive(Debug)]
pub struct HttpKept<B> {
    head: Original,
    body: Replays<B>,
    context: Option<Context>,
    asked: Vec<u16>,
    /// An answer whose first frame is a failure can be followed by another attempt: it is a gRPC call that may be repeated.
    peeks: bool,
}

pin_project! {
    /// One attempt of an [`HttpWay`].
    pub struct HttpTry<F, A, B: Body, E> {
        #[pin]
        stage: Stage<F, A, B, E>,
    }
}

pin_project! {
    #[project = StageProj]
    enum Stage<F, A, B: Body, E> {
        Calling { #[pin] future: F, attempt: Option<A> },
        // The head is here, and the first frame decides.
        Peeking { answer: Option<(response::Parts, Pin<Box<B>>, E)> },
    }
}

impl<F, A, B: Body, E> fmt::Debug for HttpTry<F, A, B, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peeking = matches!(self.stage, Stage::Peeking { .. });
        f.debug_struct("HttpTry").field("peeking", &peeking).finish_non_exhaustive()
    }
}

const DONE: &str = "an attempt is not polled after its answer";

impl<S, B, RB, C> Way<S, Request<B>> for HttpWay<C>
where
    S: Service<Request<Replay<B>>, Response = Response<RB>>,
    S::Error: 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    RB: Body,
    C: Classify<Request<Replay<B>>>,
    C::Attempt: Attempt<Response<RB>, S::Error>,
    <C::Attempt as Attempt<Response<RB>, S::Error>>::AtEnd: AtEnd,
{
    type Sent = Request<Replay<B>>;
    type Kept = HttpKept<B>;
    type Response = Response<Begun<RB>>;
    type Error = S::Error;
    type Try = HttpTry<S::Future, C::Attempt, RB, <C::Attempt as Attempt<Response<RB>, S::Error>>::AtEnd>;

    #[inline(always)]
    fn poll_ready(service: &mut S, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        service.poll_ready(cx)
    }

    #[inline(always)]
    fn keep(
        &self,
        mut req: Request<B>,
        limit: &ReplayLimit,
        keep: Keep,
    ) -> (Self::Sent, Option<HttpKept<B>>) {
        let found = Found::among(req.headers());
        let asked = if found.asks { take_asked(req.headers_mut()) } else { Vec::new() };
        let context = context_of(&req);
        let attempt = number_attempt(context, found.numbered, req.headers_mut());
        let again = attempt == 0
            && match keep {
                Keep::Nothing => false,
                Keep::Repeatable => self.may_repeat(&Head::of(&req)),
                Keep::All => true,
            };
        if !again {
            return (req.map(Replay::once), None);
        }
        let peeks = found.content && is_grpc(req.headers()) && self.may_repeat(&Head::of(&req));
        let (head, mut replays) = (Original::of(&req), None);
        let sent = req.map(|body| {
            let (first, others) = Replay::split(body, limit);
            replays = Some(others);
            first
        });
        (sent, replays.map(|body| HttpKept { head, body, context, asked, peeks }))
    }

    /// Of a later attempt nothing is kept.
    fn is_first(_: &HttpKept<B>) -> bool {
        true
    }

    fn repeatable(&self, kept: &HttpKept<B>) -> bool {
        kept.head.show(|head| self.may_repeat(head))
    }

    fn copy(&self, kept: &HttpKept<B>, attempt: u32, avoid: Avoid) -> Option<Self::Sent> {
        let body = kept.body.again()?;
        let mut copy = kept.head.request(body);
        wire::write_attempt(copy.headers_mut(), attempt);
        copy.extensions_mut().insert(kept.context.unwrap_or_default().with_attempt(attempt));
        if !avoid.is_empty() {
            copy.extensions_mut().insert(avoid);
        }
        Some(copy)
    }

    #[inline(always)]
    fn send(&self, service: &mut S, sent: Self::Sent) -> (Self::Try, Option<Endpoint>) {
        let attempt = Some(self.classify.start(&sent));
        // Not within a closure, into which the request would have to be moved.
        Endpoint::forget();
        let future = service.call(sent);
        (HttpTry { stage: Stage::Calling { future, attempt } }, Endpoint::last())
    }

    #[inline(always)]
    fn poll_try(
        &self,
        mut attempt: Pin<&mut Self::Try>,
        kept: Option<&HttpKept<B>>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Heard<Self::Response, S::Error>> {
        if let StageProj::Calling { future, attempt: judge } = attempt.as_mut().project().stage.project() {
            let answer = ready!(future.poll(cx));
            let at_end = match judge.take().expect(DONE).classify(answer.as_ref()) {
                Step::Done(verdict) => return Poll::Ready(whole(answer, verdict)),
                Step::AtEnd(at_end) => at_end,
            };
            // Nobody gains by waiting for the first frame of what cannot be sent again.
            if !kept.is_some_and(|kept| kept.peeks) {
                return Poll::Ready(whole(answer, Verdict::Success));
            }
            let response = match answer {
                Ok(response) => response,
                Err(error) => return Poll::Ready(whole(Err(error), Verdict::Failure)),
            };
            let (parts, body) = response.into_parts();
            let answer = Some((parts, Box::pin(body), at_end));
            attempt.as_mut().project().stage.set(Stage::Peeking { answer });
        }
        let StageProj::Peeking { answer } = attempt.project().stage.project() else {
            unreachable!("the stage of calling is over")
        };
        poll_first(answer, kept, cx)
    }

    fn signs(answer: &Result<Self::Response, S::Error>) -> Signs {
        match answer {
            Ok(response) => Signs::of_response(response),
            Err(error) => Signs::of_error(error),
        }
    }

    fn mark<T: Clone + Send + Sync + 'static>(sent: &mut Self::Sent, say: T) {
        sent.extensions_mut().insert(say);
    }

    fn tell<T: Clone + Send + Sync + 'static>(answer: &mut Self::Response, say: T) {
        answer.extensions_mut().insert(say);
    }

    fn context(kept: &HttpKept<B>) -> Option<Context> {
        kept.context
    }

    fn is_untouched(kept: &HttpKept<B>) -> bool {
        kept.body.is_untouched()
    }

    fn is_spoilt(kept: &HttpKept<B>) -> bool {
        kept.body.has_failed()
    }

    fn extension<T: Clone + Send + Sync + 'static>(kept: &HttpKept<B>) -> Option<T> {
        kept.head.extensions.get().cloned()
    }

    fn asked(kept: &HttpKept<B>) -> &[u16] {
        &kept.asked
    }
}

fn whole<B: Body, E>(answer: Result<Response<B>, E>, verdict: Verdict) -> Heard<Response<Begun<B>>, E> {
    Heard { answer: answer.map(|response| response.map(Begun::whole)), verdict }
}

type Peeking<B, A> = Option<(response::Parts, Pin<Box<B>>, A)>;

/// Waits for the first frame, but not while the caller may yet have something to send: it may wait for the head in order to go on.
fn poll_first<B: Body, A: AtEnd, Q, E>(
    answer: &mut Peeking<B, A>,
    kept: Option<&HttpKept<Q>>,
    cx: &mut task::Context<'_>,
) -> Poll<Heard<Response<Begun<B>>, E>> {
    let (_, body, _) = answer.as_mut().expect(DONE);
    let first = match body.as_mut().poll_frame(cx) {
        Poll::Ready(first) => Some(first),
        Poll::Pending if kept.is_some_and(|kept| kept.body.is_ended()) => return Poll::Pending,
        Poll::Pending => None,
    };
    let (parts, body, at_end) = answer.take().expect(DONE);
    let verdict = match &first {
        None => Verdict::Success,
        Some(None) => at_end.finish(End::Eof),
        Some(Some(Err(_))) => at_end.finish(End::Error),
        Some(Some(Ok(frame))) => match frame.trailers_ref() {
            Some(trailers) => at_end.finish(End::Trailers(trailers)),
            None => Verdict::Success,
        },
    };
    let response = Response::from_parts(parts, Begun::peeked(body, first));
    Poll::Ready(Heard { answer: Ok(response), verdict })
}

#[inline]
fn context_of<B>(req: &Request<B>) -> Option<Context> {
    req.extensions().get().copied().or_else(Context::current)
}

/// Which headers of a request matter here. To look all names over costs less than to hash three of them.
#[derive(Default)]
struct Found {
    asks: bool,
    numbered: bool,
    content: bool,
}

impl Found {
    #[inline]
    fn among(headers: &HeaderMap) -> Self {
        let mut found = Self::default();
        for name in headers.keys() {
            found.asks |= *name == RETRY_ON;
            found.numbered |= *name == wire::REQUEST_ATTEMPT;
            found.content |= *name == CONTENT_TYPE;
        }
        found
    }
}

/// Finds out which attempt of a tier above the request belongs to, and has it say so further down.
#[inline]
fn number_attempt(context: Option<Context>, numbered: bool, headers: &mut HeaderMap) -> u32 {
    let given = context.map_or(0, |context| context.attempt());
    let said = if numbered { wire::read_attempt(headers).value() } else { None }.unwrap_or_default();
    let attempt = given.max(said);
    if attempt > said {
        wire::write_attempt(headers, attempt);
    }
    attempt
}

/// Takes the answers out of the headers on which the request asks to be sent again. What is no number is passed over.
#[cold]
fn take_asked(headers: &mut HeaderMap) -> Vec<u16> {
    let asked = headers.get_all(RETRY_ON).iter().filter_map(|value| value.to_str().ok());
    let asked = asked.flat_map(|list| list.split(',')).filter_map(|code| code.trim().parse().ok()).collect();
    headers.remove(RETRY_ON);
    asked
}
