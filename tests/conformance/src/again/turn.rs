//! What the inner service does with one copy of a request.

use crate::call::SCRIPT;
use bartizan_core::{Attempt, Classify, ErrorsFail, Kind, Reason, Refused, Step, Verdict};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body::{Body, Frame};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::sleep;
use tower::BoxError;

/// The answer to one copy.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    end: End,
    lasts: Duration,
    held: bool,
    wait: Option<Duration>,
    header: Option<(&'static str, &'static str)>,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Status(u16),
    /// A gRPC code, in the head or, late, in the trailers.
    Grpc(u16),
    GrpcLate(u16),
    /// A good head, a piece of the body, and an error.
    Cut,
    Lost(ErrorKind),
    Refused,
    Never,
}

/// 200.
pub const OK: Turn = Turn::status(200);
/// 503.
pub const DOWN: Turn = Turn::status(503);
/// 400: the request's own fault.
pub const BAD: Turn = Turn::status(400);
/// The connection breaks after the request was written.
pub const LOST: Turn = Turn::new(End::Lost(ErrorKind::ConnectionReset));
/// The connection is refused: the request never arrives.
pub const UNREACHED: Turn = Turn::new(End::Lost(ErrorKind::ConnectionRefused));
/// A layer inside refuses.
pub const REFUSED: Turn = Turn::new(End::Refused);
/// No answer, until it is dropped.
pub const HANGS: Turn = Turn::new(End::Never);

const NO: Reason = Reason::new(SCRIPT, Kind::Unavailable, "no");
const TURN: HeaderName = HeaderName::from_static("x-turn");

impl Turn {
    const fn new(end: End) -> Self {
        Self { end, lasts: Duration::ZERO, held: false, wait: None, header: None }
    }

    /// A status.
    #[must_use]
    pub const fn status(code: u16) -> Self {
        Self::new(End::Status(code))
    }

    /// A gRPC code in the head.
    #[must_use]
    pub const fn grpc(code: u16) -> Self {
        Self::new(End::Grpc(code))
    }

    /// A gRPC code in trailers behind a good head.
    #[must_use]
    pub const fn grpc_late(code: u16) -> Self {
        Self::new(End::GrpcLate(code))
    }

    /// A good head and some of its body, and then the connection breaks.
    #[must_use]
    pub const fn cut() -> Self {
        Self::new(End::Cut)
    }

    /// Lasts that long.
    #[must_use]
    pub const fn lasting(mut self, millis: u64) -> Self {
        self.lasts = Duration::from_millis(millis);
        self
    }

    /// Is pending once.
    #[must_use]
    pub const fn held(mut self) -> Self {
        self.held = true;
        self
    }

    /// Asks to be left alone for so long: over HTTP in whole seconds.
    #[must_use]
    pub const fn after(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// Has this header, or with gRPC this trailer.
    #[must_use]
    pub const fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.header = Some((name, value));
        self
    }

