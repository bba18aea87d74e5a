//! The wiring, shown with a policy that only counts: what is taken comes back, and verdicts arrive once.

#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_core::{Admit, Context, Kind, Permit, Priority, Reason, Refused, Refusing, Verdict};
use bartizan_guard::{Guard, GuardLayer};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use std::convert::Infallible;
use std::future::{Future, pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use tokio_test::{assert_pending, task};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

/// Counts who is inside and keeps the verdicts; refuses everything, or what is odd, when told to.
#[derive(Clone, Default)]
struct Porter(Arc<Book>);

#[derive(Default)]
struct Book {
    inside: AtomicUsize,
    shut: AtomicBool,
    verdicts: Mutex<Vec<Verdict>>,
    priorities: Mutex<Vec<Option<Priority>>>,
}

struct Guest(Arc<Book>);

const TOOK_LONG: Reason = Reason::new("test", Kind::DeadlineExceeded, "took too long").reached();
const READ_LATE: Reason = TOOK_LONG.by_caller();
const SHUT: Reason = Reason::new("porter", Kind::Unavailable, "shut");

impl<Req> Admit<Req> for Porter {
    type Permit = Guest;

    fn refusing(&self) -> Option<Refusing> {
        self.0.shut.load(SeqCst).then(Refusing::default)
    }

    fn admit(&self, _: &Req) -> Result<Guest, Refusing> {
        self.0.priorities.lock().unwrap().push(Context::current().map(|context| context.priority()));
        if self.0.shut.load(SeqCst) {
            return Err(Refusing::default());
        }
        self.0.inside.fetch_add(1, SeqCst);
        Ok(Guest(self.0.clone()))
    }

    fn refuse(&self, _: Refusing) -> Refused {
        Refused::new(&SHUT)
    }
}

impl Permit for Guest {
    fn record(&mut self, verdict: Verdict) {
        self.0.verdicts.lock().unwrap().push(verdict);
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, SeqCst);
    }
}

impl Porter {
    fn inside(&self) -> usize {
        self.0.inside.load(SeqCst)
    }

    fn verdicts(&self) -> Vec<Verdict> {
        std::mem::take(&mut self.0.verdicts.lock().unwrap())
    }

    fn shut(&self, shut: bool) {
        self.0.shut.store(shut, SeqCst);
    }
}

/// Panics when called on an instance that was not made ready itself; a clone starts unready.
struct Strict {
    ready: bool,
    polls: Arc<AtomicUsize>,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { ready: false, polls: self.polls.clone() }
    }
}

impl Service<u32> for Strict {
    type Response = u32;
    type Error = BoxError;
    type Future = std::future::Ready<Result<u32, BoxError>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), BoxError>> {
        self.polls.fetch_add(1, SeqCst);
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, n: u32) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called before it was ready");
        ready(if n == 0 { Err("zero".into()) } else { Ok(n) })
    }
}

fn strict() -> (Strict, Arc<AtomicUsize>) {
    let polls = Arc::new(AtomicUsize::new(0));
    (Strict { ready: false, polls: polls.clone() }, polls)
}

#[tokio::test]
async fn layered_again_it_keeps_the_state_and_errors_pass_unchanged() {
    let porter = Porter::default();
    let layer = GuardLayer::new(porter.clone()).typed();
    for n in [1, 0] {
        let out = layer.layer(strict().0).oneshot(n).await;
        assert_eq!(out.map_err(|error| error.to_string()), if n == 1 { Ok(1) } else { Err("zero".into()) });
    }
    assert_eq!(porter.verdicts(), [Verdict::Success, Verdict::Failure]);
    assert_eq!(porter.inside(), 0);
}

