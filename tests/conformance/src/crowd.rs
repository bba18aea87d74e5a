//! A service behind a layer that admits or refuses, and requests of which many are under way at once.
//!
//! Nothing is polled that was not woken, so that a row sees a wake-up that is missing.

mod guest;
mod visit;

pub use guest::{Guest, Heard, Is};
pub use visit::{Asked, How, HttpAnswer, Refusals, Sheet, TypedAnswer, Visit, answer_http, answer_typed};

use crate::{Flavour, Mode, Probe, Tally};
use bartizan_core::{Instant, Refused, find_cause};
use bytes::Bytes;
use guest::Hearing;
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::sleep_until;
use tower::util::BoxCloneService;
use tower::{BoxError, Service, ServiceExt};

type Stack = BoxCloneService<Visit, Heard, BoxError>;

/// The inner service in the HTTP flavour.
pub type HttpDesk = Probe<fn(Request<Visit>) -> HttpAnswer>;

/// The inner service in the typed flavour.
pub type TypedDesk = Probe<fn(Visit) -> TypedAnswer>;

/// A layered service in one mode and one flavour.
pub struct Crowd<H> {
    mode: Mode,
    flavour: Flavour,
    stack: Stack,
    handle: H,
    tally: Arc<Tally>,
    bystander: Option<Visit>,
}

/// Plays a row on what `build` makes, in every mode and flavour. Afterwards, nothing may be left under way.
///
/// # Panics
///
/// If something is.
pub async fn in_a_crowd<H>(build: impl Fn(Flavour) -> Crowd<H>, row: impl AsyncFn(&mut Crowd<H>)) {
    for flavour in [Flavour::Http, Flavour::Typed] {
        play(&|| build(flavour), &row).await;
    }
}

/// Plays a row about HTTP in every mode.
pub async fn in_a_crowd_http<H>(build: impl Fn() -> Crowd<H>, row: impl AsyncFn(&mut Crowd<H>)) {
    play(&build, &row).await;
}

async fn play<H>(build: &impl Fn() -> Crowd<H>, row: &impl AsyncFn(&mut Crowd<H>)) {
    for mode in Mode::ALL {
        let mut crowd = build();
        crowd.mode = mode;
        row(&mut crowd).await;
        assert_eq!(crowd.tally.running(), 0, "calls are left");
    }
}

impl<H> Crowd<H> {
    /// Creates the crowd of a stack in the HTTP flavour.
    pub fn http<S, B>(handle: H, stack: impl FnOnce(HttpDesk) -> S) -> Self
    where
        S: Service<Request<Visit>, Response = Response<B>, Error = Infallible, Future: Send>
            + Clone
            + Send
            + 'static,
        B: Body<Data = Bytes, Error: fmt::Debug> + Send + 'static,
    {
        let desk: HttpDesk = Probe::new(answer_http);
        let tally = desk.tally();
        let service = stack(desk)
            .map_request(Visit::into_http)
            .then(async |result| Ok::<_, BoxError>(hear_http(result).await));
        Self::new(Flavour::Http, handle, tally, BoxCloneService::new(service))
    }

    /// Creates the crowd of a stack in the typed flavour.
    pub fn typed<S>(handle: H, stack: impl FnOnce(TypedDesk) -> S) -> Self
    where
        S: Service<Visit, Response = How, Error = BoxError, Future: Send> + Clone + Send + 'static,
    {
        let desk: TypedDesk = Probe::new(answer_typed);
        let tally = desk.tally();
        let service = stack(desk).then(async |result| Ok::<_, BoxError>(hear_typed(result)));
        Self::new(Flavour::Typed, handle, tally, BoxCloneService::new(service))
    }

    fn new(flavour: Flavour, handle: H, tally: Arc<Tally>, stack: Stack) -> Self {
        Self { mode: Mode::Direct, flavour, stack, handle, tally, bystander: None }
    }

    /// Sets what a bystander asks for. Default: the same as the guest before whom he comes.
    #[must_use]
    pub fn with_bystanders(mut self, visit: Visit) -> Self {
        self.bystander = Some(visit);
        self
    }

