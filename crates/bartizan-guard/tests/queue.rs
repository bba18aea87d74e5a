//! The wiring with a queue, shown with a policy of one place whose requests wait for it, first come, first served.

#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_core::{
    Admit, Context, Kind, Permit, Priority, Queue, Reason, Refused, Refusing, Turn, Verdict,
};
use bartizan_guard::{GuardLayer, QueueGuard};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{self, Poll};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task as mock};
use tower::{BoxError, Layer, Service, service_fn};

/// One place, and a queue as long as it is told.
#[derive(Clone)]
struct Porter {
    place: Arc<Semaphore>,
    book: Arc<Book>,
}

#[derive(Default)]
struct Book {
    waiting: AtomicUsize,
    longest: AtomicUsize,
    shut: AtomicBool,
    impatient: AtomicBool,
    verdicts: Mutex<Vec<Verdict>>,
    contexts: Mutex<Vec<Option<Context>>>,
}

struct Guest(Arc<Book>, #[allow(dead_code, reason = "held")] OwnedSemaphorePermit);

const NO: Reason = Reason::new("porter", Kind::Exhausted, "no");

impl Porter {
    fn new(longest: usize) -> Self {
        let book = Book { longest: longest.into(), ..Book::default() };
        Self { place: Arc::new(Semaphore::new(1)), book: Arc::new(book) }
    }

    fn is_free(&self) -> bool {
        self.place.available_permits() == 1 && self.book.waiting.load(SeqCst) == 0
    }
}

impl<Req> Admit<Req> for Porter {
    type Permit = Guest;

    fn pending(&self) -> Option<Refusing> {
        self.book.impatient.load(SeqCst).then_some(Refusing(3))
    }

    fn admit(&self, _: &Req) -> Result<Guest, Refusing> {
        unreachable!("a guard with a queue asks the queue")
    }

    fn refuse(&self, _: Refusing) -> Refused {
        Refused::new(&NO)
    }

    fn fields(&self, refusing: Refusing, say: &mut dyn FnMut(&'static str, &str)) {
        say("x-why", &refusing.0.to_string());
    }
}

impl<Req> Queue<Req> for Porter {
    type Wait = Waiting;

    fn queue(&self, _: &Req) -> Turn<Guest, Waiting> {
        self.book.contexts.lock().unwrap().push(Context::current());
        if let Ok(place) = self.place.clone().try_acquire_owned() {
            return Turn::Admitted(Guest(self.book.clone(), place));
        }
        if self.book.waiting.load(SeqCst) == self.book.longest.load(SeqCst) {
            return Turn::Refused(Refusing(1));
        }
        self.book.waiting.fetch_add(1, SeqCst);
        let place = Box::pin(self.place.clone().acquire_owned());
        Turn::Waiting(Waiting { place, book: self.book.clone() })
    }
}

struct Waiting {
    place: Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, tokio::sync::AcquireError>> + Send>>,
    book: Arc<Book>,
}

impl Future for Waiting {
    type Output = Result<Guest, Refusing>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        self.book.contexts.lock().unwrap().push(Context::current());
        if self.book.shut.load(SeqCst) {
            return Poll::Ready(Err(Refusing(2)));
        }
        self.place.as_mut().poll(cx).map(|place| Ok(Guest(self.book.clone(), place.unwrap())))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.book.waiting.fetch_sub(1, SeqCst);
    }
}

impl Permit for Guest {
    fn record(&mut self, verdict: Verdict) {
        self.0.verdicts.lock().unwrap().push(verdict);
    }

    fn tells(&self) -> bool {
        true
    }

    fn fields(&self, say: &mut dyn FnMut(&'static str, &str)) {
        say("x-place", "taken");
    }
}

/// A service that hands out its readiness as told, and demands its own on the instance that is called.
struct Host {
    state: Arc<HostState>,
    ready: bool,
}

#[derive(Default)]
struct HostState {
    pending: AtomicBool,
    broken: AtomicBool,
    polled: AtomicUsize,
    called: AtomicUsize,
    waker: Mutex<Option<task::Waker>>,
}

impl HostState {
    fn ready(&self) {
        self.pending.store(false, SeqCst);
        if let Some(waker) = self.waker.lock().unwrap().take() {
            waker.wake();
        }
    }
}

impl Clone for Host {
    fn clone(&self) -> Self {
        Self { state: self.state.clone(), ready: false }
    }
}

impl Service<u32> for Host {
    type Response = u32;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<u32, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), BoxError>> {
        self.state.polled.fetch_add(1, SeqCst);
        if self.state.broken.load(SeqCst) {
            return Poll::Ready(Err("broken".into()));
        }
        if self.state.pending.load(SeqCst) {
            *self.state.waker.lock().unwrap() = Some(cx.waker().clone());
            return Poll::Pending;
        }
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, n: u32) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called before this instance was ready");
        self.state.called.fetch_add(1, SeqCst);
        Box::pin(async move {
            // Zero never ends, and one panics.
            match n {
                0 => std::future::pending().await,
                1 => panic!("inside"),
                n => Ok(n),
            }
        })
    }
}

