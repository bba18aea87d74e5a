//! What the conformance rows do not ask: keys and their bounds, pauses asked for by the server, streaming probes, live settings.

#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_breaker::{
    Breaker, BreakerLayer, Cause, Consecutive, Evidence, Mode, Pause, Ratio, State, Window,
};
use bartizan_core::{Instant, Refused, registry};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, channel::Channel};
use std::convert::Infallible;
use std::future::{pending, ready};
use std::num::NonZeroUsize;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tower::{BoxError, Layer, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);

/// Trips at the third failure in a row, pauses for exactly 5 s, recovers at once.
const STRICT: Breaker = Breaker::new()
    .without_evidence()
    .consecutive(Consecutive::new(3))
    .pause(Pause::new().jitter(0.0))
    .ramp(Duration::ZERO);

/// Calls a service that fails for negative numbers, through a breaker with a key of the number's absolute value.
macro_rules! keyed {
    ($value:expr) => {
        BreakerLayer::new($value).typed().key(|n: &i32| n.abs())
    };
}

async fn fails_below_zero(n: i32) -> Result<i32, BoxError> {
    if n < 0 { Err("negative".into()) } else { Ok(n) }
}

fn is_refused<T>(out: Result<T, BoxError>) -> bool {
    out.err().is_some_and(|error| error.is::<Refused>())
}

#[tokio::test(start_paused = true)]
async fn a_layer_over_one_key_is_over_its_circuit() {
    let layer = keyed!(STRICT).max_keys(NonZeroUsize::MIN).named("one key");
    let handle = layer.handle();
    let seven = handle.layer(&7).typed();
    let call = |n| layer.layer(service_fn(fails_below_zero)).oneshot(n);
    // It has no key of its own: what passes here counts for 7.
    for n in [-1, -2, -3] {
        assert!(seven.layer(service_fn(fails_below_zero)).oneshot(n).await.is_err());
    }
    assert!(is_refused(call(7).await));
    let refused = seven.layer(service_fn(fails_below_zero)).oneshot(1).await.unwrap_err();
    assert_eq!(refused.to_string(), "refused by breaker one key: open: failures in a row");

    // As long as there is the layer, the circuit does not give way to another key, though it is closed and idle.
    handle.get(&7).unwrap().reset();
    for _ in 0..3 {
        assert_eq!(call(8).await.unwrap(), 8);
    }
    assert!(handle.get(&8).is_none() && handle.get(&7).is_some());
    drop(seven);
    for _ in 0..3 {
        assert_eq!(call(8).await.unwrap(), 8);
    }
    assert!(handle.get(&8).is_some() && handle.get(&7).is_none());
}

