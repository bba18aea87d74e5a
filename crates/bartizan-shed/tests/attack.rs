//! What callers, operators and the user's own functions may do to a layer that sheds: whatever it is, places come back and nobody hangs.

#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_core::{
    Attempt, Classify, Context as Ambient, Dice, ErrorsFail, Instant, Priority, Step, Verdict,
};
use bartizan_core::{Refused, registry};
use bartizan_shed::{Backlog, Handle, Mode, Shares, Shed, ShedLayer, Throttle, ThrottleLayer, throttle};
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{pending, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::advance;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tracing::{Event, Metadata, Subscriber, span};

const SECOND: Duration = Duration::from_secs(1);

type Call = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

fn poll(call: &mut Call) -> Poll<Result<(), BoxError>> {
    call.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Begins a call of a service that never answers; `None` if it is refused.
fn begin<L, Req: Send + 'static>(layer: &L, req: Req) -> Option<Call>
where
    L: Layer<Never<Req>>,
    L::Service: Service<Req, Response = (), Error = BoxError, Future: Send> + Send + 'static,
{
    let mut call: Call = Box::pin(layer.layer(Never::new()).oneshot(req));
    poll(&mut call).is_pending().then_some(call)
}

/// A service that never answers.
struct Never<Req>(std::marker::PhantomData<fn(Req)>);

impl<Req> Never<Req> {
    fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<Req> Clone for Never<Req> {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl<Req> Service<Req> for Never<Req> {
    type Response = ();
    type Error = BoxError;
    type Future = std::future::Pending<Result<(), BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Req) -> Self::Future {
        pending()
    }
}

fn assert_empty(handle: &Handle) {
    let snapshot = handle.snapshot();
    assert_eq!((snapshot.in_flight, snapshot.queued), (0, 0));
}

/// Panics where a request says so: at the start, or at the answer.
#[derive(Clone, Copy, Debug)]
struct Brittle;

impl Classify<&'static str> for Brittle {
    type Attempt = Self;

    fn start(&self, req: &&'static str) -> Self {
        assert_ne!(*req, "start");
        Self
    }
}

impl Attempt<&'static str, BoxError> for Brittle {
    type AtEnd = Infallible;

    fn classify(self, out: Result<&&'static str, &BoxError>) -> Step<Infallible> {
        assert!(out.is_ok_and(|out| *out != "answer"));
        Step::Done(Verdict::Success)
    }
}

#[tokio::test(start_paused = true)]
async fn functions_that_panic_cost_nobody_a_place() {
    let places = ["priority", "key", "class", "exempt", "start", "answer", "inner"];
    for shed in [Shed::fixed(1), Shed::new().max_in_flight(1)] {
        let layer = ShedLayer::new(shed)
            .typed()
            .exempt(|req: &&'static str| *req == "exempt" && panic!("on purpose"))
            .priority(|req: &&'static str| {
                assert_ne!(*req, "priority");
                Priority::NORMAL
            })
            .fair_by(|req: &&'static str| {
                assert_ne!(*req, "key");
                *req
            })
            .class(
                |req: &&'static str| {
                    assert_ne!(*req, "class");
                    usize::MAX
                },
                Shares::new([1.0]),
            )
            .classify(Brittle);
        let echo = service_fn(|req: &'static str| async move {
            assert_ne!(req, "inner");
            Ok::<_, BoxError>(req)
        });
        let handle = layer.handle();
        let (plain, queued) = (layer.clone().layer(echo), layer.backlog(Backlog::new(1)).layer(echo));
        for place in places {
            tokio::spawn(plain.clone().oneshot(place)).await.unwrap_err();
            assert_empty(&handle);
            tokio::spawn(queued.clone().oneshot(place)).await.unwrap_err();
            assert_empty(&handle);
        }
        assert_eq!(plain.oneshot("well").await.unwrap(), "well");
        assert_eq!(queued.oneshot("well").await.unwrap(), "well");
        assert_empty(&handle);
    }
}

#[tokio::test(start_paused = true)]
async fn a_handle_may_be_used_within_the_functions_of_its_own_layer() {
    let layer = ShedLayer::new(Shed::fixed(1)).typed();
    let handle = layer.handle();
    let layer = layer
        .priority(move |limit: &usize| {
            handle.reset();
            handle.update(Shed::fixed(*limit));
            assert_eq!(handle.snapshot().limit, *limit);
            Priority::NORMAL
        })
        .backlog(Backlog::new(9));
    let calls: Vec<Call> = [2, 1, 3, 2].into_iter().filter_map(|limit| begin(&layer, limit)).collect();
    assert_eq!(calls.len(), 4);
    drop(calls);
    assert_empty(&layer.handle());
}

