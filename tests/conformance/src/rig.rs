//! A breaker over a scripted service, on which a row is played.

use crate::call::{Call, HttpAnswer, SCRIPT, Throttling, TypedAnswer};
use crate::events::Events;
use crate::{Mode, Probe, Tally, at_once};
use bartizan_breaker::{Breaker, BreakerLayer, Handle, Snapshot, State};
use bartizan_core::{Instant, Refused, find_cause};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::advance;
use tower::util::BoxCloneService;
use tower::{BoxError, Layer, Service, ServiceExt};

/// A flavour of the layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Requests and responses of HTTP.
    Http,
    /// Any requests; refusals as errors.
    Typed,
}

/// The inner service of a rig in the HTTP flavour.
pub type HttpProbe = Probe<fn(Request<Call>) -> HttpAnswer>;

/// The inner service of a rig in the typed flavour.
pub type TypedProbe = Probe<fn(Call) -> TypedAnswer>;

/// What the inner service said, or a layer's no.
type Heard = Result<String, Refused>;

type Stack = BoxCloneService<Call, Heard, BoxError>;
type Hearing = Pin<Box<dyn Future<Output = Heard> + Send>>;

/// A layered service in one mode and one flavour, with the clock of its row.
pub struct Rig {
    mode: Mode,
    flavour: Flavour,
    service: Stack,
    handle: Handle,
    tally: Arc<Tally>,
    events: Events,
    born: Instant,
    bystanders: Bystanders,
}

/// What became of the bystanders' calls.
#[derive(Debug, Default)]
struct Bystanders {
    admitted: u64,
    refused: u64,
}

/// Plays a row on a breaker in every mode and flavour.
pub async fn in_every_mode(breaker: Breaker, row: impl AsyncFn(&mut Rig)) {
    let build = |flavour| {
        let layer = BreakerLayer::new(breaker).named("rig");
        match flavour {
            Flavour::Http => Rig::http(layer.handle(), |probe| layer.layer(probe)),
            Flavour::Typed => {
                let layer = layer.typed().classify(Throttling);
                Rig::typed(layer.handle(), |probe| layer.layer(probe))
            }
        }
    };
    in_every_mode_of(build, row).await;
}

/// Plays a row on what `build` makes, in every mode and flavour. Afterwards, nothing may be left under way, and the events
/// must tell the way to the state.
///
/// # Panics
///
/// If that is not so.
pub async fn in_every_mode_of(build: impl Fn(Flavour) -> Rig, row: impl AsyncFn(&mut Rig)) {
    for mode in Mode::ALL {
        for flavour in [Flavour::Http, Flavour::Typed] {
            let mut rig = build(flavour);
            rig.mode = mode;
            let first = rig.handle.state();
            row(&mut rig).await;
            assert_eq!(rig.tally.running(), 0, "calls are left");
            rig.replay(first);
        }
    }
}

impl Rig {
    /// Creates the rig of a stack in the HTTP flavour, watched through the handle of its breaker.
    pub fn http<S, B>(handle: Handle, stack: impl FnOnce(HttpProbe) -> S) -> Self
    where
        S: Service<Request<Call>, Response = Response<B>, Error = Infallible, Future: Send>
            + Clone
            + Send
            + 'static,
        B: Body<Data = Bytes, Error: fmt::Debug> + Send + 'static,
    {
        let probe: HttpProbe = Probe::new(Call::answer_http);
        let tally = probe.tally();
        let service = stack(probe)
            .map_request(Request::new)
            .then(async |result| Ok::<_, BoxError>(hear_http(result).await));
        Self::new(Flavour::Http, handle, tally, BoxCloneService::new(service))
    }

    /// Creates the rig of a stack in the typed flavour, watched through the handle of its breaker.
    pub fn typed<S>(handle: Handle, stack: impl FnOnce(TypedProbe) -> S) -> Self
    where
        S: Service<Call, Response = &'static str, Error = BoxError, Future: Send> + Clone + Send + 'static,
    {
        let probe: TypedProbe = Probe::new(Call::answer_typed);
        let tally = probe.tally();
        let service = stack(probe).then(async |result| Ok::<_, BoxError>(hear_typed(result)));
        Self::new(Flavour::Typed, handle, tally, BoxCloneService::new(service))
    }

    fn new(flavour: Flavour, handle: Handle, tally: Arc<Tally>, service: Stack) -> Self {
        let (events, born, bystanders) = (Events::record(), Instant::now(), Bystanders::default());
        Self { mode: Mode::Direct, flavour, service, handle, tally, events, born, bystanders }
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

    /// Moves the clock to a time since the rig was set up.
    ///
    /// # Panics
    ///
    /// If that time is past.
    pub async fn at(&mut self, time: Duration) {
        let now = Instant::now();
        let then = self.born + time;
        assert!(then >= now, "{time:?} is past");
        advance(then - now).await;
    }

    /// The time since the rig was set up.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Instant::now() - self.born
    }

    /// Makes a call and awaits its end. What the inner service says comes out unchanged.
    ///
    /// # Errors
    ///
    /// The refusal of a layer.
    ///
    /// # Panics
    ///
    /// If the inner service panics, or something else comes out than it said.
    pub async fn call(&mut self, call: Call) -> Result<(), Refused> {
        let said = self.reach(call).await?;
        assert_eq!(said, call.text());
        Ok(())
    }