#[tokio::test]
async fn the_instance_that_was_made_ready_is_called_and_a_clone_is_refused() {
    let porter = Porter::default();
    let mut guard = GuardLayer::new(porter.clone()).typed().layer(strict().0);
    guard.ready().await.unwrap();
    let refused = guard.clone().call(1).await.unwrap_err();
    assert_eq!(refused.to_string(), "refused by guard: called before it was ready");
    assert_eq!(guard.call(1).await.unwrap(), 1);
    assert!(guard.call(1).await.is_err(), "readiness is spent by a call");
    assert_eq!((porter.verdicts(), porter.inside()), (vec![Verdict::Success], 0));
}

#[tokio::test]
async fn while_all_is_refused_the_inner_service_is_not_polled() {
    let porter = Porter::default();
    let (inner, polls) = strict();
    let mut guard = GuardLayer::new(porter.clone()).typed().layer(inner);
    porter.shut(true);
    guard.ready().await.unwrap();
    porter.shut(false);
    assert_eq!(
        guard.call(1).await.unwrap_err().to_string(),
        "refused by porter: shut",
        "it was not made ready"
    );
    assert_eq!(polls.load(SeqCst), 0);
    guard.ready().await.unwrap();
    porter.shut(true);
    assert_eq!(guard.call(1).await.unwrap_err().to_string(), "refused by porter: shut");
    assert_eq!((polls.load(SeqCst), porter.verdicts()), (1, vec![]));
}

#[tokio::test]
async fn a_dropped_future_gives_back_what_it_took_and_is_no_verdict() {
    let porter = Porter::default();
    let never = service_fn(|_: u32| pending::<Result<u32, BoxError>>());
    let mut guard = GuardLayer::new(porter.clone()).typed().layer(never);
    guard.ready().await.unwrap();
    let mut polled = task::spawn(guard.call(1));
    assert_pending!(polled.poll());
    guard.ready().await.unwrap();
    let unpolled = guard.call(2);
    assert_eq!(porter.inside(), 2);
    drop((polled, unpolled));
    assert_eq!((porter.inside(), porter.verdicts()), (0, vec![]));
}

#[test]
fn a_panic_is_a_failure_and_goes_on() {
    let porter = Porter::default();
    let layer = GuardLayer::new(porter.clone()).typed();
    let panics = |step: &mut dyn FnMut()| catch_unwind(AssertUnwindSafe(step)).is_err();
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());

    let in_call = |_: u32| -> std::future::Ready<Result<u32, BoxError>> { panic!("in call") };
    let mut guard = layer.layer(service_fn(in_call));
    assert!(guard.poll_ready(&mut cx).is_ready());
    assert!(panics(&mut || drop(guard.call(1))));

    let in_poll = |_: u32| poll_fn(|_| -> Poll<Result<u32, BoxError>> { panic!("in poll") });
    let mut guard = layer.layer(service_fn(in_poll));
    assert!(guard.poll_ready(&mut cx).is_ready());
    let mut future = Box::pin(guard.call(1));
    assert!(panics(&mut || drop(future.as_mut().poll(&mut cx))));
    drop(future);
    assert_eq!(porter.verdicts(), [Verdict::Failure, Verdict::Failure]);
    assert_eq!(porter.inside(), 0);
}

type Frames = Vec<Result<Frame<Bytes>, BoxError>>;

fn grpc() -> Request<()> {
    Request::builder().header("content-type", "application/grpc").body(()).unwrap()
}

fn data() -> Result<Frame<Bytes>, BoxError> {
    Ok(Frame::data(Bytes::from_static(b"data")))
}

fn trailers(status: u16) -> Result<Frame<Bytes>, BoxError> {
    Ok(Frame::trailers(HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), status.into())])))
}

/// A service in the HTTP flavour whose answers have these frames.
fn serving(
    porter: &Porter,
    frames: impl Fn() -> Frames + Clone,
) -> impl Service<
    Request<()>,
    Response = Response<impl http_body::Body<Data = Bytes, Error = BoxError>>,
    Error = Infallible,
> {
    let serve = move |_: Request<()>| {
        let body = StreamBody::new(futures_util::stream::iter(frames()));
        ready(Ok::<_, Infallible>(Response::new(body)))
    };
    GuardLayer::new(porter.clone()).layer(service_fn(serve))
}