/// Settings at their ends are taken, and requests end.
#[tokio::test(start_paused = true)]
async fn numbers_at_their_ends() {
    let (tiny, max) = (Duration::from_nanos(1), Duration::MAX);
    let sheds = [
        Shed::new().assumed_deadline(tiny).retry_after(Duration::ZERO),
        Shed::new().assumed_deadline(max).retry_after(max).critical(f64::MIN_POSITIVE).normal(1.0),
        Shed::new().max_in_flight(usize::MAX).min_in_flight(usize::MAX),
        Shed::new().max_in_flight(1).cpu(f64::MIN_POSITIVE),
        Shed::new().ceiling(f64::MAX, max),
        Shed::new().ceiling(1.0, SECOND).mode(Mode::Shadow),
        Shed::fixed(Shed::MAX_FIXED),
        Shed::fixed(1).mode(Mode::Disabled),
        Shed::fixed(1).count_bodies(false).mode(Mode::Shadow),
    ];
    let backlogs = [
        Backlog::new(1).max_wait(Duration::ZERO).target(Duration::ZERO).interval(tiny),
        Backlog::new(Backlog::MAX_PLACES).max_wait(max).target(max).interval(max),
        Backlog::new(1).max_wait(max).target(Duration::ZERO).interval(tiny),
    ];
    for backlog in backlogs {
        let layer = ShedLayer::new(Shed::new()).typed().fair_by(|_: &()| 7).backlog(backlog);
        let handle = layer.handle();
        for shed in sheds.into_iter().chain(sheds.into_iter().rev()) {
            handle.update(shed);
            for deadline in [Duration::ZERO, tiny, SECOND, Duration::from_secs(1 << 40)] {
                let ambient = Ambient::new().with_deadline(Instant::now() + deadline);
                let mut calls: Vec<Call> =
                    (0..4).filter_map(|_| ambient.enter(|| begin(&layer, ()))).collect();
                advance(SECOND).await;
                calls.retain_mut(|call| poll(call).is_pending());
                calls.truncate(1);
                let answers = layer.layer(service_fn(|()| ready(Ok::<(), BoxError>(()))));
                let mut call: Call = Box::pin(answers.oneshot(()));
                let waits = poll(&mut call).is_pending();
                drop(calls);
                // The last who was in flight has left.
                assert!(!waits || poll(&mut call).is_ready());
                let numbers = handle.snapshot();
                assert!(numbers.predicted_wait >= Duration::ZERO && !numbers.throughput.is_nan());
            }
        }
        assert_empty(&handle);
    }
}

/// Places that were kept free of a large limit are none of a small one.
#[tokio::test(start_paused = true)]
async fn a_limit_that_shrinks_under_pressure_is_open_to_all_once_it_is_idle() {
    let layer = ShedLayer::new(Shed::fixed(100)).typed().priority(|level: &u8| Priority::new(*level));
    let mut held = Vec::new();
    for n in 0..4000_u32 {
        held.extend(begin(&layer, if n % 4 == 0 { 0 } else { 255 }));
        if n % 2 == 0 && !held.is_empty() {
            drop(held.swap_remove(n as usize * 7 % held.len()));
        }
        advance(SECOND / 1000).await;
    }
    drop(held);
    assert!(layer.handle().snapshot().refused.sheddable > 100, "it was under pressure");
    layer.handle().update(Shed::fixed(2));
    assert!(begin(&layer, 255).is_some(), "nobody is in flight");
}

/// Who matters less is not refused by a server that does nothing, as those are gone for whom it was kept.
#[tokio::test(start_paused = true)]
async fn when_the_important_are_gone_the_others_are_served_at_once() {
    for limit in [8, 10, 100] {
        let layer = ShedLayer::new(Shed::fixed(limit)).typed().priority(|level: &u8| Priority::new(*level));
        let mut held = VecDeque::new();
        // Twice as many as there is room for, nine in ten of them critical.
        for n in 0..4000 {
            held.push_back(begin(&layer, if n % 10 == 9 { 255 } else { 0 }));
            if held.len() > 2 * limit {
                held.pop_front();
            }
            advance(SECOND / 1000).await;
        }
        assert!(begin(&layer, 255).is_none(), "all is kept for the critical");
        drop(held);
        for _ in 0..50 {
            advance(SECOND / 5).await;
            assert!(begin(&layer, 255).is_some(), "{limit}");
        }
    }
}