type Guarded = QueueGuard<Host, Porter, bartizan_core::ErrorsFail, bartizan_http::Typed>;

fn guarded(longest: usize) -> (Guarded, Porter, Arc<HostState>) {
    let (porter, state) = (Porter::new(longest), Arc::<HostState>::default());
    let host = Host { state: state.clone(), ready: false };
    (GuardLayer::new(porter.clone()).typed().queued().layer(host), porter, state)
}

/// Calls a clone that was made ready, as servers do.
fn call(service: &Guarded, n: u32) -> mock::Spawn<<Guarded as Service<u32>>::Future> {
    let mut clone = service.clone();
    assert_ready_ok!(mock::spawn(poll_fn(|cx| clone.poll_ready(cx))).poll());
    mock::spawn(clone.call(n))
}

#[test]
fn who_waits_is_called_in_turn_and_who_finds_no_room_is_refused() {
    let (service, porter, host) = guarded(1);
    let mut first = call(&service, 0);
    assert_pending!(first.poll());
    let mut second = call(&service, 2);
    assert_pending!(second.poll());
    let error = assert_ready_err!(call(&service, 3).poll());
    assert_eq!(error.to_string(), "refused by porter: no");
    assert_eq!(host.called.load(SeqCst), 1, "who waits has not been called");
    drop(first);
    assert!(second.is_woken());
    assert_eq!(assert_ready_ok!(second.poll()), 2);
    drop(second);
    assert!(porter.is_free());
    assert_eq!(*porter.book.verdicts.lock().unwrap(), [Verdict::Success], "an abandoned call has none");
}

#[test]
fn who_is_dropped_while_it_waits_leaves_its_place() {
    let (service, porter, host) = guarded(2);
    let mut first = call(&service, 0);
    assert_pending!(first.poll());
    let (mut second, mut third) = (call(&service, 2), call(&service, 3));
    assert_pending!(second.poll());
    assert_pending!(third.poll());
    drop(second);
    drop(first);
    assert_eq!(assert_ready_ok!(third.poll()), 3);
    drop(third);
    assert!(porter.is_free());
    // One that was woken and is dropped before it is polled passes its turn on.
    let mut first = call(&service, 0);
    assert_pending!(first.poll());
    let (mut second, mut third) = (call(&service, 2), call(&service, 3));
    assert_pending!(second.poll());
    assert_pending!(third.poll());
    drop(first);
    drop(second);
    assert_eq!(assert_ready_ok!(third.poll()), 3);
    drop(third);
    assert!(porter.is_free());
    assert_eq!(host.called.load(SeqCst), 4);
}