    pub(super) async fn run(self) {
        if self.held {
            let mut polled = false;
            std::future::poll_fn(|_| {
                if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
        if !self.lasts.is_zero() {
            sleep(self.lasts).await;
        }
        if matches!(self.end, End::Never) {
            std::future::pending::<()>().await;
        }
    }

    pub(super) fn answer_http(
        self,
        turn: usize,
        alive: &Arc<AtomicU64>,
    ) -> Result<Response<Paper>, BoxError> {
        let alive = Alive::new(alive);
        let mut headers = HeaderMap::from_iter([(TURN, HeaderValue::from(turn))]);
        let mut trailers = HeaderMap::new();
        let (code, text) = match self.end {
            End::Status(code) => (code, format!("{code} from {turn}")),
            End::Grpc(code) => {
                headers.insert("grpc-status", code.into());
                (200, String::new())
            }
            End::GrpcLate(code) => {
                trailers.insert("grpc-status", code.into());
                (200, String::new())
            }
            End::Cut => (200, format!("piece from {turn}")),
            End::Lost(kind) => return Err(Lost { turn, cause: kind.into(), _alive: alive }.into()),
            End::Refused => {
                let response = bartizan_http::answer(self.refusal(), bartizan_http::Form::Http);
                let (mut head, body) = response.into_parts();
                head.headers.insert(TURN, turn.into());
                return Ok(Response::from_parts(head, Paper::new([Ok(Frame::data(body))], alive)));
            }
            End::Never => unreachable!("it does not answer"),
        };
        if let Some((name, value)) = self.header {
            let to = if trailers.is_empty() { &mut headers } else { &mut trailers };
            to.insert(name, HeaderValue::from_static(value));
        }
        if let Some(wait) = self.wait {
            headers.insert("retry-after", wait.as_secs().into());
        }
        let mut frames = VecDeque::new();
        if !text.is_empty() {
            frames.push_back(Ok(Frame::data(text.into())));
        }
        if !trailers.is_empty() {
            frames.push_back(Ok(Frame::trailers(trailers)));
        }
        if matches!(self.end, End::Cut) {
            frames.push_back(Err(io::Error::from(ErrorKind::ConnectionReset).into()));
        }
        let mut response = Response::new(Paper::new(frames, alive));
        *response.status_mut() = code.try_into()?;
        *response.headers_mut() = headers;
        Ok(response)
    }

    pub(super) fn answer_typed(self, turn: usize, alive: &Arc<AtomicU64>) -> Result<Answer, BoxError> {
        let alive = Alive::new(alive);
        match self.end {
            End::Status(code) if code < 400 => Ok(Answer { code, turn, _alive: alive }),
            End::Status(code) => Err(Said { code, turn, wait: self.wait, _alive: alive }.into()),
            End::Lost(kind) => Err(Lost { turn, cause: kind.into(), _alive: alive }.into()),
            End::Refused => Err(self.refusal().into()),
            other => unreachable!("{other:?} is of HTTP"),
        }
    }

    fn refusal(self) -> Refused {
        let refused = Refused::new(&NO);
        match self.wait {
            Some(wait) => refused.with_retry_after(wait),
            None => refused,
        }
    }
}

/// Counts what is alive of the answers to one request.
#[derive(Debug)]
struct Alive(Arc<AtomicU64>);

impl Alive {
    fn new(count: &Arc<AtomicU64>) -> Self {
        count.fetch_add(1, SeqCst);
        Self(count.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// Body of a scripted answer.
#[derive(Debug)]
pub struct Paper {
    frames: VecDeque<Result<Frame<Bytes>, BoxError>>,
    _alive: Alive,
}

impl Paper {
    fn new(frames: impl Into<VecDeque<Result<Frame<Bytes>, BoxError>>>, alive: Alive) -> Self {
        Self { frames: frames.into(), _alive: alive }
    }
}

impl Body for Paper {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(self.frames.pop_front())
    }
}

/// A good answer in the typed flavour.
#[derive(Debug)]
pub struct Answer {
    code: u16,
    turn: usize,
    _alive: Alive,
}

/// An answer in the typed flavour that is none.
#[derive(Debug)]
pub struct Said {
    code: u16,
    turn: usize,
    wait: Option<Duration>,
    _alive: Alive,
}

/// The request or its answer was lost.
#[derive(Debug)]
pub struct Lost {
    turn: usize,
    cause: io::Error,
    _alive: Alive,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}", self.code, self.turn)
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}", self.code, self.turn)
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lost in {}", self.turn)
    }
}

impl std::error::Error for Said {}

impl std::error::Error for Lost {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// Classifier of the typed flavour that knows [`Said`] as HTTP's knows statuses.
#[derive(Clone, Copy, Debug)]
pub struct Saying;

impl<Req> Classify<Req> for Saying {
    type Attempt = Self;

    fn start(&self, _: &Req) -> Self {
        Self
    }
}

impl<T> Attempt<T, BoxError> for Saying {
    type AtEnd = Infallible;

    fn classify(self, out: Result<&T, &BoxError>) -> Step<Infallible> {
        match out.map_err(|error| error.downcast_ref()) {
            Err(Some(Said { code: 429, wait, .. })) => Step::Done(Verdict::Throttled(*wait)),
            Err(Some(Said { code: ..500, .. })) => Step::Done(Verdict::Success),
            _ => ErrorsFail.classify(out),
        }
    }
}