/// The next one of a level that was refused so often is judged as the most important: one, and not all who come until it has its turn.
#[tokio::test(start_paused = true)]
async fn one_of_a_level_that_was_passed_over_goes_before_the_others_in_line() {
    let backlog = Backlog::new(4).max_wait(Duration::MAX).target(Duration::MAX).interval(Duration::MAX);
    let layer = ShedLayer::new(Shed::fixed(1)).typed().priority(|level: &u8| Priority::new(*level));
    let layer = layer.backlog(backlog);
    let waiting: Vec<Call> = (0..5).filter_map(|_| begin(&layer, 128)).collect();
    let lifted: Vec<Call> = (0..200).filter_map(|_| begin(&layer, 255)).collect();
    assert_eq!((waiting.len(), lifted.len()), (5, 1));
}

/// However quiet it was, no fewer are admitted than were asked for.
#[tokio::test(start_paused = true)]
async fn a_ceiling_is_never_below_the_least_in_flight() {
    let layer = ShedLayer::new(Shed::new().min_in_flight(4).ceiling(1.0, SECOND)).typed();
    for _ in 0..9 {
        drop(begin(&layer, ()).unwrap());
        advance(SECOND).await;
    }
    let held: Vec<Call> = (0..4).filter_map(|_| begin(&layer, ())).collect();
    assert_eq!(held.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_priority_that_makes_no_sense_is_none() {
    let layer = ShedLayer::new(Shed::fixed(1).trusted_edge(true));
    let service = layer.layer(service_fn(|_: Request<()>| {
        ready(Ok::<_, Infallible>(Response::new(Empty::<bytes::Bytes>::new())))
    }));
    let odd =
        [&b""[..], b" ", b"-1", b"256", b"1e2", b"0x10", b"99999999999999999999", b"critical, critical"];
    for (n, value) in odd.into_iter().chain([&b"\xff\xfe"[..], b"\xd9\xa3", b"critical\x80"]).enumerate() {
        let mut req = Request::new(());
        req.headers_mut().append("x-request-priority", http::HeaderValue::from_bytes(value).unwrap());
        assert_eq!(service.clone().oneshot(req).await.unwrap().status(), StatusCode::OK);
        let admitted = layer.handle().snapshot().admitted;
        assert_eq!((admitted.normal, admitted.total()), (n as u64 + 1, n as u64 + 1), "{value:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn layers_within_layers_and_thousands_of_services() {
    let layer = ShedLayer::new(Shed::fixed(3)).typed();
    let twice = ServiceBuilder::new().layer(layer.clone()).layer(layer.clone()).into_inner();
    let held: Vec<Call> = (0..3).filter_map(|_| begin(&twice, ())).collect();
    assert_eq!((held.len(), layer.handle().snapshot().in_flight), (1, 2), "each is in flight twice");
    drop(held);
    let services: Vec<_> = (0..10_000).map(|_| layer.layer(Never::<()>::new())).collect();
    let mut calls: Vec<Call> =
        services.into_iter().map(|service| Box::pin(service.oneshot(())) as Call).collect();
    assert_eq!(calls.iter_mut().map(|call| u32::from(poll(call).is_pending())).sum::<u32>(), 3);
    drop(calls);
    assert_empty(&layer.handle());
}

#[test]
fn layers_that_are_gone_have_left_the_registry() {
    for n in 0..2000 {
        let shed = ShedLayer::new(Shed::fixed(1)).named(format!("gone {n}"));
        let throttle = ThrottleLayer::new(Throttle::new()).named(format!("gone {n}"));
        drop((shed.clone().handle(), throttle.handle(), shed.layer(()), throttle.layer(())));
    }
    assert!(!registry::handles().iter().any(|known| known.name().starts_with("gone ")));
}

/// Threads come and go, are dropped, panic, and wait while the layer is steered through all modes and limits.
#[test]
fn everything_at_once_leaves_nothing_behind() {
    let shares = Shares::new([0.5, 0.5]);
    let layer = ShedLayer::new(Shed::fixed(4).seed(1))
        .typed()
        .priority(|n: &u64| Priority::new(*n as u8))
        .fair_by(|n: &u64| n % 5)
        .class(|n: &u64| *n as usize % 3, shares)
        .backlog(Backlog::new(8).max_wait(Duration::from_millis(3)));
    let handle = layer.handle();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for seed in 0..32 {
            let layer = layer.clone();
            tasks.spawn(async move {
                let dice = Dice::new(Some(seed));
                for _ in 0..200 {
                    one(&layer, (dice.unit() * 1e9) as u64).await;
                }
            });
        }
        let dice = Dice::new(Some(99));
        while !tasks.is_empty() {
            let limit = (dice.unit() * 8.0) as usize;
            let mode = [Mode::Normal, Mode::Normal, Mode::Shadow, Mode::Disabled][limit % 4];
            let shed =
                if dice.hits(0.5) { Shed::new().max_in_flight(limit + 1) } else { Shed::fixed(limit + 1) };
            handle.update(shed.mode(mode).cpu(1.0));
            if dice.hits(0.1) {
                handle.reset();
            }
            tokio::task::yield_now().await;
            while let Some(task) = tasks.try_join_next() {
                task.unwrap();
            }
        }
    });
    assert_empty(&handle);
    // No class, and no key, is charged with anybody: each class has its share beside what the other took.
    handle.update(Shed::fixed(10));
    handle.reset();
    let _runtime = runtime.enter();
    let mut held: Vec<Call> = (0..10).filter_map(|n| begin(&layer, n * 3)).collect();
    held.extend((0..5).filter_map(|n| begin(&layer, n * 3 + 1)));
    assert_eq!(handle.snapshot().in_flight, 15);
    drop(held);
    assert_empty(&handle);
}

/// One call, which ends as its number says.
async fn one<L>(layer: &L, n: u64)
where
    L: Layer<
            Never<u64>,
            Service: Service<u64, Response = (), Error = BoxError, Future: Send> + Send + 'static,
        >,
    L: Layer<Ends, Service: Service<u64, Response = (), Error = BoxError, Future: Send> + Send + 'static>,
{
    if n % 7 == 0 {
        let call = begin(layer, n);
        tokio::task::yield_now().await;
        return drop(call);
    }
    let service = <L as Layer<Ends>>::layer(layer, Ends);
    let _ = tokio::time::timeout(Duration::from_millis(n % 5), service.oneshot(n)).await;
}

/// A service whose calls end as their number says.
#[derive(Clone)]
struct Ends;

impl Service<u64> for Ends {
    type Response = ();
    type Error = BoxError;
    type Future = Call;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, n: u64) -> Call {
        Box::pin(async move {
            if n % 11 == 0 {
                tokio::time::sleep(Duration::from_millis(n % 3)).await;
            }
            tokio::task::yield_now().await;
            if n % 2 == 0 { Ok(()) } else { Err("broken".into()) }
        })
    }
}

/// A throttle is steered while threads go through it, and what it says makes sense throughout.
#[test]
fn a_throttle_that_is_steered_under_way_keeps_its_sense() {
    let layer = ThrottleLayer::new(Throttle::new().failures(true).min_requests(0).seed(1)).typed();
    let handle = layer.handle();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|seed| {
                let layer = layer.clone();
                scope.spawn(move || {
                    let dice = Dice::new(Some(seed));
                    for _ in 0..5000 {
                        let is_good = dice.hits(0.3);
                        let answer = move |()| ready(is_good.then_some(()).ok_or(BoxError::from("broken")));
                        let mut call: Call = Box::pin(layer.layer(service_fn(answer)).oneshot(()));
                        assert!(poll(&mut call).is_ready());
                    }
                })
            })
            .collect();
        let values = [
            Throttle::new().window(Duration::MAX).k(1000.0),
            Throttle::new().window(Duration::from_millis(1)).max_rejection(1.0).aggression(100.0),
            Throttle::new().mode(Mode::Disabled),
            Throttle::new().mode(Mode::Shadow).min_requests(u32::MAX),
            Throttle::new().failures(true).min_requests(0),
        ];
        for value in values.into_iter().cycle() {
            handle.update(value);
            let snapshot = handle.snapshot();
            assert!((0.0..=1.0).contains(&snapshot.rejection()), "{snapshot:?}");
            if threads.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                break;
            }
            std::thread::yield_now();
        }
    });
    handle.reset();
    handle.update(Throttle::new().enabled(true));
    for _ in 0..100 {
        let good = layer.layer(service_fn(|()| ready(Ok::<(), BoxError>(()))));
        let mut call: Call = Box::pin(good.oneshot(()));
        assert!(matches!(poll(&mut call), Poll::Ready(Ok(()))));
    }
}