    /// Makes a request, and polls it once.
    ///
    /// # Panics
    ///
    /// If the service is not ready at once, or its readiness fails.
    pub fn enter(&mut self, visit: Visit) -> Guest {
        if self.mode == Mode::Bystander {
            let bystander = self.bystander.as_ref().unwrap_or(&visit).another();
            drop(Guest::new(call(&mut self.stack.clone(), bystander.clone()), bystander));
        }
        match self.mode {
            Mode::Direct => Guest::new(call(&mut self.stack, visit.clone()), visit),
            Mode::Clones | Mode::Bystander => Guest::new(call(&mut self.stack.clone(), visit.clone()), visit),
        }
    }

    /// Makes so many requests, one after the other.
    pub fn enter_all(&mut self, visits: usize, visit: impl Fn() -> Visit) -> Vec<Guest> {
        (0..visits).map(|_| self.enter(visit())).collect()
    }

    /// Makes a request, and awaits its end in a task of its own.
    pub fn send(&mut self, visit: Visit) -> JoinHandle<Heard> {
        tokio::spawn(self.enter(visit).heard())
    }

    /// Makes so many requests a second for a time, at random times, each in a task of its own, and awaits their ends.
    ///
    /// # Panics
    ///
    /// If one panics.
    pub async fn offer(
        &mut self,
        rate: f64,
        time: Duration,
        dice: &mut fastrand::Rng,
        visit: impl Fn(&mut fastrand::Rng) -> Visit,
    ) -> Vec<(Visit, Heard)> {
        let (start, mut at, mut sent) = (Instant::now(), 0.0, Vec::new());
        loop {
            at -= (1.0 - dice.f64()).ln() / rate;
            if at >= time.as_secs_f64() {
                break;
            }
            sleep_until(start + Duration::from_secs_f64(at)).await;
            let visit = visit(dice);
            sent.push((visit.clone(), self.send(visit)));
        }
        let mut heard = Vec::new();
        for (visit, call) in sent {
            heard.push((visit, call.await.expect("no panic")));
        }
        heard
    }

    /// The layered service, on a clone of its own.
    #[must_use]
    pub fn service(&self) -> BoxCloneService<Visit, Heard, BoxError> {
        self.stack.clone()
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

    /// What happened to the inner service, bystanders included.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }
}

impl<H> Drop for Crowd<H> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in mode {:?}, flavour {:?}", self.mode, self.flavour);
        }
    }
}

impl<H: fmt::Debug> fmt::Debug for Crowd<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crowd")
            .field("mode", &self.mode)
            .field("flavour", &self.flavour)
            .field("handle", &self.handle)
            .finish_non_exhaustive()
    }
}

/// Calls a service that must be ready at once, within the context of the visit.
fn call(stack: &mut Stack, visit: Visit) -> Hearing {
    visit.context().enter(|| {
        match stack.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => panic!("it never becomes ready: {error}"),
            Poll::Pending => panic!("it is not ready at once"),
        }
        let called = stack.call(visit);
        Box::pin(async move { called.await.expect("what comes out is heard") })
    })
}

async fn hear_http<B>(result: Result<Response<B>, Infallible>) -> Heard
where
    B: Body<Data = Bytes, Error: fmt::Debug>,
{
    let Ok(response) = result;
    let (head, body) = response.into_parts();
    let read = body.collect().await;
    match head.extensions.get::<Refused>() {
        Some(refused) => Heard { said: Err(refused.clone()), head: Some(head) },
        None => Heard { said: Ok(How::heard(read.is_ok(), head.status)), head: Some(head) },
    }
}

fn hear_typed(result: Result<How, BoxError>) -> Heard {
    let said = match result {
        Ok(how) => Ok(how),
        Err(error) => match find_cause::<Refused>(&*error) {
            Some(refused) => Err(refused.clone()),
            None => Ok(How::of_error(&*error)),
        },
    };
    Heard { said, head: None }
}
