//! A layer that sheds, through its services: places come back on every path, and who is refused hears why.

#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_core::{Context as Ambient, Instant, Priority, Refused, registry};
use bartizan_shed::{Handle, Mode, Shares, Shed, ShedLayer};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, channel::Channel};
use std::convert::Infallible;
use std::future::{pending, ready};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);

type Call = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

fn poll<T>(future: Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// A call that is in flight until it is dropped, or was refused.
fn hold(layer: &ShedLayer<impl Holds, bartizan_core::ErrorsFail, bartizan_http::Typed>) -> Option<Call> {
    let service = layer.layer(service_fn(|(): ()| pending::<Result<(), BoxError>>()));
    let mut call: Call = Box::pin(service.oneshot(()));
    poll(call.as_mut()).is_pending().then_some(call)
}

trait Holds: bartizan_shed::asks::Asking<(), bartizan_http::Typed> {}
impl<T: bartizan_shed::asks::Asking<(), bartizan_http::Typed>> Holds for T {}

fn fixed(
    limit: usize,
) -> ShedLayer<bartizan_shed::asks::Asks, bartizan_core::ErrorsFail, bartizan_http::Typed> {
    ShedLayer::new(Shed::fixed(limit).seed(1)).typed()
}

fn refused(out: Result<(), BoxError>) -> Refused {
    *out.unwrap_err().downcast::<Refused>().unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_eleventh_of_ten_is_refused_at_once() {
    let layer = fixed(10);
    let held: Vec<Call> = (0..10).filter_map(|_| hold(&layer)).collect();
    assert_eq!(held.len(), 10);
    let service = layer.layer(service_fn(|(): ()| ready(Ok::<(), BoxError>(()))));
    let refusal = refused(service.oneshot(()).await);
    assert_eq!((refusal.layer(), refusal.reason(), refusal.reached()), ("shed", "over the limit", false));
    assert!((SECOND..2 * SECOND).contains(&refusal.retry_after().unwrap()));
    let snapshot = layer.handle().snapshot();
    assert_eq!((snapshot.in_flight, snapshot.limit, snapshot.saturated), (10, 10, true));
    assert_eq!((snapshot.admitted.normal, snapshot.refused.normal), (10, 1));
    drop(held);
    assert_eq!(layer.handle().snapshot().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_place_comes_back_on_every_path() {
    for shed in [Shed::fixed(1), Shed::new().max_in_flight(1)] {
        let layer = ShedLayer::new(shed).typed();
        let idle = || assert_eq!(layer.handle().snapshot().in_flight, 0);
        let answer = |out: Result<(), &'static str>| {
            layer.layer(service_fn(move |(): ()| ready(out.map_err(BoxError::from)))).oneshot(())
        };
        for _ in 0..3 {
            answer(Ok(())).await.unwrap();
            idle();
            assert_eq!(answer(Err("broken")).await.unwrap_err().to_string(), "broken");
            idle();
            let panics =
                layer.layer(service_fn(|(): ()| async { panic!("on purpose") as Result<(), BoxError> }));
            tokio::spawn(panics.oneshot(())).await.unwrap_err();
            idle();
            drop(answer(Ok(())));
            idle();
            drop(hold(&layer).unwrap());
            idle();
        }
    }
}

/// A request through the layer to a service that answers with this body.
async fn ask<B>(
    layer: &ShedLayer,
    path: &str,
    body: B,
) -> Response<impl bartizan_http::http_body::Body<Data = Bytes> + use<B>>
where
    B: bartizan_http::http_body::Body<Data = Bytes, Error = Infallible> + Unpin + Send + 'static,
{
    let mut body = Some(body);
    let service = service_fn(move |_: Request<Full<Bytes>>| {
        ready(Ok::<_, Infallible>(Response::new(body.take().unwrap())))
    });
    let mut service = layer.layer(service);
    let request = Request::get(path).body(Full::default()).unwrap();
    service.ready().await.unwrap().call(request).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_request_is_in_flight_until_its_body_has_ended_or_was_dropped() {
    for shed in [Shed::fixed(1), Shed::new().max_in_flight(1)] {
        let layer = ShedLayer::new(shed);
        let in_flight = || layer.handle().snapshot().in_flight;
        let (sender, body) = Channel::<Bytes, Infallible>::new(1);
        let answer = ask(&layer, "/", body).await;
        assert_eq!(in_flight(), 1);
        assert_eq!(ask(&layer, "/", Full::default()).await.status(), StatusCode::SERVICE_UNAVAILABLE);
        drop(sender);
        answer.into_body().collect().await.ok().unwrap();
        assert_eq!(in_flight(), 0);

        let (_sender, body) = Channel::<Bytes, Infallible>::new(1);
        let answer = ask(&layer, "/", body).await;
        assert_eq!(in_flight(), 1);
        drop(answer);
        assert_eq!(in_flight(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn with_bodies_left_out_a_stream_holds_no_place() {
    for shed in [Shed::fixed(1), Shed::new().max_in_flight(1)] {
        let layer = ShedLayer::new(shed.count_bodies(false));
        let (_sender, body) = Channel::<Bytes, Infallible>::new(1);
        let answer = ask(&layer, "/", body).await;
        assert_eq!(layer.handle().snapshot().in_flight, 0);
        drop(answer);
        assert_eq!(layer.handle().snapshot().in_flight, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn doors_stay_open_and_what_is_exempt_passes_uncounted() {
    let layer = ShedLayer::new(Shed::fixed(1));
    let (_sender, body) = Channel::<Bytes, Infallible>::new(1);
    let _full = ask(&layer, "/", body).await;
    for door in ["/healthz", "/readyz", "/livez", "/metrics", "/grpc.health.v1.Health/Check"] {
        assert_eq!(ask(&layer, door, Full::default()).await.status(), StatusCode::OK, "{door}");
    }
    let refusal = ask(&layer, "/other", Full::default()).await;
    assert_eq!(refusal.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(["1", "2"].contains(&refusal.headers()["retry-after"].to_str().unwrap()));
    assert_eq!(layer.handle().snapshot().in_flight, 1);

    let exempt = ShedLayer::new(Shed::fixed(1)).exempt(|head| head.uri.path() == "/stream");
    let answers =
        service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))));
    let _answer = exempt.layer(answers).oneshot(Request::get("/stream").body(()).unwrap()).await.unwrap();
    assert_eq!(exempt.handle().snapshot().admitted.total(), 0);
}

#[tokio::test(start_paused = true)]
async fn readiness_reserves_nothing() {
    let layer = fixed(1);
    let echo = || layer.layer(service_fn(|(): ()| ready(Ok::<(), BoxError>(()))));
    let (mut a, mut c) = (echo(), echo());
    a.ready().await.unwrap();
    c.ready().await.unwrap();
    let running = hold(&layer).unwrap();
    assert_eq!(refused(a.call(()).await).reason(), "over the limit");
    drop(running);
    c.call(()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_smaller_limit_ends_nobody_and_a_larger_one_admits_at_once() {
    let layer = fixed(10);
    let mut held: Vec<Call> = (0..10).filter_map(|_| hold(&layer)).collect();
    layer.handle().update(Shed::fixed(4));
    assert_eq!(layer.handle().snapshot().in_flight, 10);
    held.truncate(4);
    assert!(hold(&layer).is_none());
    held.truncate(3);
    held.push(hold(&layer).unwrap());
    assert_eq!(layer.handle().snapshot().limit, 4);
    layer.handle().update(Shed::fixed(5));
    assert!(hold(&layer).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_not_ready_is_overloaded() {
    struct Never;
    impl Service<()> for Never {
        type Response = ();
        type Error = BoxError;
        type Future = std::future::Ready<Result<(), BoxError>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            Poll::Pending
        }
        fn call(&mut self, (): ()) -> Self::Future {
            ready(Ok(()))
        }
    }
    let layer = fixed(1);
    let mut service = layer.layer(Never);
    service.ready().await.unwrap();
    assert_eq!(refused(service.call(()).await).reason(), "not ready");
    layer.handle().update(Shed::fixed(1).mode(Mode::Shadow));
    assert!(poll(pin!(layer.layer(Never).ready())).is_pending(), "in shadow, nothing is refused");
}

#[tokio::test(start_paused = true)]
async fn shadow_and_disabled_refuse_nothing() {
    for shed in [Shed::fixed(1), Shed::new().max_in_flight(1)] {
        let layer = ShedLayer::new(shed.mode(Mode::Shadow)).typed();
        let held: Vec<Call> = (0..3).filter_map(|_| hold(&layer)).collect();
        let snapshot = layer.handle().snapshot();
        assert_eq!((held.len(), snapshot.in_flight, snapshot.shadowed.normal), (3, 3, 2));
        layer.handle().update(shed.enabled(false));
        let more: Vec<Call> = (0..3).filter_map(|_| hold(&layer)).collect();
        assert_eq!((more.len(), layer.handle().snapshot().shadowed.normal), (3, 2));
        layer.handle().update(shed);
        assert!(hold(&layer).is_none(), "those in flight still count");
        drop((held, more));
        assert_eq!(layer.handle().snapshot().in_flight, 0);
        assert!(hold(&layer).is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn clones_and_layers_anew_share_one_limit() {
    let layer = fixed(2);
    let clone = layer.clone();
    let _held = (hold(&layer).unwrap(), hold(&clone).unwrap());
    assert!(hold(&layer).is_none() && hold(&clone).is_none());
}

fn observed(name: &str) -> std::sync::Arc<dyn registry::Observed> {
    registry::handles().into_iter().find(|observed| observed.name() == name).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_named_layer_is_in_the_registry() {
    let layer = fixed(1).named("gateway of the test");
    let seen = observed("gateway of the test");
    assert_eq!((seen.layer(), seen.state()), ("shed", "admitting"));
    let held = hold(&layer);
    assert!(hold(&layer).is_none());
    assert_eq!(seen.state(), "shedding");
    let mut numbers = Vec::new();
    seen.numbers(&mut |name, number| numbers.push((name, number)));
    assert!(
        numbers.contains(&("in_flight", 1.0)) && numbers.contains(&("refused_normal", 1.0)),
        "{numbers:?}"
    );
    drop(held);
    tokio::time::advance(11 * SECOND).await;
    assert_eq!(seen.state(), "admitting", "nobody was refused for a while");
    layer.handle().update(Shed::fixed(1).enabled(false));
    assert_eq!(seen.state(), "disabled");
}

/// Runs a service of so many workers, each busy for 10 ms a request, with so many requests a second; says what share of each
/// priority was admitted.
async fn overload(
    handle: &Handle,
    admit: impl Fn(Priority) -> Option<Call>,
    rate: u32,
    seconds: u32,
) -> [f64; 3] {
    let levels =
        [Priority::CRITICAL, Priority::SHEDDABLE, Priority::NORMAL, Priority::SHEDDABLE, Priority::SHEDDABLE];
    let (before, mut held) = (handle.snapshot(), Vec::new());
    for n in 0..rate * seconds {
        if let Some(call) = admit(levels[n as usize % 5]) {
            held.push((Instant::now() + 10 * SECOND / 1000, call));
        }
        tokio::time::advance(SECOND / rate).await;
        held.retain(|(end, _)| *end > Instant::now());
    }
    drop(held);
    let after = handle.snapshot();
    assert_eq!(after.in_flight, 0);
    [
        (after.admitted.critical - before.admitted.critical, 1),
        (after.admitted.normal - before.admitted.normal, 1),
        (after.admitted.sheddable - before.admitted.sheddable, 3),
    ]
    .map(|(admitted, fifths)| admitted as f64 / f64::from(rate * seconds * fifths / 5))
}

#[tokio::test(start_paused = true)]
async fn under_a_fixed_limit_the_critical_are_refused_last() {
    let layer = fixed(50);
    let admit = |priority| Ambient::new().with_priority(priority).enter(|| hold(&layer));
    // Fifty workers at 10 ms serve 5000 a second.
    let [critical, normal, sheddable] = overload(&layer.handle(), admit, 10_000, 5).await;
    assert!(critical > 0.99, "{critical}");
    assert!(normal > 2.0 * sheddable && sheddable > 0.01, "{normal} {sheddable}");
    assert!((critical + normal + 3.0 * sheddable) / 5.0 > 0.35, "{critical} {normal} {sheddable}");
}

/// Workers who serve one request after the other, each in 10 ms; a request takes the first that is free.
#[derive(Clone)]
struct Workers(std::sync::Arc<std::sync::Mutex<Vec<Instant>>>);

impl Workers {
    fn new(count: usize) -> Self {
        Self(std::sync::Arc::new(std::sync::Mutex::new(vec![Instant::now(); count])))
    }

    fn serve(&self) -> tokio::time::Sleep {
        let mut free = self.0.lock().unwrap();
        let first = free.iter_mut().min().unwrap();
        *first = Instant::now().max(*first) + 10 * SECOND / 1000;
        tokio::time::sleep_until(*first)
    }
}

/// Offers an adaptive limit twice what sixteen workers can do for ten seconds, of these kinds in turn; says what share of
/// each was served in the second half.
async fn offer_twice(
    layer: &ShedLayer<impl Asks32, bartizan_core::ErrorsFail, bartizan_http::Typed>,
    kinds: &[u32],
) -> Vec<f64> {
    let workers = Workers::new(16);
    let service = layer.layer(service_fn(move |_: u32| {
        let served = workers.serve();
        async move {
            served.await;
            Ok::<(), BoxError>(())
        }
    }));
    let dice = bartizan_core::Dice::new(Some(5));
    let (mut calls, mut owed) = (tokio::task::JoinSet::new(), 0.0);
    for at in 0..10_000 {
        owed += 3.2 * 2.0 * dice.unit();
        while owed >= 1.0 {
            owed -= 1.0;
            let kind = kinds[(dice.unit() * kinds.len() as f64) as usize];
            let call: Call = Box::pin(service.clone().oneshot(kind));
            calls.spawn(async move { (at, kind, call.await.is_ok()) });
        }
        tokio::time::sleep(SECOND / 1000).await;
    }
    let (mut came, mut served) = (vec![0_u32; 256], vec![0_u32; 256]);
    while let Some(Ok((at, kind, is_served))) = calls.join_next().await {
        if at >= 5000 {
            came[kind as usize] += 1;
            served[kind as usize] += u32::from(is_served);
        }
    }
    assert_eq!(layer.handle().snapshot().in_flight, 0);
    kinds.iter().map(|kind| f64::from(served[*kind as usize]) / f64::from(came[*kind as usize])).collect()
}

trait Asks32: bartizan_shed::asks::Asking<u32, bartizan_http::Typed> {}
impl<T: bartizan_shed::asks::Asking<u32, bartizan_http::Typed>> Asks32 for T {}

#[tokio::test(start_paused = true)]
async fn levels_that_stand_close_together_are_told_apart() {
    let layer =
        ShedLayer::new(Shed::new().seed(1)).typed().priority(|level: &u32| Priority::new(*level as u8));
    let served = offer_twice(&layer, &[100, 101, 102, 103, 104, 105]).await;
    assert!(served[0] > 0.95 && served[1] > 0.95, "what fits is served: {served:?}");
    assert!(
        served[3] < 0.3 && served[4] < 0.1 && served[5] < 0.1 && served[5] > 0.0,
        "what does not is not, but for a few: {served:?}"
    );
    let all = served.iter().sum::<f64>() / 6.0;
    assert!(all > 0.46, "{all} of 0.5: {served:?}");
}

#[tokio::test(start_paused = true)]
async fn under_an_adaptive_limit_a_greedy_key_leaves_the_others_theirs() {
    let layer = ShedLayer::new(Shed::new().seed(1)).typed().fair_by(|key: &u32| *key);
    // Of ten requests one is of another key: a fifth of what can be done.
    let served = offer_twice(&layer, &[1, 1, 1, 1, 1, 1, 1, 1, 1, 2]).await;
    assert!(served[9] > 0.9 && served[0] < 0.5, "{served:?}");
}

#[tokio::test(start_paused = true)]
async fn classes_have_their_shares() {
    let layer = ShedLayer::new(Shed::fixed(10)).typed().class(|_: &()| CLASS.get(), Shares::new([0.7, 0.3]));
    let take = |class, count| -> Vec<Call> {
        CLASS.set(class);
        (0..count).filter_map(|_| hold(&layer)).collect()
    };
    let mut batch = take(1, 20);
    assert_eq!(batch.len(), 10, "alone, it may use what others leave");
    let live = take(0, 20);
    assert_eq!(live.len(), 7, "and they get their own all the same");
    assert_eq!(take(1, 1).len(), 0);
    batch.truncate(3);
    assert_eq!((take(0, 1).len(), take(1, 1).len()), (0, 0));
    batch.truncate(2);
    batch.extend(take(1, 2));
    assert_eq!(batch.len(), 3);
    layer.handle().update(Shed::fixed(20));
    let (more_live, more_batch) = (take(0, 7), take(1, 20));
    assert_eq!((more_live.len(), more_batch.len()), (7, 3));
    drop((batch, live, more_live, more_batch));
    assert_eq!(layer.handle().snapshot().in_flight, 0);
    CLASS.set(0);
}

thread_local! {
    static CLASS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[tokio::test(start_paused = true)]
async fn a_key_with_little_in_flight_finds_a_place_beside_a_greedy_one() {
    let layer = ShedLayer::new(Shed::fixed(20).seed(7)).typed().fair_by(|_: &()| CLASS.get());
    let (mut greedy, mut light, mut found) = (Vec::new(), Vec::new(), 0);
    for n in 0..20_000 {
        CLASS.set(1);
        greedy.extend(hold(&layer).map(|call| (n, call)));
        if n % 10 == 0 {
            CLASS.set(2);
            if let Some(call) = hold(&layer) {
                found += 1;
                light.push((n, call));
            }
        }
        // Each takes forty rounds: the greedy key asks for forty places, the light one for four.
        greedy.retain(|(begun, _)| n - begun < 40);
        light.retain(|(begun, _)| n - begun < 40);
        tokio::time::advance(SECOND / 1000).await;
    }
    CLASS.set(0);
    assert!(found > 1950, "{found} of 2000");
    let all = layer.handle().snapshot().admitted.total();
    assert!(all > 8000, "{all} of 10000");
}
