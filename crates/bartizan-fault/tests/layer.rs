//! What the layer does as one: its state, its switch, and whom its faults hit.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

#[path = "common/request.rs"]
mod request;

use bartizan_core::{Instant, registry};
use bartizan_fault::{Fault, FaultLayer, FaultService, Faults};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use request::request;
use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::panic::catch_unwind;
use std::sync::Arc;
use std::time::Duration;
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};
use tower_test::mock;

const S: Duration = Duration::from_secs(1);
const CANARY: HeaderName = HeaderName::from_static("x-canary");

fn on() -> FaultLayer {
    FaultLayer::new(Faults::new().enabled(true))
}

fn well(_: Request<()>) -> Ready<Result<Response<Full<Bytes>>, Infallible>> {
    ready(Ok(Response::new(Full::new(Bytes::from_static(b"3 left")))))
}

/// Whether an HTTP call through a layer ends well.
async fn ends_well<K: bartizan_fault::HeadKey + Clone>(layer: &FaultLayer<K>, req: Request<()>) -> bool {
    layer.layer(service_fn(well)).oneshot(req).await.unwrap().status() == StatusCode::OK
}

/// Which of so many calls are hit.
async fn hits(layer: &FaultLayer, calls: usize) -> Vec<bool> {
    let mut hit = Vec::new();
    for _ in 0..calls {
        hit.push(!ends_well(layer, request(&[])).await);
    }
    hit
}

#[tokio::test]
async fn layering_again_keeps_the_state() {
    let layer = on();
    layer.handle().inject(Fault::error()).unwrap();
    for errors in 1..=3 {
        assert!(!ends_well(&layer.clone(), request(&[])).await);
        assert_eq!(layer.handle().snapshot().errors, errors);
    }
}

#[tokio::test]
async fn it_is_as_ready_as_the_inner_service_and_calls_the_instance_that_is() {
    for fault in [None, Some(Fault::truncate(1)), Some(Fault::lose_reply()), Some(Fault::delay(S))] {
        let layer =
            FaultLayer::new(fault.clone().into_iter().fold(Faults::new().enabled(true), Faults::with));
        let (mock, mut handle) = mock::pair::<Request<()>, Response<Full<Bytes>>>();
        let mut service = spawn(layer.layer(mock));
        handle.allow(0);
        assert_pending!(service.enter(|cx, mut service| service.poll_ready(cx)));
        handle.allow(1);
        assert!(service.is_woken());
        assert_ready_ok!(service.enter(|cx, mut service| service.poll_ready(cx)));
        // The mock panics when an instance is called that was not made ready.
        let call = spawn(service.call(request(&[])));
        assert!(handle.next_request().await.is_some(), "{fault:?}");
        drop(call);

        let (mock, mut handle) = mock::pair::<u8, u8>();
        let mut service = spawn(layer.typed().layer(mock));
        handle.allow(0);
        assert_pending!(service.enter(|cx, mut service| service.poll_ready(cx)));
        handle.allow(1);
        assert_ready_ok!(service.enter(|cx, mut service| service.poll_ready(cx)));
        let call = spawn(service.call(7));
        assert_eq!(handle.next_request().await.unwrap().0, 7, "{fault:?}");
        drop(call);
    }
}

#[tokio::test]
async fn a_call_that_a_fault_ends_does_not_spend_readiness() {
    for fault in [Fault::error(), Fault::grpc(14), Fault::hang(), Fault::reset(), Fault::panic()] {
        let layer = on();
        layer.handle().inject(fault).unwrap();
        keeps_readiness(&layer, request(&[]), Response::new(Full::new(Bytes::new()))).await;
        keeps_readiness(&layer.typed(), 1_u8, 2_u8).await;
    }
}

