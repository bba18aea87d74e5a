use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::header::RETRY_AFTER;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use std::collections::HashMap;
use std::future::pending;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a server received, and what it did: a request that came as a whole has its effect, but not twice under one
/// `idempotency-key`.
///
/// It plays parts, which the query lists with hyphens between them: the first for the first request of an `x-request-id`, and so on;
/// the last for all that follow.
///
/// | part | what it does | what it answers |
/// |---|---|---|
/// | `early` | nothing, of the body it reads nothing | 503 |
/// | `mid` | nothing, of the body it reads the first frame | 503 |
/// | `cut` | its effect | nothing: the connection is cut, of HTTP/2 the stream |
/// | `lossy` | its effect | nothing in three of ten cases, else 200 and `ok` |
/// | `slow` | its effect | the same, after a while |
/// | `torn` | its effect | 200 and a first chunk, and then the cut |
/// | `drip` | its effect | 200 and a first chunk, and then nothing |
/// | `hang` | its effect | nothing ever |
/// | `full` | its effect | 503, and asks for an hour of peace |
/// | a status | its effect | that |
/// | `ok` | its effect | 200 and `ok` |
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<Pages>>);

#[derive(Debug, Default)]
struct Pages {
    received: Vec<Received>,
    by_id: HashMap<String, Vec<usize>>,
    /// By key, or by id where there is none.
    effects: HashMap<String, usize>,
}

/// One request, as it was received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// `x-request-id`.
    pub id: String,
    /// `idempotency-key`.
    pub key: Option<String>,
    /// `x-request-attempt`.
    pub attempt: Option<String>,
    /// What came of its body.
    pub body: Bytes,
    /// The trailers.
    pub trailers: Option<HeaderMap>,
    /// Whether the body came to its end.
    pub whole: bool,
}

impl Ledger {
    /// Creates an empty ledger.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The app that keeps it.
    pub fn app(&self) -> Router {
        Router::new().fallback(receive).with_state(self.clone())
    }

    /// What was received under an id, in its order.
    #[must_use]
    pub fn received(&self, id: &str) -> Vec<Received> {
        let pages = self.pages();
        let of = |at: &usize| pages.received[*at].clone();
        pages.by_id.get(id).map(|all| all.iter().map(of).collect()).unwrap_or_default()
    }

    /// The attempt numbers that were received under an id; `-` for none.
    #[must_use]
    pub fn attempts(&self, id: &str) -> String {
        let attempts = self.received(id).into_iter();
        attempts.map(|one| one.attempt.unwrap_or_else(|| "-".to_owned())).collect::<Vec<_>>().join(" ")
    }

    /// How many requests were received.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.pages().received.len()
    }

    /// How often a key, or an id without one, had its effect.
    #[must_use]
    pub fn effects(&self, of: &str) -> usize {
        self.pages().effects.get(of).copied().unwrap_or_default()
    }

    /// All effects.
    #[must_use]
    pub fn all_effects(&self) -> usize {
        self.pages().effects.values().sum()
    }

    /// Opens a page, and says how many requests of its id came before.
    fn open(&self, head: &Parts) -> (usize, usize) {
        let text = |name| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let id = text("x-request-id").unwrap_or_default();
        let mut pages = self.pages();
        let at = pages.received.len();
        let before = pages.by_id.entry(id.clone()).or_default();
        before.push(at);
        let nth = before.len() - 1;
        let (key, attempt) = (text("idempotency-key"), text("x-request-attempt"));
        pages.received.push(Received { id, key, attempt, ..Received::default() });
        (at, nth)
    }

    fn fill(&self, at: usize, body: Vec<u8>, trailers: Option<HeaderMap>, whole: bool) {
        let pages = &mut *self.pages();
        let page = &mut pages.received[at];
        (page.body, page.trailers, page.whole) = (body.into(), trailers, whole);
        match &page.key {
            _ if !whole => {}
            Some(key) => drop(pages.effects.insert(key.clone(), 1)),
            None => *pages.effects.entry(page.id.clone()).or_default() += 1,
        }
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn receive(State(ledger): State<Ledger>, request: Request) -> Response {
    let (head, mut body) = request.into_parts();
    let (at, nth) = ledger.open(&head);
    let parts: Vec<_> = head.uri.query().unwrap_or("ok").split('-').collect();
    let part = parts[nth.min(parts.len() - 1)];

    let (mut data, mut trailers) = (Vec::new(), None);
    let whole = loop {
        if part == "early" || part == "mid" && !data.is_empty() {
            break false;
        }
        match body.frame().await {
            None => break true,
            Some(Err(_)) => break false,
            Some(Ok(frame)) => match frame.into_data() {
                Ok(more) => data.extend_from_slice(&more),
                Err(frame) => trailers = frame.into_trailers().ok(),
            },
        }
    };
    ledger.fill(at, data, trailers, whole);
    match part {
        "early" | "mid" => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        // Without the noise of a panic.
        "cut" => resume_unwind(Box::new("cut")),
        "lossy" if is_lost(&head, nth) => resume_unwind(Box::new("cut")),
        "slow" => {
            tokio::time::sleep(Duration::from_millis(20)).await;
            resume_unwind(Box::new("cut"))
        }
        "torn" => begun(async { Err(io::Error::other("torn")) }),
        "drip" => begun(pending()),
        "hang" => pending().await,
        "full" => (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "3600")]).into_response(),
        "ok" | "lossy" => "ok".into_response(),
        status => status.parse::<StatusCode>().unwrap().into_response(),
    }
}

/// Throws the same dice in every run, in whatever order requests come.
fn is_lost(head: &Parts, nth: usize) -> bool {
    let mut hasher = DefaultHasher::new();
    (head.headers.get("x-request-id"), nth).hash(&mut hasher);
    hasher.finish() % 10 < 3
}

/// A body whose first chunk is on its way before the rest is asked for.
fn begun(rest: impl Future<Output = io::Result<Bytes>> + Send + 'static) -> Response {
    let last = async {
        // hyper throws away what it has not sent when a body fails.
        tokio::time::sleep(Duration::from_millis(5)).await;
        rest.await
    };
    let chunks = stream::once(async { Ok(Bytes::from_static(b"first")) });
    Body::from_stream(futures_util::StreamExt::chain(chunks, stream::once(last))).into_response()
}