#[tokio::test]
async fn a_permit_is_held_to_the_end_of_the_body_which_decides() {
    for (request, frames, ought) in [
        (Request::new(()), (|| vec![data(), data()]) as fn() -> Frames, Verdict::Success),
        (Request::new(()), || vec![data(), Err("torn".into())], Verdict::Failure),
        (Request::new(()), || vec![data(), Err(Refused::new(&READ_LATE).into())], Verdict::Success),
        (Request::new(()), || vec![data(), Err(Refused::new(&TOOK_LONG).into())], Verdict::Failure),
        (grpc(), || vec![data(), trailers(0)], Verdict::Success),
        (grpc(), || vec![data(), trailers(14)], Verdict::Failure),
        (grpc(), || vec![data()], Verdict::Failure),
    ] {
        let porter = Porter::default();
        let answer = serving(&porter, frames).ready().await.unwrap().call(request).await.unwrap();
        let mut body = answer.into_body();
        assert!(body.frame().await.unwrap().is_ok());
        assert_eq!((porter.inside(), porter.verdicts()), (1, vec![]), "in mid-body");
        while let Some(Ok(_)) = body.frame().await {}
        assert_eq!((porter.inside(), porter.verdicts()), (0, vec![ought]));
    }
}

#[tokio::test]
async fn a_dropped_body_gives_its_permit_back_and_an_empty_one_never_keeps_it() {
    let porter = Porter::default();
    let mut service = serving(&porter, || vec![data(), data()]);
    for (request, ought) in [(Request::new(()), Verdict::Success), (grpc(), Verdict::Ignored)] {
        let answer = service.ready().await.unwrap().call(request).await.unwrap();
        assert_eq!(porter.inside(), 1);
        drop(answer);
        assert_eq!((porter.inside(), porter.verdicts()), (0, vec![ought]));
    }
    let empty =
        service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))));
    let answer = GuardLayer::new(porter.clone()).layer(empty).oneshot(Request::new(())).await.unwrap();
    assert_eq!((porter.inside(), porter.verdicts()), (0, vec![Verdict::Success]));
    drop(answer);
}

#[tokio::test]
async fn refusals_are_responses_and_the_context_of_the_request_is_entered() {
    let porter = Porter::default();
    let mut service = serving(&porter, Vec::new);
    let mut urgent = Request::new(());
    urgent.extensions_mut().insert(Context::new().with_priority(Priority::CRITICAL));
    service.ready().await.unwrap().call(urgent).await.unwrap();
    assert_eq!(*porter.0.priorities.lock().unwrap(), [Some(Priority::CRITICAL)]);
    assert_eq!(Context::current(), None);

    porter.shut(true);
    let refused = service.ready().await.unwrap().call(Request::new(())).await.unwrap();
    assert_eq!(
        (refused.status().as_u16(), refused.extensions().get::<Refused>()),
        (503, Some(&Refused::new(&SHUT)))
    );
    let problem = refused.into_body().collect().await.unwrap().to_bytes();
    assert!(problem.starts_with(br#"{"title":"Service Unavailable","status":503"#), "{problem:?}");
    let refused = service.ready().await.unwrap().call(grpc()).await.unwrap();
    assert_eq!((refused.status().as_u16(), &refused.headers()["grpc-status"]), (200, &"14".parse().unwrap()));
}

#[test]
fn services_and_futures_go_where_they_must() {
    fn service<T: Clone + Send + Sync + 'static>(_: &T) {}
    fn future<T: Future + Send + 'static>(_: &T) {}
    let layer = GuardLayer::new(Porter::default());
    service(&layer);
    let typed = layer.clone().typed().layer(strict().0);
    service(&typed);
    let serve = |_: Request<()>| ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())));
    let mut http = layer.layer(service_fn(serve));
    service(&http);
    future(&http.call(Request::new(())));
    let _: Strict = Guard::into_inner(typed);
}