#[tokio::test(start_paused = true)]
async fn each_key_has_a_circuit_of_its_own() {
    let layer = keyed!(STRICT).named("each key");
    let handle = layer.handle();
    let call = |n| layer.layer(service_fn(fails_below_zero)).oneshot(n);
    for _ in 0..3 {
        assert!(call(-7).await.is_err());
    }
    assert!(is_refused(call(7).await));
    assert_eq!(call(8).await.unwrap(), 8);
    assert_eq!(handle.get(&7).unwrap().state(), State::Open);
    assert_eq!(handle.get(&7).unwrap().snapshot().refused, 1);
    assert_eq!(handle.get(&8).unwrap().state(), State::Closed);
    assert!(handle.get(&9).is_none());
    let mut keys: Vec<i32> = handle.all().into_iter().map(|(key, _)| key).collect();
    keys.sort_unstable();
    assert_eq!(keys, [7, 8]);

    let observed = registry::handles().into_iter().find(|observed| observed.name() == "each key").unwrap();
    assert_eq!((observed.layer(), observed.state()), ("breaker", "open"));
    let mut numbers = Vec::new();
    observed.numbers(&mut |name, number| numbers.push((name, number)));
    assert_eq!(numbers[..3], [("keys", 2.0), ("max_keys", 10_000.0), ("open", 1.0)]);
    for number in
        [("refused", 1.0), ("refused_consecutive", 1.0), ("trips_consecutive", 1.0), ("successes", 1.0)]
    {
        assert!(numbers.contains(&number), "{number:?} is not in {numbers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn keys_are_bounded_and_an_open_circuit_is_never_forgotten_for_one() {
    let layer = keyed!(STRICT).max_keys(NonZeroUsize::new(4).unwrap());
    let handle = layer.handle();
    let call = |n| layer.layer(service_fn(fails_below_zero)).oneshot(n);
    for _ in 0..3 {
        call(-1).await.unwrap_err();
    }
    for n in 2..10_000 {
        call(n).await.unwrap();
    }
    assert_eq!(handle.all().len(), 4);
    assert!(is_refused(call(1).await), "still open");
    assert!(handle.get(&9_999).is_some(), "an idle one gave way");

    // All four open: further keys share one more circuit.
    for n in handle.all().into_iter().map(|(key, _)| key) {
        for _ in 0..3 {
            call(-n).await.unwrap_err();
        }
    }
    for n in 20_000..20_003 {
        assert!(!is_refused(call(-n).await));
    }
    assert_eq!((handle.overflow().state(), handle.all().len()), (State::Open, 4));
    assert!(is_refused(call(30_000).await), "the overflow circuit is one for all of them");
}

#[tokio::test(start_paused = true)]
async fn settings_change_for_all_keys_and_those_to_come() {
    let layer = keyed!(STRICT);
    let handle = layer.handle();
    let call = |n| layer.layer(service_fn(fails_below_zero)).oneshot(n);
    call(-1).await.unwrap_err();
    handle.update(STRICT.consecutive(Consecutive::new(2)));
    call(-1).await.unwrap_err();
    assert!(is_refused(call(1).await), "the row so far counts");
    for _ in 0..2 {
        assert!(!is_refused(call(-2).await));
    }
    assert!(is_refused(call(2).await));
}

fn status(code: u16, retry_after: Option<&'static str>) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    if let Some(retry_after) = retry_after {
        response.headers_mut().insert("retry-after", retry_after.parse().unwrap());
    }
    response
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_as_long_as_the_server_asked_for_but_at_most_five_minutes() {
    for (asked, pause) in [("2", 5), ("60", 60), ("7200", 300)] {
        let value = STRICT.failure_ratio(Ratio::new(1.0).window(Window::calls(2)));
        let layer = BreakerLayer::new(value);
        let throttle = service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(status(429, Some(asked)))));
        for _ in 0..2 {
            layer.layer(throttle).oneshot(Request::new(())).await.unwrap();
        }
        let snapshot = layer.handle().snapshot();
        assert_eq!((snapshot.cause, snapshot.throttled), (Some(Cause::FailureRatio), 2));
        assert_eq!(snapshot.retry_after, Some(Duration::from_secs(pause)), "asked for {asked}");
    }
}