/// Lets a fault end a call, lifts it, and makes another call with the one permit that there is.
async fn keeps_readiness<K, M, Req, Res>(layer: &FaultLayer<K, M>, req: Req, answer: Res)
where
    Req: Clone,
    FaultLayer<K, M>: Layer<mock::Mock<Req, Res>, Service: Service<Req, Error = BoxError> + Unpin>,
{
    let faults = layer.handle();
    let (_, fault) = faults.faults().remove(0);
    let (mock, mut handle) = mock::pair::<Req, Res>();
    let mut service = spawn(layer.layer(mock));
    handle.allow(1);
    assert_ready_ok!(service.enter(|cx, mut service| service.poll_ready(cx)));
    drop(service.call(req.clone()));
    faults.clear();
    assert_ready_ok!(service.enter(|cx, mut service| service.poll_ready(cx)));
    let mut call = spawn(service.call(req));
    handle.next_request().await.unwrap().1.send_response(answer);
    assert!(assert_ready!(call.poll()).is_ok());
    assert_pending!(service.enter(|cx, mut service| service.poll_ready(cx)));
    faults.inject(fault).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_dropped_future_drops_the_inner_one() {
    for fault in [Fault::delay(S), Fault::lose_reply(), Fault::truncate(1), Fault::error().share(0.0)] {
        let layer = on();
        layer.handle().inject(fault.clone()).unwrap();
        let held = Arc::new(());
        let inner = {
            let held = held.clone();
            move || {
                let held = held.clone();
                async move {
                    std::future::pending::<()>().await;
                    drop(held);
                }
            }
        };
        let http = inner.clone();
        let http = service_fn(move |req: Request<()>| {
            let work = http();
            async {
                work.await;
                well(req).await
            }
        });
        let typed = service_fn(move |(): ()| {
            let work = inner();
            async {
                work.await;
                Ok::<_, BoxError>(())
            }
        });
        let (mut http, mut typed) = (layer.layer(http), layer.typed().layer(typed));
        let before = Arc::strong_count(&held);
        let (mut first, mut second) = (spawn(http.call(request(&[]))), spawn(typed.call(())));
        assert_pending!(first.poll());
        assert_pending!(second.poll());
        assert_eq!(Arc::strong_count(&held), before + 2, "{fault:?}");
        drop((first, second));
        assert_eq!(Arc::strong_count(&held), before, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn inner_errors_pass_through() {
    let harmless = [
        None,
        Some(Fault::delay(Duration::from_millis(1))),
        Some(Fault::truncate(1)),
        Some(Fault::error().share(0.0)),
    ];
    for fault in harmless {
        let layer = FaultLayer::new(fault.into_iter().fold(Faults::new().enabled(true), Faults::with));
        let http =
            service_fn(|_: Request<()>| ready(Err::<Response<Full<Bytes>>, BoxError>("theirs".into())));
        assert_eq!(layer.layer(http).oneshot(request(&[])).await.unwrap_err().to_string(), "theirs");
        let typed = service_fn(|(): ()| ready(Err::<(), BoxError>("theirs".into())));
        assert_eq!(layer.clone().typed().layer(typed).oneshot(()).await.unwrap_err().to_string(), "theirs");
        let (mock, mut handle) = mock::pair::<u8, u8>();
        let mut service = spawn(layer.typed().layer(mock));
        handle.send_error("not ready");
        let error = assert_ready_err!(service.enter(|cx, mut service| service.poll_ready(cx)));
        assert_eq!(error.to_string(), "not ready");
    }
}

#[test]
fn auto_traits() {
    fn all<T: Clone + Send + Sync + Unpin + fmt::Debug + 'static>(_: &T) {}
    fn future<T: Send + fmt::Debug + 'static>(_: T) {}

    let layer = on().named("auto").key(|head| Some(head.uri.path().to_owned()));
    all(&layer);
    all(&layer.handle());
    all(&FaultLayer::new(Faults::new()).typed().key(|n: &u8| Some(n.to_string())));
    let (http, _handle) = mock::pair::<Request<()>, Response<Full<Bytes>>>();
    let service = layer.layer(http);
    fn only_service<T: Clone + Send + Sync + 'static>(_: &T) {}
    only_service(&service);
    let mut service = layer.layer(service_fn(well));
    future(service.call(request(&[])));
    let mut typed = on().typed().layer(service_fn(|n: u8| ready(Ok::<_, BoxError>(n))));
    future(typed.call(1));

    // No more is asked of a service than of `Service`.
    #[derive(Debug)]
    struct NotClone;
    let service: FaultService<NotClone> = on().named("bare").layer(NotClone);
    assert_eq!(format!("{service:?}"), "FaultService { inner: NotClone, name: Some(\"bare\"), .. }");
    let NotClone = service.into_inner();
}

#[tokio::test]
async fn what_is_switched_off_does_nothing() {
    let told = catch_unwind(|| FaultLayer::new(Faults::new().with(Fault::error()))).unwrap_err();
    let told: &&str = told.downcast_ref().unwrap();
    assert!(told.contains("not enabled"), "{told}");

    for faults in [Faults::new(), Faults::default(), Faults::new().enabled(true).enabled(false)] {
        let layer = FaultLayer::new(faults);
        let handle = layer.handle();
        let refused = handle.inject(Fault::error()).unwrap_err();
        assert_eq!(refused.to_string(), "faults are not enabled on this layer");
        // The switch of another value is not looked at.
        let value = Faults::new().enabled(true).with(Fault::error());
        assert_eq!(handle.update(value), Err(refused));
        assert_eq!(handle.update(Faults::new().enabled(true)), Ok(()));
        assert_eq!(handle.inject(Fault::error()), Err(refused), "it is off for good");
        assert!(handle.faults().is_empty());
        assert!(ends_well(&layer, request(&[])).await);
    }
}

#[tokio::test]
async fn a_share_repeats_from_its_seed() {
    let faults = |seed| Faults::new().enabled(true).seed(seed).with(Fault::error().share(0.3));
    let layer = FaultLayer::new(faults(7));
    let first = hits(&layer, 1000).await;
    assert_eq!(first.iter().filter(|hit| **hit).count(), 317, "exact for a seed");
    assert_eq!(layer.handle().snapshot().errors, 317);
    assert_eq!(hits(&FaultLayer::new(faults(7)), 1000).await, first);
    assert_ne!(hits(&FaultLayer::new(faults(8)), 1000).await, first);
    // New values begin the dice anew, and keep what was counted.
    layer.handle().update(faults(7)).unwrap();
    assert_eq!(hits(&layer, 1000).await, first);
    assert_eq!(layer.handle().snapshot().errors, 2 * 317);

    // Calls that a fault does not concern throw no dice.
    let (name, yes) = (CANARY, HeaderValue::from_static("yes"));
    let layer = FaultLayer::new(
        Faults::new().enabled(true).seed(7).with(Fault::error().share(0.3).header(name, yes)),
    );
    for hit in first {
        assert!(ends_well(&layer, request(&[])).await);
        assert_eq!(ends_well(&layer, request(&[(CANARY, "yes")])).await, !hit);
    }
}

#[tokio::test]
async fn a_header_or_a_key_chooses() {
    let layer = on().key(|head| head.headers.get("x-tenant")?.to_str().ok().map(str::to_owned));
    let handle = layer.handle();
    let tenant = HeaderName::from_static("x-tenant");
    let check = async |canary: &'static str, name: &'static str, well: bool| {
        let headers = [(CANARY, canary), (tenant.clone(), name)];
        assert_eq!(ends_well(&layer, request(&headers)).await, well, "{canary} {name}");
    };
    let canary = Fault::error().header(CANARY, HeaderValue::from_static("yes"));
    let id = handle.inject(canary.clone()).unwrap();
    check("yes", "a", false).await;
    check("no", "a", true).await;
    handle.lift(id);
    let id = handle.inject(Fault::error().key("a")).unwrap();
    check("no", "a", false).await;
    check("no", "b", true).await;
    handle.lift(id);
    handle.inject(canary.key("a")).unwrap();
    check("yes", "a", false).await;
    check("yes", "b", true).await;
    check("no", "a", true).await;

    // Without a function, and without headers, there is nobody to hit.
    let layer = FaultLayer::new(Faults::new().enabled(true).with(Fault::error().key("a")));
    assert!(ends_well(&layer, request(&[(tenant, "a")])).await);
    let inner = || service_fn(|n: u8| ready(Ok::<_, BoxError>(n)));
    let typed = on().typed().key(|n: &u8| Some(format!("number {n}")));
    typed.handle().inject(Fault::error().key("number 3")).unwrap();
    assert!(typed.layer(inner()).oneshot(2).await.is_ok());
    assert!(typed.layer(inner()).oneshot(3).await.is_err());
    typed.handle().clear();
    typed.handle().inject(Fault::error().header(CANARY, HeaderValue::from_static("yes"))).unwrap();
    assert!(typed.layer(inner()).oneshot(3).await.is_ok());
}

#[tokio::test]
async fn a_key_may_use_the_handle_and_is_asked_for_only_when_needed() {
    let layer = on();
    let handle = layer.handle();
    let layer = {
        let handle = handle.clone();
        // It would wait for itself if a lock were held.
        layer.key(move |_| Some(handle.faults().len().to_string()))
    };
    handle.inject(Fault::error().key("1")).unwrap();
    assert!(!ends_well(&layer, request(&[])).await);

    let layer = on().key(|_| panic!("nobody asked for a key"));
    layer.handle().inject(Fault::error().share(0.0)).unwrap();
    assert!(ends_well(&layer, request(&[])).await);
}

#[tokio::test(start_paused = true)]
async fn a_fault_has_its_time_from_its_injection_on() {
    let layer = on().named("windowed");
    let state = || registry::handles().into_iter().find(|known| known.name() == "windowed").unwrap().state();
    let handle = layer.handle();
    assert_eq!(state(), "idle");
    tokio::time::advance(100 * S).await;
    handle.inject(Fault::error().after(10 * S).lasting(5 * S)).unwrap();
    assert!(ends_well(&layer, request(&[])).await);
    assert_eq!((handle.faults().len(), state()), (1, "active"), "it is to come");
    for (later, well) in [(9, true), (1, false), (4, false)] {
        tokio::time::advance(later * S).await;
        assert_eq!(ends_well(&layer, request(&[])).await, well, "{later} s later");
    }
    tokio::time::advance(S).await;
    // Nobody has called in the meantime.
    assert_eq!((state(), handle.snapshot().faults, handle.faults()), ("idle", 0, Vec::new()));
    assert!(ends_well(&layer, request(&[])).await);
    assert_eq!(handle.snapshot().errors, 2);

    let never = Fault::error().after(Duration::MAX).lasting(Duration::MAX);
    let always = Fault::reset().after(S).lasting(Duration::MAX);
    let nothing = Fault::hang().lasting(Duration::ZERO);
    for fault in [never, always, nothing] {
        handle.inject(fault).unwrap();
    }
    tokio::time::advance(1_000_000 * S).await;
    assert!(ends_well(&layer, request(&[])).await, "a reset has a head");
    assert_eq!((handle.snapshot().reset, handle.snapshot().errors, handle.snapshot().hung), (1, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_handle_steers_the_calls_that_begin_from_now_on() {
    let layer = on();
    let handle = layer.handle();
    let inner = service_fn(|req: Request<()>| async {
        tokio::time::sleep(S).await;
        well(req).await
    });
    let mut service = layer.layer(inner);

    // What is on its way when a fault comes is not hit.
    let before = spawn_call(&mut service);
    let slow = handle.inject(Fault::delay(10 * S)).unwrap();
    let hang = handle.inject(Fault::hang().share(1.0)).unwrap();
    assert_ne!(slow, hang);
    assert_eq!(before.await.unwrap(), StatusCode::OK);

    // What was hit goes on as it was hit.
    let hanging = spawn_call(&mut service);
    assert!(handle.lift(hang));
    assert!(!handle.lift(hang), "it is gone");
    let started = Instant::now();
    let slowed = spawn_call(&mut service);
    handle.clear();
    assert!(handle.faults().is_empty() && !handle.lift(slow));
    assert_eq!(spawn_call(&mut service).await.unwrap(), StatusCode::OK);
    assert_eq!(Instant::now() - started, S);
    assert_eq!(slowed.await.unwrap(), StatusCode::OK);
    assert_eq!(Instant::now() - started, 11 * S);
    assert!(!hanging.is_finished());
    hanging.abort();

    handle.inject(Fault::hang()).unwrap();
    let value = Faults::new().with(Fault::error()).with(Fault::grpc(5));
    handle.update(value).unwrap();
    let faults: Vec<_> = handle.faults().into_iter().map(|(_, fault)| fault).collect();
    assert_eq!(faults, [Fault::error(), Fault::grpc(5)]);
    assert_eq!(spawn_call(&mut service).await.unwrap(), StatusCode::INTERNAL_SERVER_ERROR, "the first wins");
    let (first, _) = handle.faults().remove(0);
    assert!(first > hang, "ids are not used again");
    handle.lift(first);
    assert_eq!(spawn_call(&mut service).await.unwrap(), StatusCode::NOT_FOUND);
}

fn spawn_call<S>(service: &mut S) -> tokio::task::JoinHandle<StatusCode>
where
    S: Service<Request<()>, Error = Infallible>,
    S::Future: Future<Output = Result<S::Response, Infallible>> + Send + 'static,
    S::Response: Status,
{
    let call = service.call(request(&[]));
    tokio::spawn(async { call.await.unwrap().status() })
}

trait Status {
    fn status(&self) -> StatusCode;
}

impl<B> Status for Response<B> {
    fn status(&self) -> StatusCode {
        Self::status(self)
    }
}

#[tokio::test]
async fn a_named_layer_is_found_in_the_registry() {
    let find = || registry::handles().into_iter().find(|known| known.name() == "listed");
    let layer = on().named("listed").named("second");
    let known = find().unwrap();
    assert_eq!((known.layer(), known.state(), layer.handle().name()), ("fault", "idle", Some("listed")));
    layer.handle().inject(Fault::error()).unwrap();
    assert!(!ends_well(&layer, request(&[])).await);
    assert_eq!(known.state(), "active");
    let mut shown = Vec::new();
    known.numbers(&mut |name, number| shown.push((name, number)));
    assert!(shown.contains(&("faults", 1.0)) && shown.contains(&("errors", 1.0)), "{shown:?}");
    let off = FaultLayer::new(Faults::new()).named("listed as off");
    assert_eq!(
        registry::handles().iter().find(|known| known.name() == "listed as off").unwrap().state(),
        "off"
    );
    drop((off, known, layer));
    assert!(find().is_none());
}

#[tokio::test(start_paused = true)]
async fn every_number_is_of_something_that_happens_and_all_faults_are_cleared_by_the_registry() {
    let layer = on().named("every");
    let known = registry::handles().into_iter().find(|known| known.name() == "every").unwrap();
    let dead = || {
        let mut dead = Vec::new();
        known.numbers(&mut |name, number| dead.extend((number == 0.0).then_some(name)));
        dead
    };
    for (fault, ought) in [
        (Fault::delay(S), "delayed"),
        (Fault::error(), "errors"),
        (Fault::hang(), "hung"),
        (Fault::reset(), "reset"),
        (Fault::panic(), "panicked"),
        (Fault::lose_reply(), "replies_lost"),
        (Fault::truncate(1), "truncated"),
        (Fault::drip(std::num::NonZeroUsize::MIN, S), "dripped"),
    ] {
        assert!(dead().contains(&ought), "{ought}");
        let id = layer.handle().inject(fault).unwrap();
        let service = layer.layer(service_fn(well));
        let call = tokio::spawn(service.oneshot(request(&[])));
        let _how_it_ends = tokio::time::timeout(2 * S, call).await;
        layer.handle().lift(id);
        assert!(!dead().contains(&ought), "{ought}");
    }
    assert_eq!((dead(), known.verbs()), (vec!["faults"], &["clear"][..]));
    layer.handle().inject(Fault::error()).unwrap();
    assert_eq!((dead(), known.state()), (Vec::new(), "active"));
    assert!(known.act("reset").is_err());
    known.act("clear").unwrap();
    assert_eq!((dead(), known.state()), (vec!["faults"], "idle"));
}
