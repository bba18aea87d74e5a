//! Rows B40 to B42, B48 and B49: how calls are judged.

use bartizan_breaker::{BreakerLayer, Handle, Snapshot, State};
use bartizan_core::{Attempt, Classify, Refused, Step, Verdict};
use bartizan_deadline::DeadlineLayer;
use bytes::Bytes;
use conformance::{
    F, Flavour, I, Mode, Probe, REFERENCE, Rig, S, Throttling, in_every_mode, in_every_mode_of, secs,
};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use tower::Layer;

/// A refusal by another layer comes as a 503 or as an error, either of which would be a failure: that it is ignored wins.
#[tokio::test(start_paused = true)]
async fn b40_ignore_beats_record() {
    in_every_mode(REFERENCE, async |rig| {
        rig.play(&[I; 100]).await;
        rig.play(&[F; 4]).await;
        rig.play(&[I; 100]).await;
        let seen = rig.snapshot();
        assert_eq!((seen.state, seen.failures, seen.failure_window.unwrap().requests), (State::Closed, 4, 4));
    })
    .await;
}

/// Judges answers that are numbers.
#[derive(Clone, Copy)]
struct FromFiveHundred;

impl<Req> Classify<Req> for FromFiveHundred {
    type Attempt = Self;
    fn start(&self, _: &Req) -> Self {
        Self
    }
}

impl<E> Attempt<u16, E> for FromFiveHundred {
    type AtEnd = Infallible;
    fn classify(self, out: Result<&u16, &E>) -> Step<Infallible> {
        Step::Done(if out.is_ok_and(|code| *code < 500) { Verdict::Success } else { Verdict::Failure })
    }
}

#[tokio::test(start_paused = true)]
async fn b41_response_can_be_a_failure() {
    let counts = |seen: Snapshot| (seen.successes, seen.failures);
    for mode in Mode::ALL {
        let layer = BreakerLayer::new(REFERENCE);
        let unavailable = |_: Request<()>| {
            let response = Response::builder().status(503).header("x-mark", "7").extension(7u8);
            ready(Ok::<_, Infallible>(response.body(Full::from("as it was")).unwrap()))
        };
        let answer = mode.call(&mut layer.layer(Probe::new(unavailable)), || Request::new(())).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers().len()), (503, 1));
        assert_eq!(
            (&answer.headers()["x-mark"], answer.extensions().get()),
            (&"7".parse().unwrap(), Some(&7u8))
        );
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), Bytes::from("as it was"));
        assert_eq!(counts(layer.handle().snapshot()), (0, mode.calls()));

        let layer = BreakerLayer::new(REFERENCE).typed().classify(FromFiveHundred);
        let mut service = layer.layer(Probe::new(|code| ready(Ok::<u16, Refused>(code))));
        assert_eq!(mode.call(&mut service, || 503).await, Ok(503));
        assert_eq!(counts(layer.handle().snapshot()), (0, mode.calls()));
        assert_eq!(mode.call(&mut service, || 404).await, Ok(404));
        assert_eq!(counts(layer.handle().snapshot()), (mode.calls(), mode.calls()));
    }
}

/// Counts how often it is asked about a request and about an answer, and looks at the breaker meanwhile.
#[derive(Clone)]
struct Counting {
    asked: Arc<[AtomicU64; 2]>,
    handle: Handle,
}

impl<Req> Classify<Req> for Counting {
    type Attempt = Self;
    fn start(&self, _: &Req) -> Self {
        self.asked[0].fetch_add(1, SeqCst);
        let _ = self.handle.snapshot();
        self.clone()
    }
}

impl<T, E> Attempt<T, E> for Counting {
    type AtEnd = Infallible;
    fn classify(self, _: Result<&T, &E>) -> Step<Infallible> {
        self.asked[1].fetch_add(1, SeqCst);
        let seen = (self.handle.state(), self.handle.snapshot().state);
        assert_eq!(seen.0, seen.1);
        Step::Done(Verdict::Success)
    }
}

#[tokio::test(start_paused = true)]
async fn b42_classified_once() {
    let asked = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let build = |flavour| {
        let layer = BreakerLayer::new(REFERENCE);
        let classify = Counting { asked: asked.clone(), handle: layer.handle() };
        match flavour {
            Flavour::Http => Rig::http(layer.handle(), |probe| layer.classify(classify).layer(probe)),
            Flavour::Typed => {
                Rig::typed(layer.handle(), |probe| layer.typed().classify(classify).layer(probe))
            }
        }
    };
    in_every_mode_of(build, async |rig| {
        asked.iter().for_each(|count| count.store(0, SeqCst));
        for _ in 0..25 {
            rig.play(&[S, F, I]).await;
            rig.start(S).unwrap().end();
        }
        assert_eq!(asked[0].load(SeqCst), rig.tally().calls(), "once for every call, a bystander's included");
        assert_eq!((asked[1].load(SeqCst), rig.snapshot().successes), (100, 100));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b48_caller_cancel_is_not_failure() {
    in_every_mode(REFERENCE, async |rig| {
        let calls: Vec<_> = (0..100).map(|_| rig.start(F).unwrap()).collect();
        assert_eq!(rig.tally().running(), 100);
        drop(calls);
        let seen = rig.snapshot();
        assert_eq!((seen.state, seen.failures, seen.successes), (State::Closed, 0, 0));
        assert_eq!((seen.failure_window.unwrap().requests, rig.tally().running()), (0, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b49_own_per_attempt_timeout_is_failure() {
    let build = |flavour| {
        let (layer, attempt) = (BreakerLayer::new(REFERENCE), DeadlineLayer::new(secs(1.0)));
        match flavour {
            Flavour::Http => Rig::http(layer.handle(), |probe| layer.layer(attempt.layer(probe))),
            Flavour::Typed => {
                let layer = layer.typed().classify(Throttling);
                Rig::typed(layer.handle(), |probe| layer.layer(attempt.typed().layer(probe)))
            }
        }
    };
    in_every_mode_of(build, async |rig| {
        for n in 1..=5 {
            let refused = rig.call(S.lasting(secs(3600.0))).await.unwrap_err();
            assert_eq!((refused.layer(), refused.reached()), ("deadline", true));
            assert_eq!(rig.snapshot().failures, n);
        }
        assert_eq!(rig.state(), State::Open);
        assert_eq!(rig.call(S).await.unwrap_err().layer(), "breaker");
    })
    .await;
}
