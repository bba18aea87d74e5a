//! Rows F07 and F08: above a service that is not ready, and with a deadline around and inside.

use crate::{get, http, layer, read, typed};
use bartizan_breaker::{BreakerLayer, State};
use bartizan_core::{Instant, Refused};
use bartizan_deadline::DeadlineLayer;
use bartizan_fallback::{Degraded, Fallback, FallbackLayer, Outcome};
use conformance::{Call, F, Mode, REFERENCE, S, at_once, secs};
use http::{Request, Response};
use std::time::Duration;
use tokio::time::sleep;
use tower::{BoxError, Layer};

#[tokio::test(start_paused = true)]
async fn f07_ready_without_inner() {
    for mode in Mode::ALL {
        let breaker = BreakerLayer::new(REFERENCE);
        let open = breaker.handle();
        open.force_open();
        let probe = http();
        let tally = probe.tally();
        let mut service = layer().value(Response::new("instead")).layer(breaker.layer(probe));
        let response = at_once(mode.call(&mut service, get(S))).unwrap();
        let failure = response.extensions().get::<Degraded>().unwrap().failure();
        assert_eq!(failure.refused().map(Refused::reason), Some("forced open"));
        assert_eq!(read(response).await, "instead");
        assert_eq!((tally.ready_polls(), tally.calls()), (0, 0), "it is untouched");

        open.reset();
        assert_eq!(open.state(), State::Closed);
        assert_eq!(read(mode.call(&mut service, get(S)).await.unwrap()).await, "success");
    }
}

#[tokio::test(start_paused = true)]
async fn f07_ready_without_an_inner_service_that_is() {
    for mode in Mode::ALL {
        let probe = http();
        let tally = probe.tally();
        let mut service = layer().value(Response::new("instead")).layer(probe);
        tally.set_never_ready(true);
        for _ in 0..3 {
            let response = at_once(mode.call(&mut service, get(S))).unwrap();
            let failure = response.extensions().get::<Degraded>().unwrap().failure();
            assert_eq!(failure.outcome(), Outcome::Unready);
        }
        assert_eq!(tally.calls(), 0, "it is untouched");

        // A write is not answered in its place, and not lost either: it waits.
        let post = || Request::post("/").body(S).unwrap();
        let mut write = Box::pin(mode.start(&mut service, post).await.unwrap());
        let cx = &mut std::task::Context::from_waker(std::task::Waker::noop());
        assert!(write.as_mut().poll(cx).is_pending());
        tally.set_never_ready(false);
        assert_eq!(read(write.await.unwrap()).await, "success");
        assert_eq!(tally.calls(), 1);

        // As soon as it is ready it is called.
        assert_eq!(read(at_once(mode.call(&mut service, get(S))).unwrap()).await, "success");
    }
}

const MS: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn f08_inside_the_deadline() {
    for mode in Mode::ALL {
        let slow = layer().call(async |_| {
            sleep(100 * MS).await;
            Response::new("instead")
        });
        let handle = slow.handle();
        let mut service = DeadlineLayer::new(40 * MS).layer(slow.layer(http()));
        let before = Instant::now();
        let response = mode.call(&mut service, get(F)).await.unwrap();
        assert_eq!(response.extensions().get::<Refused>().unwrap().reason(), "deadline passed");
        assert_eq!(Instant::now() - before, 40 * MS);
        assert_eq!((handle.snapshot().in_flight, response.status().as_u16()), (0, 504));

        let slow = FallbackLayer::new(Fallback::new()).typed(|_: &Call| true).call(async |_| {
            sleep(100 * MS).await;
            Ok::<_, BoxError>("instead")
        });
        let mut service = DeadlineLayer::new(40 * MS).typed().layer(slow.layer(typed()));
        let before = Instant::now();
        let error = mode.call(&mut service, || F).await.unwrap_err();
        assert_eq!(error.downcast_ref::<Refused>().unwrap().reason(), "deadline passed");
        assert_eq!(Instant::now() - before, 40 * MS);
    }
}

/// The other way round: the deadline of the call is what the fallback takes the place of.
#[tokio::test(start_paused = true)]
async fn f08_around_the_deadline() {
    for mode in Mode::ALL {
        let probe = http();
        let tally = probe.tally();
        let inner = DeadlineLayer::new(40 * MS).layer(probe);
        let mut service = layer().value(Response::new("instead")).layer(inner);
        let before = Instant::now();
        let response = mode.call(&mut service, get(S.lasting(secs(10.0)))).await.unwrap();
        assert_eq!(Instant::now() - before, 40 * MS);
        let failure = response.extensions().get::<Degraded>().unwrap().failure();
        assert_eq!(
            failure.refused().map(|refused| (refused.layer(), refused.reached())),
            Some(("deadline", true))
        );
        assert_eq!((read(response).await.as_str(), tally.running()), ("instead", 0));
    }
}
