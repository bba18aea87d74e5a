//! What a request brings along, and what became of its copies.

use super::turn::{Answer, Paper, Turn};
use crate::Probe;
use bartizan_core::{Context, Instant};
use bartizan_http::Replay;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, request};
use http_body::Body;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty};
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tower::BoxError;

/// Body of a request.
pub type Upload = UnsyncBoxBody<Bytes, BoxError>;

/// The turns for the copies of one request; the last is for all further ones.
#[derive(Debug)]
pub struct Script {
    turns: Vec<Turn>,
    born: Instant,
    sent: Mutex<Vec<Sent>>,
    alive: Arc<AtomicU64>,
}

/// One copy of a request, as the inner service got it.
#[derive(Clone, Debug)]
pub struct Sent {
    /// When, since the request was made.
    pub at: Duration,
    /// The request's head; empty in the typed flavour.
    pub head: request::Parts,
    /// Which attempt it is by the context around the call.
    pub attempt: u32,
    /// How many answers to earlier copies were alive then.
    pub alive: u64,
    /// Whether the inner service has begun with it.
    pub begun: bool,
    /// What was read of its body, once it has ended.
    pub read: Option<Read>,
}

/// What was read of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// Data, frame by frame.
    pub frames: Vec<Bytes>,
    /// The trailers.
    pub trailers: Option<HeaderMap>,
    /// The error at its end.
    pub error: Option<String>,
}

/// A request of the typed flavour.
#[derive(Clone, Debug)]
pub struct Ask(pub Arc<Script>);

type Answering<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// The inner service in the HTTP flavour.
pub type HttpInner = Probe<fn(Request<Replay<Upload>>) -> Answering<Response<Paper>>>;

/// The inner service in the typed flavour.
pub type TypedInner = Probe<fn(Ask) -> Answering<Answer>>;

/// Makes an inner service for the HTTP flavour, which finds its script in the extensions of the request.
#[must_use]
pub fn http_inner() -> HttpInner {
    Probe::new(answer_http)
}

/// Makes an inner service for the typed flavour.
#[must_use]
pub fn typed_inner() -> TypedInner {
    Probe::new(answer_typed)
}

/// A `GET` without a body.
#[must_use]
pub fn get() -> Request<Upload> {
    request(Method::GET)
}

/// A `POST` without a body, which must not be repeated.
#[must_use]
pub fn post() -> Request<Upload> {
    request(Method::POST)
}

/// A gRPC call, of which nothing is said.
#[must_use]
pub fn grpc() -> Request<Upload> {
    let mut request = post();
    request.headers_mut().insert("content-type", http::HeaderValue::from_static("application/grpc"));
    request
}

fn request(method: Method) -> Request<Upload> {
    let mut request = Request::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
    *request.method_mut() = method;
    request
}

impl Script {
    /// Creates a script of turns, which begins now.
    #[must_use]
    pub fn new(turns: &[Turn]) -> Arc<Self> {
        Arc::new(Self {
            turns: turns.to_vec(),
            born: Instant::now(),
            sent: Mutex::default(),
            alive: Arc::default(),
        })
    }

    /// How long ago the script began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Instant::now() - self.born
    }

    /// The copies so far.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        self.lock().clone()
    }

    /// The times between the copies so far.
    pub(super) fn waits(&self) -> Vec<Duration> {
        self.lock().windows(2).map(|pair| pair[1].at - pair[0].at).collect()
    }

    /// How many answers are alive.
    #[must_use]
    pub fn alive(&self) -> u64 {
        self.alive.load(SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Sent>> {
        self.sent.lock().expect("nobody panics while he holds it")
    }

    fn enter(&self, mut head: request::Parts) -> (usize, Turn) {
        // It holds this script.
        head.extensions.remove::<Arc<Self>>();
        let attempt = Context::current().map_or(0, |context| context.attempt());
        let at = self.elapsed();
        let mut sent = self.lock();
        let n = sent.len();
        sent.push(Sent { at, head, attempt, alive: self.alive(), begun: false, read: None });
        (n, *self.turns.get(n).or(self.turns.last()).expect("a turn at least"))
    }
}

impl Sent {
    /// The values of a header.
    ///
    /// # Panics
    ///
    /// If one is no text.
    #[must_use]
    pub fn header(&self, name: &str) -> Vec<&str> {
        self.head.headers.get_all(name).iter().map(|value| value.to_str().expect("text")).collect()
    }
}

impl fmt::Display for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.frames.iter().try_for_each(|frame| f.write_str(&String::from_utf8_lossy(frame)))
    }
}

impl Read {
    /// Reads a body to its end.
    pub async fn all<B: Body<Data = Bytes, Error: fmt::Display>>(body: B) -> Self {
        let (mut body, mut read) = (pin!(body), Self::default());
        while let Some(frame) = body.frame().await {
            match frame.map(http_body::Frame::into_data) {
                Ok(Ok(data)) => read.frames.push(data),
                Ok(Err(frame)) => read.trailers = frame.into_trailers().ok(),
                Err(error) => {
                    read.error = Some(error.to_string());
                    break;
                }
            }
        }
        read
    }
}

fn answer_http(request: Request<Replay<Upload>>) -> Answering<Response<Paper>> {
    let (head, body) = request.into_parts();
    let script = head.extensions.get::<Arc<Script>>().expect("a script").clone();
    let (n, turn) = script.enter(head);
    Box::pin(async move {
        script.lock()[n].begun = true;
        let read = Read::all(body).await;
        script.lock()[n].read = Some(read);
        turn.run().await;
        turn.answer_http(n, &script.alive)
    })
}

fn answer_typed(Ask(script): Ask) -> Answering<Answer> {
    let (head, ()) = Request::new(()).into_parts();
    let (n, turn) = script.enter(head);
    Box::pin(async move {
        script.lock()[n].begun = true;
        turn.run().await;
        turn.answer_typed(n, &script.alive)
    })
}