#[tokio::test(start_paused = true)]
async fn throttled_calls_neither_count_nor_break_a_row() {
    let layer = BreakerLayer::new(STRICT);
    let call = |code| {
        let serve = service_fn(move |_: Request<()>| ready(Ok::<_, Infallible>(status(code, None))));
        layer.layer(serve).oneshot(Request::new(()))
    };
    for code in [500, 500, 429, 429, 429] {
        call(code).await.unwrap();
    }
    assert_eq!(layer.handle().state(), State::Closed);
    call(500).await.unwrap();
    assert_eq!(layer.handle().snapshot().cause, Some(Cause::Consecutive));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_streams_beyond_its_lease_was_good() {
    let layer = BreakerLayer::new(STRICT.start_open(true).probe_lease(SECOND));
    let handle = layer.handle();
    tokio::time::advance(5 * SECOND).await;
    let (mut sender, body) = Channel::<Bytes, Infallible>::new(4);
    let mut body = Some(body);
    let serve =
        service_fn(move |_: Request<()>| ready(Ok::<_, Infallible>(Response::new(body.take().unwrap()))));
    let mut stream = layer.layer(serve).oneshot(Request::new(())).await.unwrap().into_body();
    sender.send_data(Bytes::from_static(b"first")).await.unwrap();
    assert!(stream.frame().await.unwrap().is_ok());
    assert_eq!(handle.state(), State::HalfOpen);
    tokio::time::advance(SECOND).await;
    assert_eq!(handle.state(), State::Closed);
    drop(stream);
    assert_eq!(handle.state(), State::Closed, "its own verdict is late");
}

#[tokio::test(start_paused = true)]
async fn who_reads_slowly_is_not_a_slow_call() {
    let layer = BreakerLayer::new(STRICT.slow_after(SECOND));
    let (mut sender, body) = Channel::<Bytes, Infallible>::new(4);
    let mut body = Some(body);
    let serve =
        service_fn(move |_: Request<()>| ready(Ok::<_, Infallible>(Response::new(body.take().unwrap()))));
    let stream = layer.layer(serve).oneshot(Request::new(())).await.unwrap().into_body();
    tokio::time::advance(60 * SECOND).await;
    sender.send_data(Bytes::from_static(b"all")).await.unwrap();
    drop(sender);
    stream.collect().await.unwrap();
    let snapshot = layer.handle().snapshot();
    assert_eq!((snapshot.successes, snapshot.slow), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn traffic_comes_back_along_a_ramp() {
    let layer = BreakerLayer::new(STRICT.ramp(10 * SECOND)).typed();
    let handle = layer.handle();
    let served = Arc::new(AtomicUsize::new(0));
    let serve = service_fn(|_: ()| {
        served.fetch_add(1, SeqCst);
        ready(Ok::<_, BoxError>(()))
    });
    handle.force_open_for(SECOND);
    tokio::time::advance(SECOND).await;
    layer.layer(serve).oneshot(()).await.unwrap();
    assert_eq!(handle.snapshot().share, 0.0);
    let mut each_second = Vec::new();
    for _ in 0..11 {
        let before = served.load(SeqCst);
        for _ in 0..200 {
            tokio::time::advance(SECOND / 200).await;
            let _ = layer.layer(serve).oneshot(()).await;
        }
        each_second.push(served.load(SeqCst) - before);
    }
    assert!(each_second.is_sorted(), "{each_second:?}");
    assert!(each_second[0] >= 10 && each_second[4].abs_diff(90) <= 5, "{each_second:?}");
    assert_eq!(each_second[10], 200);
    assert_eq!((handle.snapshot().share, handle.state()), (1.0, State::Closed));
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_pauses() {
    let pauses = |seed| {
        let layer = BreakerLayer::new(Breaker::new().consecutive(Consecutive::new(1)).seed(seed)).typed();
        async move {
            let mut pauses = Vec::new();
            for _ in 0..5 {
                let _ = layer.layer(service_fn(fails_below_zero)).oneshot(-1).await;
                pauses.push(layer.handle().snapshot().retry_after.unwrap());
                tokio::time::advance(120 * SECOND).await;
            }
            pauses
        }
    };
    let (first, again, other) = (pauses(1).await, pauses(1).await, pauses(2).await);
    assert_eq!(first, again);
    assert_ne!(first, other);
}

#[tokio::test(start_paused = true)]
async fn a_blow_at_one_instant_is_one_event_and_an_outage_trips() {
    let layer = BreakerLayer::new(Breaker::new().evidence(Evidence::new().endpoint())).typed();
    let fail = || layer.layer(service_fn(fails_below_zero)).oneshot(-1);
    for _ in 0..100 {
        fail().await.unwrap_err();
    }
    assert_eq!(layer.handle().state(), State::Closed);
    assert!((layer.handle().snapshot().evidence - 1.0).abs() < 1e-6);
    tokio::time::advance(Evidence::MIN_SPAN).await;
    fail().await.unwrap_err();
    assert_eq!(layer.handle().snapshot().cause, Some(Cause::Evidence));
}

#[tokio::test(start_paused = true)]
async fn any_duration_is_legal() {
    for pause in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
        let value = STRICT.open_for(pause).ramp(pause).slow_after(pause);
        let layer = BreakerLayer::new(value.probe_lease(pause.max(Duration::from_nanos(1)))).typed();
        for n in [-1, -1, -1, 1, -1] {
            let _ = layer.layer(service_fn(fails_below_zero)).oneshot(n).await;
            tokio::time::advance(Duration::from_secs(1 << 20)).await;
            let _ = layer.handle().snapshot();
        }
        layer.handle().force_open_for(pause);
        let _ = layer.handle().snapshot();
        layer.handle().reset();
        assert_eq!(layer.handle().state(), State::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_switched_off_breaker_is_not_there() {
    let layer = BreakerLayer::new(STRICT.enabled(false)).typed();
    for _ in 0..100 {
        assert!(!is_refused(layer.layer(service_fn(fails_below_zero)).oneshot(-1).await));
    }
    let snapshot = layer.handle().snapshot();
    assert_eq!((snapshot.state, snapshot.mode, snapshot.failures), (State::Disabled, Mode::Disabled, 0));
    layer.handle().resume();
    let before = Instant::now();
    for _ in 0..3 {
        layer.layer(service_fn(fails_below_zero)).oneshot(-1).await.unwrap_err();
    }
    assert_eq!((layer.handle().state(), before), (State::Open, Instant::now()));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_a_change_of_mode_makes_void_blocks_nobody() {
    let layer = BreakerLayer::new(STRICT).typed();
    let handle = layer.handle();
    let call = |n| layer.layer(service_fn(fails_below_zero)).oneshot(n);
    for _ in 0..3 {
        call(-1).await.unwrap_err();
    }
    tokio::time::advance(5 * SECOND).await;
    let probe = layer.layer(service_fn(|_: i32| pending::<Result<i32, BoxError>>()));
    let mut probe = Box::pin(probe.oneshot(0));
    assert!(poll_once(probe.as_mut()).is_none());
    assert!(is_refused(call(1).await), "one probe at a time");
    handle.force_open();
    handle.resume();
    drop(probe);
    assert_eq!((handle.state(), call(1).await.unwrap()), (State::HalfOpen, 1));
    assert_eq!(handle.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_lease_is_over_counts_nowhere() {
    let layer = BreakerLayer::new(STRICT).typed();
    let handle = layer.handle();
    let call = |n| layer.layer(service_fn(fails_below_zero)).oneshot(n);
    for _ in 0..3 {
        call(-1).await.unwrap_err();
    }
    tokio::time::advance(5 * SECOND).await;
    let sleepy = layer.layer(service_fn(|n: i32| async move {
        tokio::time::sleep(11 * SECOND).await;
        fails_below_zero(n).await
    }));
    let mut late = Box::pin(sleepy.clone().oneshot(1));
    assert!(poll_once(late.as_mut()).is_none());
    tokio::time::advance(10 * SECOND).await;
    let mut probe = Box::pin(sleepy.oneshot(1));
    assert!(poll_once(probe.as_mut()).is_none());
    assert_eq!(late.await.unwrap(), 1);
    assert_eq!((handle.state(), handle.snapshot().successes), (State::HalfOpen, 0));
    assert_eq!(probe.await.unwrap(), 1);
    assert_eq!((handle.state(), handle.snapshot().successes), (State::Closed, 1));
}

#[test]
fn circuits_are_registered_once_in_whatever_order_they_are_named() {
    let four = NonZeroUsize::new(4).unwrap();
    let states = |name| {
        let handles = registry::handles();
        handles.iter().filter(|known| known.name() == name).map(|known| known.state()).collect::<Vec<_>>()
    };
    let same: fn(&i32) -> i32 = |n| *n;
    let layers = [
        ("named, key", BreakerLayer::new(STRICT).typed().named("named, key").key(same)),
        ("key, named", BreakerLayer::new(STRICT).typed().key(same).named("key, named")),
    ];
    for (name, layer) in layers.map(|(name, layer)| (name, layer.named("too late"))) {
        assert_eq!(states(name), ["closed"], "{name}");
        let layer = layer.max_keys(four);
        assert_eq!(states(name), ["closed"], "{name}");
        let _ = poll_once(pin!(layer.layer(service_fn(fails_below_zero)).oneshot(7)));
        layer.handle().get(&7).unwrap().force_open();
        assert_eq!(states(name), ["forced open"], "{name}");
    }
    assert!(states("too late").is_empty());
}

/// A subscriber that does something at every event.
struct OnEvent<F>(F);

impl<F: Fn() + 'static> tracing::Subscriber for OnEvent<F> {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        self.0();
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// A subscriber that sends its events through the breaker asks for a new circuit amid a change of another one.
#[test]
fn who_hears_of_a_change_may_use_the_breaker() {
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let layer = keyed!(STRICT.open_for(Duration::ZERO)).named("heard");
        let handle = layer.handle();
        let next = Arc::new(AtomicUsize::new(100));
        let call = {
            let layer = layer.clone();
            move |n: i32| {
                let service = layer.layer(service_fn(fails_below_zero));
                let _ = poll_once(pin!(service.oneshot(n)));
            }
        };
        let (heard, steers) = (next.clone(), Arc::new(AtomicBool::new(false)));
        let steer = steers.clone();
        let on_event = OnEvent({
            let (call, handle) = (call.clone(), handle.clone());
            move || {
                call(next.fetch_add(1, SeqCst) as i32);
                let _ = handle.get(&1);
                if steers.swap(false, SeqCst) {
                    handle.set_mode(Mode::Normal);
                }
            }
        });
        let observed = registry::handles().into_iter().find(|known| known.name() == "heard").unwrap();
        tracing::subscriber::with_default(on_event, || {
            let trip = || (0..3).for_each(|_| call(-1));
            let uses: [&dyn Fn(); 3] =
                [&|| handle.update(STRICT), &|| _ = observed.state(), &|| observed.numbers(&mut |_, _| {})];
            for look in uses {
                handle.get(&1).into_iter().for_each(|circuit| circuit.reset());
                trip();
                let before = heard.load(SeqCst);
                steer.store(true, SeqCst);
                look();
                assert!(heard.load(SeqCst) > before, "the open circuit turned half-open");
                handle.update(STRICT.open_for(Duration::ZERO));
            }
        });
        done.send(()).unwrap();
    });
    is_done.recv_timeout(20 * SECOND).expect("neither stuck nor failed");
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(out) => Some(out),
        Poll::Pending => None,
    }
}

#[test]
fn of_two_who_steer_at_once_every_circuit_follows_the_later() {
    let (handle, meet, parted) = (keyed!(STRICT).handle(), Barrier::new(2), AtomicUsize::new(0));
    (0..32).for_each(|n| drop(handle.layer(&n)));
    let steer = |probes, mode| {
        for _ in 0..500 {
            meet.wait();
            handle.update(STRICT.probes(probes));
            handle.set_mode(mode);
            meet.wait();
            let shown = handle.value();
            if handle.all().iter().any(|(_, circuit)| circuit.value() != shown) {
                parted.fetch_add(1, SeqCst);
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| steer(1, Mode::Shadow));
        steer(2, Mode::Normal);
    });
    assert_eq!(parted.into_inner(), 0);
}
