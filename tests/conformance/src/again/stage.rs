//! A layered service on which scripts are played.

use super::script::{Ask, HttpInner, Read, Script, Sent, TypedInner, Upload, get, http_inner, typed_inner};
use super::turn::{Answer, HANGS, Turn};
use crate::{Flavour, Mode, Tally};
use bartizan_core::{Refused, find_cause};
use bartizan_http::grpc_status;
use bytes::Bytes;
use http::{Request, Response, response};
use http_body::Body;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tower::util::BoxCloneService;
use tower::{BoxError, Service, ServiceExt};

type Played = (Arc<Script>, Request<Upload>);
type Stack = BoxCloneService<Played, (String, Option<response::Parts>), BoxError>;

/// A layered service in one mode and one flavour.
pub struct Stage<H> {
    mode: Mode,
    flavour: Flavour,
    stack: Stack,
    handle: H,
    tally: Arc<Tally>,
    script: Arc<Script>,
    calls: u64,
}

/// What came out of a call.
#[derive(Clone, Debug)]
pub struct Heard {
    /// `200 from 1`: the answer, and which copy it answers.
    pub said: String,
    /// When, since the request was made.
    pub at: Duration,
    /// The head of an HTTP answer.
    pub head: Option<response::Parts>,
}

/// A call under way.
pub type Hearing = Pin<Box<dyn Future<Output = Heard> + Send>>;

/// Plays a row on what `build` makes, in every mode and flavour. Afterwards, nothing may be left under way.
///
/// # Panics
///
/// If something is.
pub async fn on_stage<H>(build: impl Fn(Flavour) -> Stage<H>, row: impl AsyncFn(&mut Stage<H>)) {
    for flavour in [Flavour::Http, Flavour::Typed] {
        in_every_mode(&build, flavour, &row).await;
    }
}

/// Plays a row about HTTP in every mode.
pub async fn on_stage_http<H>(build: impl Fn() -> Stage<H>, row: impl AsyncFn(&mut Stage<H>)) {
    in_every_mode(&|_| build(), Flavour::Http, &row).await;
}

async fn in_every_mode<H>(
    build: &impl Fn(Flavour) -> Stage<H>,
    flavour: Flavour,
    row: &impl AsyncFn(&mut Stage<H>),
) {
    for mode in Mode::ALL {
        let mut stage = build(flavour);
        stage.mode = mode;
        row(&mut stage).await;
        assert_eq!(stage.tally.running(), 0, "calls are left");
        assert_eq!(stage.script.alive(), 0, "answers are left");
    }
}

impl<H> Stage<H> {
    /// Creates the stage of a stack in the HTTP flavour.
    pub fn http<S, B>(handle: H, stack: impl FnOnce(HttpInner) -> S) -> Self
    where
        S: Service<Request<Upload>, Response = Response<B>, Error = BoxError, Future: Send>
            + Clone
            + Send
            + 'static,
        B: Body<Data = Bytes, Error: fmt::Display> + Send + 'static,
    {
        let inner = http_inner();
        let tally = inner.tally();
        let service = stack(inner)
            .map_request(|(script, mut request): Played| {
                request.extensions_mut().insert(script);
                request
            })
            .then(async |result| Ok::<_, BoxError>(hear_http(result).await));
        Self::new(Flavour::Http, BoxCloneService::new(service), handle, tally)
    }

    /// Creates the stage of a stack in the typed flavour.
    pub fn typed<S>(handle: H, stack: impl FnOnce(TypedInner) -> S) -> Self
    where
        S: Service<Ask, Response = Answer, Error = BoxError, Future: Send> + Clone + Send + 'static,
    {
        let inner = typed_inner();
        let tally = inner.tally();
        let service = stack(inner)
            .map_request(|(script, _): Played| Ask(script))
            .then(async |result| Ok::<_, BoxError>((hear_typed(&result), None)));
        Self::new(Flavour::Typed, BoxCloneService::new(service), handle, tally)
    }

    fn new(flavour: Flavour, stack: Stack, handle: H, tally: Arc<Tally>) -> Self {
        Self { mode: Mode::Direct, flavour, stack, handle, tally, script: Script::new(&[]), calls: 0 }
    }

