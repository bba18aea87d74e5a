//! What the layer counts, through its public face.

use bartizan_core::{Kind, Reason, Refused, registry};
use bartizan_meter::{Handle, Meter, MeterLayer, State};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Channel, Full};
use std::convert::Infallible;
use std::future::{pending, ready};
use std::time::Duration;
use tokio_test::{assert_pending, task};
use tower::{BoxError, Layer, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);
const OPEN: Reason = Reason::new("breaker", Kind::Unavailable, "open");

/// Successes, failures, throttled, ignored and abandoned.
fn outcomes(handle: &Handle) -> [u64; 5] {
    let seen = handle.snapshot();
    assert_eq!(
        seen.durations.count(),
        [seen.successes, seen.failures, seen.throttled, seen.ignored, seen.abandoned].iter().sum::<u64>()
    );
    [seen.successes, seen.failures, seen.throttled, seen.ignored, seen.abandoned]
}

fn answer(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

#[tokio::test]
async fn each_end_is_counted_once() {
    let layer = MeterLayer::new(Meter::new());
    let handle = layer.handle();
    let ask = async |response: Response<Full<Bytes>>| {
        let inner = service_fn(move |_: Request<()>| ready(Ok::<_, Infallible>(response.clone())));
        drop(layer.layer(inner).oneshot(Request::new(())).await);
    };
    ask(answer(StatusCode::OK)).await;
    ask(answer(StatusCode::NOT_FOUND)).await;
    assert_eq!(outcomes(&handle), [2, 0, 0, 0, 0]);
    ask(answer(StatusCode::BAD_GATEWAY)).await;
    ask(answer(StatusCode::TOO_MANY_REQUESTS)).await;
    let mut refused = answer(StatusCode::SERVICE_UNAVAILABLE);
    refused.extensions_mut().insert(Refused::new(&OPEN));
    ask(refused).await;
    assert_eq!(outcomes(&handle), [2, 1, 1, 1, 0]);

    let hangs = service_fn(|_: Request<()>| pending::<Result<Response<Full<Bytes>>, Infallible>>());
    let mut call = task::spawn(layer.layer(hangs).oneshot(Request::new(())));
    assert_pending!(call.poll());
    assert_eq!(handle.snapshot().in_flight, 1);
    drop(call);
    assert_eq!((outcomes(&handle), handle.snapshot().in_flight), ([2, 1, 1, 1, 1], 0));
}

#[tokio::test]
async fn a_panic_is_a_failure_and_goes_on() {
    let layer = MeterLayer::new(Meter::new());
    let panics = service_fn(|_: Request<()>| async {
        if true {
            panic!("played");
        }
        Ok::<_, Infallible>(answer(StatusCode::OK))
    });
    let service = layer.layer(panics);
    assert!(tokio::spawn(service.oneshot(Request::new(()))).await.is_err());
    assert_eq!((outcomes(&layer.handle()), layer.handle().snapshot().in_flight), ([0, 1, 0, 0, 0], 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_lasts_until_its_body_has_ended() {
    let layer = MeterLayer::new(Meter::new());
    let handle = layer.handle();
    let streams = service_fn(|_: Request<()>| async {
        tokio::time::advance(SECOND).await;
        let (mut sender, body) = Channel::<Bytes>::new(1);
        tokio::spawn(async move {
            tokio::time::sleep(2 * SECOND).await;
            sender.send_data(Bytes::from_static(b"slow")).await
        });
        Ok::<_, Infallible>(Response::new(body))
    });
    let response = layer.layer(streams).oneshot(Request::new(())).await.expect("an answer");
    assert_eq!((handle.snapshot().in_flight, handle.snapshot().durations.count()), (1, 0));
    response.into_body().collect().await.expect("a body");
    let seen = handle.snapshot();
    assert_eq!((seen.in_flight, seen.successes), (0, 1));
    let took = seen.durations.quantile(0.5).expect("one call");
    assert!(3 * SECOND <= took && took <= 4 * SECOND, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn typed_calls_are_judged_by_their_errors() {
    let layer = MeterLayer::new(Meter::new()).typed();
    let odd_fail = service_fn(|n: u32| async move {
        tokio::time::advance(SECOND).await;
        if n % 2 == 0 { Ok(n) } else { Err(BoxError::from("odd")) }
    });
    let service = layer.layer(odd_fail);
    for n in 0..5 {
        assert_eq!(service.clone().oneshot(n).await.is_ok(), n % 2 == 0);
    }
    assert_eq!(outcomes(&layer.handle()), [3, 2, 0, 0, 0]);
    assert!(layer.handle().snapshot().durations.quantile(0.0) >= Some(SECOND));
}

#[tokio::test]
async fn layers_made_of_one_count_together_and_inner_errors_pass() {
    let layer = MeterLayer::new(Meter::new()).typed();
    for _ in 0..3 {
        let fails = service_fn(|_: u32| async { Err::<(), _>(BoxError::from("broken")) });
        let error = layer.clone().layer(fails).oneshot(7).await.expect_err("it is broken");
        assert_eq!(error.to_string(), "broken");
    }
    assert_eq!(outcomes(&layer.handle()), [0, 3, 0, 0, 0]);
}

#[tokio::test]
async fn switched_off_it_counts_nothing_and_a_call_is_counted_as_it_began() {
    let layer = MeterLayer::new(Meter::new().enabled(false)).typed();
    let handle = layer.handle();
    let echo = || {
        layer.layer(service_fn(|n: u32| async move {
            tokio::task::yield_now().await;
            Ok::<_, BoxError>(n)
        }))
    };
    echo().oneshot(1).await.expect("an answer");
    assert_eq!((handle.state(), outcomes(&handle)), (State::Disabled, [0; 5]));

    let mut call = task::spawn(echo().oneshot(1));
    assert_pending!(call.poll());
    handle.update(Meter::new());
    call.await.expect("an answer");
    assert_eq!((handle.value(), outcomes(&handle)), (Meter::new(), [0; 5]));

    let mut call = task::spawn(echo().oneshot(1));
    assert_pending!(call.poll());
    handle.disable();
    call.await.expect("an answer");
    assert_eq!((handle.snapshot().in_flight, outcomes(&handle)), (0, [1, 0, 0, 0, 0]));
}

#[tokio::test]
async fn the_registry_shows_it_and_can_switch_it() {
    let layer = MeterLayer::new(Meter::new()).named("shown").named("second").typed();
    layer
        .layer(service_fn(|n: u32| async move { Ok::<_, BoxError>(n) }))
        .oneshot(1)
        .await
        .expect("an answer");
    let shown =
        registry::handles().into_iter().find(|known| known.name() == "shown").expect("it is registered");
    let mut numbers = Vec::new();
    shown.numbers(&mut |name, number| numbers.push((name, number)));
    assert_eq!(numbers[..2], [("in_flight", 0.0), ("successes", 1.0)]);
    let mut times = Vec::new();
    shown.times(&mut |name, times_of| times.push((name, times_of.count())));
    assert_eq!((shown.layer(), times), ("meter", vec![("duration_seconds", 1)]));
    assert_eq!((shown.act("disable"), shown.state()), (Ok(()), "disabled"));
    assert_eq!((shown.act("enable"), shown.state()), (Ok(()), "enabled"));
    assert_eq!(shown.act("reset"), Err(registry::UNKNOWN_VERB));
}

#[test]
fn it_may_go_anywhere() {
    fn anywhere<T: Clone + Send + Sync + 'static>(_: &T) {}
    let layer = MeterLayer::new(Meter::new());
    anywhere(&layer);
    anywhere(&layer.handle());
    anywhere(&layer.typed());
}
