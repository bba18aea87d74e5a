//! A call that is not hedged allocates nothing of its own, and one that is answered at once has no timer.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_hedge::{Hedge, HedgeLayer};
use http::{Request, Response};
use std::convert::Infallible;
use std::future::ready;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;
use tower::{Layer, Service, service_fn};

/// Calls once, and returns how many allocations that took.
fn allocations<S: Service<Req> + Clone, Req>(service: &mut S, req: Req) -> u64 {
    // What all calls share is made with the first of them, or with the first clone.
    drop(service.clone());
    let measured = allocation_counter::measure(|| {
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(service.poll_ready(cx).is_ready());
        let mut call = pin!(service.call(req));
        while call.as_mut().poll(cx).is_pending() {}
    });
    measured.count_total
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_call_that_is_not_hedged_allocates_nothing() {
    let layer = || HedgeLayer::new(Hedge::new().delay(HOUR));
    let mut typed =
        layer().typed(|req: &u32| Some(*req)).layer(service_fn(|req: u32| ready(Ok::<_, Infallible>(req))));
    assert_eq!(allocations(&mut typed, 1), 0);
    let mut http = layer().layer(service_fn(|_| ready(Ok::<_, Infallible>(Response::new(String::new())))));
    assert_eq!(allocations(&mut http, Request::new(String::new())), 0);
    let mut late = layer().typed(|req: &u32| Some(*req)).layer(service_fn(|req: u32| async move {
        tokio::task::yield_now().await;
        Ok::<_, Infallible>(req)
    }));
    // The first one wakes the timers of the runtime up.
    allocations(&mut late, 1);
    assert_eq!(allocations(&mut late, 1), 0, "pending once, with a timer");
}

#[test]
fn a_call_that_is_answered_at_once_needs_no_timer() {
    // Outside of a runtime, a timer would panic.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let layer = runtime.block_on(async { HedgeLayer::new(Hedge::new().delay(HOUR)) });
    let mut typed =
        layer.typed(|req: &u32| Some(*req)).layer(service_fn(|req: u32| ready(Ok::<_, Infallible>(req))));
    assert_eq!(allocations(&mut typed, 1), 0);
}