/// Steers whoever it hears of.
struct Meddler {
    shed: Handle,
    throttle: throttle::Handle,
    heard: Arc<AtomicUsize>,
}

impl Subscriber for Meddler {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn event(&self, _: &Event<'_>) {
        self.heard.fetch_add(1, SeqCst);
        self.shed.update(Shed::fixed(1));
        self.shed.reset();
        self.throttle.update(Throttle::new().failures(true).min_requests(0).max_rejection(1.0));
        let _ = (self.shed.snapshot(), self.throttle.snapshot());
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// No lock is held while an event is told.
#[test]
fn who_hears_of_a_layer_may_steer_it() {
    let (done, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let shed = ShedLayer::new(Shed::fixed(1)).typed();
        let queued = shed.clone().backlog(Backlog::new(1));
        let value = Throttle::new().failures(true).min_requests(0).max_rejection(1.0).seed(1);
        let throttle = ThrottleLayer::new(value).typed();
        let heard = Arc::default();
        let meddler = Meddler { shed: shed.handle(), throttle: throttle.handle(), heard: Arc::clone(&heard) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _runtime = runtime.enter();
        tracing::subscriber::with_default(meddler, || {
            let held: Vec<Call> = (0..4).filter_map(|_| begin(&queued, ())).collect();
            assert_eq!(held.len(), 2);
            for _ in 0..50 {
                let broken = throttle.layer(service_fn(|()| ready(Err::<(), BoxError>("broken".into()))));
                let mut call: Call = Box::pin(broken.oneshot(()));
                assert!(poll(&mut call).is_ready());
                if throttle.handle().snapshot().refused > 0 {
                    throttle.handle().reset();
                }
            }
        });
        done.send(heard.load(SeqCst)).unwrap();
    });
    let heard = wait.recv_timeout(60 * SECOND).expect("it hangs");
    assert!(heard > 3, "{heard}");
}

/// As with any other end, though the future is kept.
#[tokio::test(start_paused = true)]
async fn an_error_of_readiness_gives_the_place_back() {
    #[derive(Clone)]
    struct Broken;

    impl Service<()> for Broken {
        type Response = ();
        type Error = BoxError;
        type Future = Call;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            Poll::Ready(Err("gone".into()))
        }

        fn call(&mut self, (): ()) -> Call {
            unreachable!("it is never ready")
        }
    }

    let layer = ShedLayer::new(Shed::fixed(1)).typed().classify(ErrorsFail).backlog(Backlog::new(1));
    let mut service = layer.layer(Broken);
    std::future::poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
    let mut call = Box::pin(service.call(()));
    let error = call.as_mut().await.unwrap_err();
    assert!(error.downcast_ref::<Refused>().is_none());
    assert_empty(&layer.handle());
    drop(call);
}

/// Panics at all that it hears.
struct Nervous;

impl Subscriber for Nervous {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn event(&self, _: &Event<'_>) {
        panic!("heard");
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// It harms who makes it hear, and nobody else: who lost its place in the queue is told so, and the queue is as before.
#[tokio::test(start_paused = true)]
async fn a_panic_of_who_hears_leaves_nobody_asleep() {
    let layer = ShedLayer::new(Shed::fixed(1)).typed().priority(|level: &u8| Priority::new(*level));
    let layer = layer.backlog(Backlog::new(1));
    let (at_work, mut waits) = (begin(&layer, 0).unwrap(), begin(&layer, 200).unwrap());
    tracing::subscriber::with_default(Nervous, || {
        let comes = || begin(&layer, 100);
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(comes)).is_err());
    });
    let Poll::Ready(Err(error)) = poll(&mut waits) else { panic!("it sleeps") };
    assert_eq!(error.downcast_ref::<Refused>().unwrap().reason(), "queue full");
    assert_eq!(layer.handle().snapshot().queued, 0);
    drop(at_work);
    assert_empty(&layer.handle());
}
