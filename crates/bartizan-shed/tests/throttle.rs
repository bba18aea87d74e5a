//! Behaviour of the throttle through its layer.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_core::{Attempt, Classify, Context, Kind, Priority, Refused, Step, Verdict, find_cause};
use bartizan_shed::throttle::{Handle, State, Window};
use bartizan_shed::{Mode, Throttle, ThrottleLayer};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::advance;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);

/// What the server says to a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Say {
    Yes,
    /// It refuses.
    No,
    Fail,
    Ignore,
}

use Say::{Fail, Ignore, No, Yes};

/// Takes the error's text for the verdict.
#[derive(Clone, Copy, Debug)]
struct ByText;

impl Classify<Say> for ByText {
    type Attempt = Self;
    fn start(&self, _: &Say) -> Self {
        Self
    }
}

impl Attempt<(), BoxError> for ByText {
    type AtEnd = Infallible;
    fn classify(self, out: Result<&(), &BoxError>) -> Step<Infallible> {
        Step::Done(match out.map_err(ToString::to_string) {
            Ok(()) => Verdict::Success,
            Err(text) if text == "No" => Verdict::Throttled(None),
            Err(text) if text == "Fail" => Verdict::Failure,
            Err(_) => Verdict::Ignored,
        })
    }
}

/// Calls a clone that is ready.
fn at_once<S>(mut service: S) -> std::pin::Pin<Box<S::Future>>
where
    S: Service<Say, Response = (), Error = BoxError>,
{
    let ready = service.poll_ready(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    assert!(ready.is_ready());
    Box::pin(service.call(No))
}

async fn server(say: Say) -> Result<(), BoxError> {
    if say == Yes { Ok(()) } else { Err(format!("{say:?}").into()) }
}

/// A throttled server, and the handle of its throttle.
fn throttled(value: Throttle) -> (impl Service<Say, Response = (), Error = BoxError> + Clone, Handle) {
    let layer = ThrottleLayer::new(value.seed(1)).typed().classify(ByText);
    let handle = layer.handle();
    (layer.layer(service_fn(server)), handle)
}

/// Calls clones so often, and counts the calls that the throttle refused.
async fn call<S>(service: &S, calls: usize, say: Say) -> usize
where
    S: Service<Say, Response = (), Error = BoxError> + Clone,
{
    let mut rejected = 0;
    for _ in 0..calls {
        if let Err(error) = service.clone().oneshot(say).await {
            rejected += usize::from(find_cause::<Refused>(&*error).is_some());
        }
    }
    rejected
}

fn counted(window: Window) -> (u64, u64) {
    (window.requests, window.accepts)
}

#[tokio::test(start_paused = true)]
async fn a_server_that_accepts_little_is_asked_for_twice_of_that() {
    let (service, handle) = throttled(Throttle::new().max_rejection(1.0));
    // It accepts ten a second, and is asked for a hundred.
    let (mut asked, mut rejected) = (0_i32, 0);
    for second in 0..120 {
        let mut accepts = 10;
        for _ in 0..100 {
            let say = if accepts > 0 { Yes } else { No };
            let refused = call(&service, 1, say).await;
            accepts -= i32::from(refused == 0 && say == Yes);
            if second >= 60 {
                (asked, rejected) = (asked + 1, rejected + refused);
            }
        }
        advance(SECOND).await;
    }
    let reached = f64::from(asked - rejected as i32) / 60.0;
    assert!((18.0..22.0).contains(&reached), "{reached} a second");
    assert_eq!(handle.state(), State::Throttling);
}

#[tokio::test(start_paused = true)]
async fn only_refusals_count_against_the_server() {
    let (service, handle) = throttled(Throttle::new());
    call(&service, 50, Yes).await;
    assert_eq!(call(&service, 50, Fail).await, 0);
    assert_eq!(call(&service, 500, Ignore).await, 0);
    drop(service.clone().oneshot(No));
    assert_eq!(counted(handle.snapshot().normal), (100, 100));
    assert_eq!(handle.snapshot().throttled, 0);

    let (service, handle) = throttled(Throttle::new().failures(true));
    assert!(call(&service, 100, Fail).await > 50);
    assert_eq!(handle.snapshot().normal.accepts, 0);
}

#[tokio::test(start_paused = true)]
async fn own_refusals_count_as_requests_unless_told_otherwise() {
    let (service, handle) = throttled(Throttle::new());
    let rejected = call(&service, 100, No).await as u64;
    let seen = handle.snapshot();
    assert!((50..98).contains(&rejected), "{rejected}");
    assert_eq!((counted(seen.normal), seen.refused, seen.throttled), ((100, 0), rejected, 100 - rejected));

    let (service, handle) = throttled(Throttle::new().count_rejections(false));
    let rejected = call(&service, 100, No).await as u64;
    assert_eq!(
        (counted(handle.snapshot().normal), handle.snapshot().refused),
        ((100 - rejected, 0), rejected)
    );
}

#[tokio::test(start_paused = true)]
async fn the_window_forgets() {
    let (service, handle) = throttled(Throttle::new());
    call(&service, 100, No).await;
    assert_eq!(handle.snapshot().rejection(), 0.9);
    advance(SECOND * 53).await;
    assert_eq!(handle.snapshot().rejection(), 0.9);
    advance(SECOND * 7).await;
    assert_eq!((handle.state(), handle.snapshot().rejection()), (State::Passing, 0.0));
    assert_eq!(call(&service, 100, Yes).await, 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_accepted_is_forgotten_too() {
    let (service, handle) = throttled(Throttle::new());
    call(&service, 50, Yes).await;
    advance(SECOND * 30).await;
    call(&service, 50, No).await;
    assert_eq!(handle.snapshot().rejection(), 0.0);
    advance(SECOND * 30).await;
    assert!(call(&service, 20, Yes).await > 0, "of the last minute it accepted nothing");
}

#[tokio::test(start_paused = true)]
async fn priorities_are_counted_apart() {
    let (service, handle) = throttled(Throttle::new());
    let of = |priority| Context::new().with_priority(priority);
    of(Priority::SHEDDABLE).scope(call(&service, 100, No)).await;
    assert_eq!(of(Priority::CRITICAL).scope(call(&service, 100, Yes)).await, 0);
    assert_eq!(call(&service, 100, Yes).await, 0);
    assert!(of(Priority::new(200)).scope(call(&service, 100, Yes)).await > 0);
    let seen = handle.snapshot();
    assert_eq!([counted(seen.critical), counted(seen.normal)], [(100, 100); 2]);
    assert_eq!((seen.sheddable.requests, seen.critical.rejection), (200, 0.0));
}

#[tokio::test(start_paused = true)]
async fn shadow_refuses_nothing_and_disabled_counts_nothing() {
    let (service, handle) = throttled(Throttle::new().mode(Mode::Shadow));
    assert_eq!(call(&service, 100, No).await, 0);
    let seen = handle.snapshot();
    assert_eq!((counted(seen.normal), seen.state), ((100, 0), State::Throttling));
    assert!((50..98).contains(&seen.shadowed), "{}", seen.shadowed);
    assert_eq!(seen.refused, 0);

    handle.update(Throttle::new().enabled(false));
    assert_eq!((handle.state(), call(&service, 100, No).await), (State::Disabled, 0));
    assert_eq!(counted(handle.snapshot().normal), (100, 0));

    handle.update(Throttle::new());
    assert!(call(&service, 100, No).await > 50, "what was counted stays");
}

#[tokio::test(start_paused = true)]
async fn a_reset_forgets_everything_and_what_comes_late() {
    let (service, handle) = throttled(Throttle::new());
    call(&service, 100, No).await;
    // It is admitted when it is called, and done when it is polled.
    let mut calls: Vec<_> = (0..40).map(|_| at_once(service.clone())).collect();
    handle.reset();
    for call in &mut calls {
        assert!(call.await.is_err());
    }
    let seen = handle.snapshot();
    assert_eq!((counted(seen.normal), seen.rejection(), seen.state), ((0, 0), 0.0, State::Passing));
    assert_eq!(call(&service, 9, No).await, 0);
}

#[tokio::test(start_paused = true)]
async fn an_update_keeps_the_window_unless_its_length_changes() {
    let (service, handle) = throttled(Throttle::new());
    call(&service, 50, Yes).await;
    call(&service, 40, No).await;
    assert_eq!(handle.snapshot().rejection(), 0.0);
    handle.update(Throttle::new().k(1.0));
    assert_eq!(handle.snapshot().rejection(), 40.0 / 91.0);
    handle.update(Throttle::new().window(SECOND));
    assert_eq!(counted(handle.snapshot().normal), (0, 0));
}

#[test]
fn a_part_of_the_settings_is_changed_through_the_handle() {
    let shadow = Throttle::new().k(3.0).seed(1).mode(Mode::Shadow);
    let handle = ThrottleLayer::new(shadow).handle();
    handle.update(handle.value().mode(Mode::Normal));
    assert_eq!(handle.value(), shadow.mode(Mode::Normal));
    // The dice stay.
    handle.update(Throttle::new().seed(2));
    assert_eq!(handle.value(), Throttle::new().seed(1));
}

#[tokio::test(start_paused = true)]
async fn over_http_a_503_is_a_refusal() {
    let layer = ThrottleLayer::new(Throttle::new().seed(1)).named("payment");
    let handle = layer.handle();
    let service = layer.layer(service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::builder().status(503).body(Full::<Bytes>::default()).unwrap())
    }));
    let mut refusals = Vec::new();
    for _ in 0..100 {
        let response = service.clone().oneshot(Request::new(())).await.unwrap();
        assert_eq!(response.status(), 503);
        refusals.extend(response.extensions().get::<Refused>().cloned());
    }
    assert!(refusals.len() > 50, "{}", refusals.len());
    let refused = &refusals[0];
    assert_eq!(
        (refused.layer(), refused.name(), refused.kind()),
        ("throttle", Some("payment"), Kind::Unavailable)
    );
    assert_eq!((refused.reason(), refused.reached()), ("server refuses too much", false));
    assert_eq!(handle.snapshot().refused, refusals.len() as u64);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let field = |setting: Result<Throttle, bartizan_core::Invalid>| {
        let invalid = setting.unwrap_err();
        assert!(invalid.message().starts_with(invalid.field()));
        invalid.field()
    };
    for number in [f64::NAN, f64::INFINITY, -1.0] {
        assert_eq!(field(Throttle::new().try_k(number)), "k");
        assert_eq!(field(Throttle::new().try_accept_rate(number)), "accept_rate");
        assert_eq!(field(Throttle::new().try_max_rejection(number)), "max_rejection");
        assert_eq!(field(Throttle::new().try_aggression(number)), "aggression");
    }
    assert_eq!(field(Throttle::new().try_k(0.99)), "k");
    assert_eq!(field(Throttle::new().try_window(Duration::from_micros(999))), "window");
    assert!(Throttle::new().try_window(Duration::MAX).is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_longest_window_counts() {
    let (service, handle) = throttled(Throttle::new().window(Duration::MAX));
    call(&service, 100, No).await;
    advance(SECOND * 86_400 * 365).await;
    assert_eq!(handle.snapshot().rejection(), 0.9);
}