    /// Makes calls one after the other, each of which must be admitted.
    ///
    /// # Panics
    ///
    /// If one is not.
    pub async fn play(&mut self, calls: &[Call]) {
        for (n, call) in calls.iter().enumerate() {
            if let Err(refused) = self.call(*call).await {
                panic!("call {n}: {refused}");
            }
        }
    }

    /// Makes a call that ends only when it is told to, and polls it once.
    ///
    /// # Errors
    ///
    /// The refusal of a layer.
    ///
    /// # Panics
    ///
    /// If the inner service panics.
    pub fn start(&mut self, call: Call) -> Result<Started, Refused> {
        let future = self.reach(call.held());
        Started { future, call }.poll_once()
    }

    fn reach(&mut self, call: Call) -> Hearing {
        if self.mode == Mode::Bystander {
            let future = call_clone(&self.service, Call::HANGS);
            match (Started { future, call: Call::HANGS }).poll_once() {
                Ok(bystander) => {
                    self.bystanders.admitted += 1;
                    drop(bystander);
                }
                Err(_) => self.bystanders.refused += 1,
            }
        }
        match self.mode {
            Mode::Direct => call_ready(&mut self.service, call),
            Mode::Clones | Mode::Bystander => call_clone(&self.service, call),
        }
    }

    /// The handle of the breaker.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The state of the breaker.
    #[must_use]
    pub fn state(&self) -> State {
        self.handle.state()
    }

    /// The numbers of the breaker, without the refusals of bystanders.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = self.handle.snapshot();
        snapshot.refused = snapshot.refused.saturating_sub(self.bystanders.refused);
        snapshot
    }

    /// How many calls of the row reached the inner service.
    #[must_use]
    pub fn reached(&self) -> u64 {
        self.tally.calls() - self.bystanders.admitted
    }

    /// What happened to the inner service, bystanders included.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The changes of state so far, as `closed > open: failure ratio`.
    #[must_use]
    pub fn events(&self) -> Vec<String> {
        self.events.changes().iter().map(ToString::to_string).collect()
    }

    fn replay(&self, first: State) {
        let last = self.handle.state();
        let (mut at, mut generation) = (first.as_str().to_owned(), 0);
        for change in self.events.changes() {
            assert_eq!(change.from, at, "an event begins where the one before ended");
            assert_ne!(change.from, change.to, "no event without a change");
            assert!(change.generation > generation, "events are in order");
            (at, generation) = (change.to, change.generation);
        }
        assert_eq!(at, last.as_str(), "the events lead to the state");
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in mode {:?}, flavour {:?}", self.mode, self.flavour);
        }
    }
}

impl fmt::Debug for Rig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rig")
            .field("mode", &self.mode)
            .field("flavour", &self.flavour)
            .field("handle", &self.handle)
            .finish_non_exhaustive()
    }
}

/// A call under way. Dropped, its caller has left.
#[must_use = "dropped, its caller has left"]
pub struct Started {
    future: Hearing,
    call: Call,
}

impl Started {
    /// Lets the call end.
    ///
    /// # Panics
    ///
    /// If something else comes out than the inner service said.
    pub fn end(self) {
        assert_eq!(at_once(self.future).expect("it was admitted"), self.call.text());
    }

    fn poll_once(mut self) -> Result<Self, Refused> {
        match self.future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => Ok(self),
            Poll::Ready(Err(refused)) => Err(refused),
            Poll::Ready(Ok(said)) => panic!("answered already: {said}"),
        }
    }
}

impl fmt::Debug for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Started").field("call", &self.call).finish_non_exhaustive()
    }
}

fn call_clone(service: &Stack, call: Call) -> Hearing {
    call_ready(&mut service.clone(), call)
}

/// Every stack of a rig is ready at once, or it is not as ready as its inner service.
fn call_ready(service: &mut Stack, call: Call) -> Hearing {
    at_once(poll_fn(|cx| service.poll_ready(cx))).expect("readiness does not fail");
    let heard = service.call(call);
    Box::pin(async { heard.await.expect("what comes out is heard") })
}

async fn hear_http<B>(result: Result<Response<B>, Infallible>) -> Heard
where
    B: Body<Data = Bytes, Error: fmt::Debug>,
{
    let Ok(response) = result;
    let (head, body) = response.into_parts();
    let body = body.collect().await.expect("a good body").to_bytes();
    match head.extensions.get::<Refused>() {
        Some(refused) if refused.layer() != SCRIPT => {
            assert_eq!(head.headers["content-type"], "application/problem+json");
            Err(refused.clone())
        }
        _ => Ok(String::from_utf8_lossy(&body).into_owned()),
    }
}

fn hear_typed(result: Result<&'static str, BoxError>) -> Heard {
    match result {
        Ok(said) => Ok(said.into()),
        Err(error) => match find_cause::<Refused>(&*error) {
            Some(refused) if refused.layer() != SCRIPT => Err(refused.clone()),
            Some(refused) => Ok(refused.reason().into()),
            None => Ok(error.to_string()),
        },
    }
}