#[test]
fn readiness_is_asked_when_it_has_its_turn_and_nothing_is_reserved_before() {
    let (service, porter, host) = guarded(1);
    host.pending.store(true, SeqCst);
    let mut first = call(&service, 2);
    assert_eq!(host.polled.load(SeqCst), 0, "ready before the service was asked");
    assert_pending!(first.poll());
    host.ready();
    assert!(first.is_woken());
    assert_eq!(assert_ready_ok!(first.poll()), 2);
    drop(first);
    // A policy that refuses instead gives its place back at once.
    host.pending.store(true, SeqCst);
    porter.book.impatient.store(true, SeqCst);
    assert_eq!(assert_ready_err!(call(&service, 2).poll()).to_string(), "refused by porter: no");
    assert!(porter.is_free());
    // A readiness that fails is the request's error, unchanged.
    host.broken.store(true, SeqCst);
    assert_eq!(assert_ready_err!(call(&service, 2).poll()).to_string(), "broken");
    assert!(porter.is_free());
    assert_eq!(host.called.load(SeqCst), 1);
}

#[test]
fn a_wait_may_end_in_a_refusal_and_a_panic_in_a_failure() {
    let (service, porter, _) = guarded(1);
    let mut first = call(&service, 0);
    assert_pending!(first.poll());
    let mut second = call(&service, 2);
    assert_pending!(second.poll());
    porter.book.shut.store(true, SeqCst);
    assert_eq!(assert_ready_err!(second.poll()).to_string(), "refused by porter: no");
    drop((first, second));
    assert!(porter.is_free());
    let mut panics = call(&service, 1);
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| panics.poll())).is_err());
    drop(panics);
    assert!(porter.is_free());
    assert_eq!(*porter.book.verdicts.lock().unwrap(), [Verdict::Failure]);
}

#[test]
fn over_http_it_answers_with_its_fields_within_the_requests_context() {
    let porter = Porter::new(1);
    let echo =
        service_fn(
            |req: Request<Full<Bytes>>| async move { Ok::<_, Infallible>(Response::new(req.into_body())) },
        );
    let service = GuardLayer::new(porter.clone()).queued().layer(echo);
    let context = Context::new().with_priority(Priority::CRITICAL);
    let request = || {
        let mut request = Request::new(Full::from("hello"));
        request.extensions_mut().insert(context);
        request
    };
    let first = assert_ready_ok!(mock::spawn(service.clone().call(request())).poll());
    assert_eq!(first.headers()["x-place"], "taken");
    let mut second = mock::spawn(service.clone().call(request()));
    assert_pending!(second.poll());
    let refused = assert_ready_ok!(mock::spawn(service.clone().call(request())).poll());
    assert_eq!((refused.status().as_u16(), &refused.headers()["x-why"]), (429, &"1".parse().unwrap()));
    // The place is held until the body has ended.
    let mut read = mock::spawn(first.into_body().collect());
    assert_eq!(assert_ready!(read.poll()).unwrap().to_bytes(), "hello");
    drop(read);
    drop(assert_ready_ok!(second.poll()));
    drop(second);
    assert!(porter.is_free());
    let seen = porter.book.contexts.lock().unwrap();
    assert!(seen.len() >= 5 && seen.iter().all(|seen| *seen == Some(context)), "{seen:?}");
}

#[test]
fn what_two_layers_say_under_one_name_is_a_list() {
    let echo =
        service_fn(
            |req: Request<Full<Bytes>>| async move { Ok::<_, Infallible>(Response::new(req.into_body())) },
        );
    let inner = GuardLayer::new(Porter::new(1)).queued().layer(echo);
    let mut outer = GuardLayer::new(Porter::new(1)).queued().layer(inner);
    let answer = assert_ready_ok!(mock::spawn(outer.call(Request::new(Full::from("hello")))).poll());
    assert_eq!(answer.headers().get_all("x-place").iter().count(), 2);
}