    /// Makes a `GET` and awaits its end.
    pub async fn call(&mut self, turns: &[Turn]) -> Heard {
        self.send(get(), turns).await
    }

    /// Makes a request and awaits its end. In the typed flavour nothing but the script counts.
    pub async fn send(&mut self, request: Request<Upload>, turns: &[Turn]) -> Heard {
        self.start(request, turns).await.await
    }

    /// Makes a request. Nobody has polled it yet.
    pub async fn start(&mut self, request: Request<Upload>, turns: &[Turn]) -> Hearing {
        if self.mode == Mode::Bystander {
            let mut other = start(&mut self.stack.clone(), Script::new(&[HANGS]), get()).await;
            let _ = poll(&mut other);
        }
        self.calls += self.mode.calls();
        self.script = Script::new(turns);
        match self.mode {
            Mode::Direct => start(&mut self.stack, self.script.clone(), request).await,
            Mode::Clones | Mode::Bystander => {
                start(&mut self.stack.clone(), self.script.clone(), request).await
            }
        }
    }

    /// The mode.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The flavour.
    #[must_use]
    pub fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// The handle of the layer that the row is about.
    #[must_use]
    pub fn handle(&self) -> &H {
        &self.handle
    }

    /// How many calls there were, those of bystanders included.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// The copies of the last request.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        self.script.sent()
    }

    /// When the copies of the last request were sent, in whole milliseconds since it was made.
    #[must_use]
    pub fn times(&self) -> Vec<u128> {
        self.sent().iter().map(|sent| sent.at.as_millis()).collect()
    }

    /// The times between the copies of the last request.
    #[must_use]
    pub fn waits(&self) -> Vec<Duration> {
        self.script.waits()
    }

    /// How many answers to the last request are alive.
    #[must_use]
    pub fn alive(&self) -> u64 {
        self.script.alive()
    }

    /// What happened to the inner service, bystanders included.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }
}

impl<H> Drop for Stage<H> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in mode {:?}, flavour {:?}, after {:#?}", self.mode, self.flavour, self.times());
        }
    }
}

impl<H: fmt::Debug> fmt::Debug for Stage<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage")
            .field("mode", &self.mode)
            .field("flavour", &self.flavour)
            .field("handle", &self.handle)
            .finish_non_exhaustive()
    }
}

/// Polls a call once.
pub fn poll(call: &mut Hearing) -> Poll<Heard> {
    call.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

async fn start(stack: &mut Stack, script: Arc<Script>, request: Request<Upload>) -> Hearing {
    poll_fn(|cx| stack.poll_ready(cx)).await.expect("it becomes ready");
    let called = stack.call((script.clone(), request));
    Box::pin(async move {
        let (said, head) = called.await.expect("what comes out is heard");
        Heard { said, at: script.elapsed(), head }
    })
}

async fn hear_http<B>(result: Result<Response<B>, BoxError>) -> (String, Option<response::Parts>)
where
    B: Body<Data = Bytes, Error: fmt::Display>,
{
    let (head, body) = match result {
        Ok(response) => response.into_parts(),
        Err(error) => return (hear_error(&error), None),
    };
    let read = Read::all(body).await;
    let trailers = read.trailers.as_ref();
    let code = trailers.and_then(grpc_status).or_else(|| grpc_status(&head.headers));
    let said = match (head.extensions.get::<Refused>(), code) {
        (Some(refused), _) => refused.to_string(),
        (None, Some(code)) => {
            let turn = head.headers["x-turn"].to_str().expect("a number");
            format!("grpc {code} from {turn}")
        }
        (None, None) => match &read.error {
            Some(error) => format!("{read}, {error}"),
            None => read.to_string(),
        },
    };
    (said, Some(head))
}

fn hear_typed(result: &Result<Answer, BoxError>) -> String {
    match result {
        Ok(answer) => answer.to_string(),
        Err(error) => hear_error(error),
    }
}

fn hear_error(error: &BoxError) -> String {
    match find_cause::<Refused>(&**error) {
        Some(refused) => refused.to_string(),
        None => error.to_string(),
    }
}
