//! Rows B20 to B27: half-open.

use crate::sharing::in_threads;
use crate::{half_open, trip};
use bartizan_breaker::{BreakerLayer, Cause, Counts, State};
use bartizan_core::Refused;
use conformance::{F, I, P, Probe, REFERENCE, RULELESS, S, T, in_every_mode, secs};
use std::future::{pending, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Barrier;
use std::task::Poll;
use std::time::Duration;
use tower::{Layer, ServiceExt};

#[tokio::test(start_paused = true)]
async fn b20_exactly_n_probes() {
    in_every_mode(REFERENCE, async |rig| {
        half_open(rig).await;
        let started: Vec<_> = (0..6).map(|_| rig.start(S)).collect();
        let admitted: Vec<bool> = started.iter().map(Result::is_ok).collect();
        assert_eq!(admitted, [true, true, true, true, false, false]);
        let refused = started[5].as_ref().unwrap_err();
        assert_eq!((refused.layer(), refused.reason()), ("breaker", "half-open: probing"));
        assert_eq!((rig.tally().running(), rig.reached()), (4, 5 + 4));
        let seen = rig.snapshot();
        assert_eq!((seen.refused, seen.failures, seen.state), (2, 5, State::HalfOpen));
    })
    .await;
}

#[test]
fn b20_exactly_n_probes_for_threads() {
    for round in 0..500 {
        let layer = BreakerLayer::new(RULELESS.start_open(true).open_for(Duration::ZERO)).typed();
        let service = layer.layer(Probe::new(|()| pending::<Result<(), Refused>>()));
        let all_have_called = Barrier::new(8);
        let admitted = in_threads(8, |_| {
            let mut call = pin!(service.clone().oneshot(()));
            let pending = poll_once(call.as_mut()).is_pending();
            all_have_called.wait();
            pending
        });
        let admitted = admitted.into_iter().filter(|admitted| *admitted).count();
        assert_eq!((admitted, layer.handle().snapshot().refused), (4, 4), "round {round}");
    }
}

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    let mut future = Some(future);
    conformance::at_once(poll_fn(|cx| Poll::Ready(future.take().expect("polled once").poll(cx))))
}

#[tokio::test(start_paused = true)]
async fn b21_good_probes_close() {
    in_every_mode(REFERENCE, async |rig| {
        half_open(rig).await;
        rig.play(&[F, S, S]).await;
        assert_eq!(rig.state(), State::HalfOpen);
        rig.play(&[S]).await;
        let (seen, empty) = (rig.snapshot(), Some(Counts::default()));
        assert_eq!((seen.state, seen.failure_window, seen.slow_window), (State::Closed, empty, empty));
        assert_eq!(rig.events()[1..], ["open > half-open", "half-open > closed"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b22_bad_probes_reopen() {
    for round in [[F, F, S, F], [T, T, S, F], [F, S, S, T]] {
        in_every_mode(REFERENCE, async |rig| {
            half_open(rig).await;
            rig.play(&round[..3]).await;
            assert_eq!(rig.state(), State::HalfOpen);
            rig.play(&round[3..]).await;
            assert_eq!((rig.state(), rig.snapshot().cause), (State::Open, Some(Cause::Probe)), "{round:?}");
            assert_eq!(rig.events()[1..], ["open > half-open", "half-open > open: probe failed"]);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn b23_slow_probes_reopen() {
    let slow = S.lasting(secs(5.0));
    in_every_mode(REFERENCE.start_open(true), async |rig| {
        rig.at(secs(5.0)).await;
        rig.play(&[slow, slow, S]).await;
        assert_eq!(rig.state(), State::HalfOpen);
        rig.play(&[slow]).await;
        let seen = rig.snapshot();
        assert_eq!((seen.state, seen.failures, seen.slow), (State::Open, 0, 3));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b24_strict_probe_mode() {
    in_every_mode(REFERENCE.strict_probes(true), async |rig| {
        half_open(rig).await;
        rig.play(&[S, S, F]).await;
        assert_eq!(rig.state(), State::Open);
        assert!(rig.call(S).await.is_err());
        assert_eq!(rig.reached(), 5 + 3, "the fourth place was never used");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b25_ignored_outcome_gives_the_slot_back() {
    in_every_mode(REFERENCE, async |rig| {
        half_open(rig).await;
        rig.play(&[I; 7]).await;
        assert_eq!(rig.state(), State::HalfOpen);
        rig.play(&[S; 3]).await;
        assert_eq!(rig.state(), State::HalfOpen);
        rig.play(&[S]).await;
        assert_eq!((rig.state(), rig.reached()), (State::Closed, 5 + 7 + 4));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b26_cancelled_probe_gives_the_slot_back() {
    in_every_mode(REFERENCE.probes(1), async |rig| {
        half_open(rig).await;
        for _ in 0..10 {
            drop(rig.start(F).unwrap());
        }
        let probe = rig.start(S).unwrap();
        assert!(rig.start(S).is_err(), "the one place is taken");
        probe.end();
        assert_eq!((rig.state(), rig.snapshot().failures), (State::Closed, 5));
    })
    .await;
}

/// A probe that hangs gives its place back when its lease is over; what becomes of it later counts as nothing.
#[tokio::test(start_paused = true)]
async fn b26_hung_probe_gives_the_slot_back() {
    in_every_mode(REFERENCE.probes(1), async |rig| {
        half_open(rig).await;
        let hung = rig.start(F).unwrap();
        rig.at(secs(14.999)).await;
        assert!(rig.start(S).is_err());
        rig.at(secs(15.0)).await;
        let next = rig.start(S).unwrap();
        hung.end();
        assert_eq!((rig.state(), rig.snapshot().failures), (State::HalfOpen, 5));
        next.end();
        assert_eq!(rig.state(), State::Closed);
    })
    .await;
}

/// A probe that panics has failed, and its panic goes on.
#[tokio::test(start_paused = true)]
async fn b26_panicking_probe_gives_the_slot_back() {
    in_every_mode(REFERENCE.probes(1), async |rig| {
        half_open(rig).await;
        assert!(std::panic::catch_unwind(AssertUnwindSafe(|| conformance::at_once(rig.call(P)))).is_err());
        assert_eq!((rig.state(), rig.snapshot().failures), (State::Open, 6));
        rig.at(secs(15.0)).await;
        rig.play(&[S]).await;
        assert_eq!(rig.state(), State::Closed);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b27_counters_fresh_after_close() {
    in_every_mode(REFERENCE, async |rig| {
        let mut late = vec![rig.start(F).unwrap()];
        trip(rig).await;
        rig.at(secs(5.0)).await;
        late.push(rig.start(F).unwrap());
        rig.play(&[F, S, S]).await;
        assert!(rig.start(S).is_err(), "a call from before the trip is no probe");
        drop(late.pop());
        late.extend([rig.start(F).unwrap()]);
        late.pop().unwrap().end();
        assert_eq!(rig.state(), State::Open, "two of four failed");

        rig.at(secs(15.0)).await;
        rig.play(&[F, S, S, S, S]).await;
        late.into_iter().for_each(conformance::Started::end);
        let seen = rig.snapshot();
        assert_eq!((seen.state, seen.failure_window), (State::Closed, Some(Counts { requests: 1, bad: 0 })));
        assert_eq!(seen.failures, 5 + 2 + 1, "a verdict from before the trip comes too late");
    })
    .await;
}
