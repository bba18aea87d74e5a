//! Rows B16 to B19, B28, B29, B36, B37 and B43: while it is open, and for how long.

use crate::{half_open, pause, trip};
use bartizan_breaker::{Cause, Pause, State};
use bartizan_core::Kind;
use conformance::{F, REFERENCE, S, in_every_mode, secs};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn b16_open_rejects_without_touching_inner() {
    in_every_mode(REFERENCE, async |rig| {
        trip(rig).await;
        let (before, polls, calls) = (rig.snapshot(), rig.tally().ready_polls(), rig.tally().calls());
        for _ in 0..1000 {
            assert!(rig.call(F).await.is_err());
        }
        assert_eq!((rig.tally().ready_polls(), rig.tally().calls()), (polls, calls));
        let after = rig.snapshot();
        assert_eq!((after.refused, after.failures), (1000, 5));
        assert_eq!(after.failure_window, before.failure_window);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b17_open_rejects_though_inner_never_ready() {
    in_every_mode(REFERENCE, async |rig| {
        trip(rig).await;
        rig.tally().set_never_ready(true);
        let refused = rig.start(S).unwrap_err();
        assert_eq!(refused.layer(), "breaker");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b18_rejection_tells_when() {
    in_every_mode(REFERENCE, async |rig| {
        trip(rig).await;
        rig.at(secs(3.0)).await;
        let refused = rig.call(S).await.unwrap_err();
        assert_eq!(
            (refused.layer(), refused.name(), refused.kind()),
            ("breaker", Some("rig"), Kind::Unavailable)
        );
        assert_eq!((refused.reason(), refused.reached()), ("open: failure ratio", false));
        assert_eq!(refused.retry_after(), Some(secs(2.0)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b19_half_open_at_the_edge() {
    in_every_mode(REFERENCE, async |rig| {
        trip(rig).await;
        rig.at(secs(5.0) - Duration::from_nanos(1)).await;
        let refused = rig.call(S).await.unwrap_err();
        assert_eq!((refused.retry_after(), rig.state()), (Some(Duration::from_nanos(1)), State::Open));
        rig.at(secs(5.0)).await;
        rig.play(&[S]).await;
        assert_eq!(rig.state(), State::HalfOpen);
        assert_eq!(rig.events(), ["closed > open: failure ratio", "open > half-open"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b28_pause_escalates_and_resets() {
    in_every_mode(REFERENCE, async |rig| {
        trip(rig).await;
        assert_eq!(pause(rig), (5.0, Some(Cause::FailureRatio)));
        rig.at(secs(5.0)).await;
        rig.play(&[F; 4]).await;
        assert_eq!(pause(rig), (10.0, Some(Cause::Probe)));
        rig.at(secs(15.0)).await;
        rig.play(&[F; 4]).await;
        assert_eq!(pause(rig), (20.0, Some(Cause::Probe)));
        rig.at(secs(35.0)).await;
        rig.play(&[S; 4]).await;
        assert_eq!(rig.state(), State::Closed);
        trip(rig).await;
        assert_eq!(pause(rig), (5.0, Some(Cause::FailureRatio)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b29_pause_list_runs_out() {
    let list = Pause::new().jitter(0.0).list(&[secs(5.0), secs(20.0)]);
    in_every_mode(REFERENCE.pause(list), async |rig| {
        trip(rig).await;
        let mut time = 0.0;
        for ought in [5.0, 20.0, 20.0, 20.0, 20.0] {
            assert_eq!(pause(rig).0, ought, "at {time} s");
            time += ought;
            rig.at(secs(time)).await;
            rig.play(&[F; 4]).await;
        }
        assert_eq!(pause(rig).0, 20.0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b36_timed_manual_open() {
    in_every_mode(REFERENCE, async |rig| {
        rig.handle().force_open_for(2 * HOUR);
        rig.at(HOUR).await;
        let refused = rig.call(S).await.unwrap_err();
        assert_eq!((refused.reason(), refused.retry_after()), ("open: forced", Some(HOUR)));
        rig.at(2 * HOUR).await;
        rig.play(&[S]).await;
        assert_eq!((rig.state(), rig.reached()), (State::HalfOpen, 1));
    })
    .await;
}

/// There is no timer: who first reads or calls after the pause makes the change and its event.
#[tokio::test(start_paused = true)]
async fn b37_automatic_half_open() {
    in_every_mode(REFERENCE, async |rig| {
        trip(rig).await;
        rig.at(secs(5.0)).await;
        assert_eq!(rig.events().len(), 1, "nobody has looked yet");
        assert_eq!((rig.state(), rig.state()), (State::HalfOpen, State::HalfOpen));
        assert_eq!(rig.events(), ["closed > open: failure ratio", "open > half-open"]);
        assert_eq!(rig.reached(), 5);
    })
    .await;
    in_every_mode(REFERENCE, async |rig| {
        trip(rig).await;
        rig.at(secs(3.0)).await;
        rig.handle().force_open();
        rig.at(secs(5.0)).await;
        assert!(rig.call(S).await.is_err());
        assert_eq!(rig.state(), State::ForcedOpen);
        assert_eq!(rig.events(), ["closed > open: failure ratio", "open > forced open: forced"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b43_rejection_does_not_feed_itself() {
    in_every_mode(REFERENCE, async |rig| {
        trip(rig).await;
        for tenth in 0..10 {
            rig.at(secs(0.1 * f64::from(tenth))).await;
            for _ in 0..100 {
                assert!(rig.call(F).await.is_err());
            }
        }
        assert_eq!((rig.snapshot().failures, rig.snapshot().refused), (5, 1000));
        rig.at(secs(1.0)).await;
        assert_eq!(pause(rig).0, 4.0);
        rig.at(secs(5.0)).await;
        rig.play(&[S; 4]).await;
        assert_eq!(rig.state(), State::Closed);
    })
    .await;
    in_every_mode(REFERENCE, async |rig| {
        half_open(rig).await;
        let probes: Vec<_> = (0..4).map(|_| rig.start(S).unwrap()).collect();
        for _ in 0..1000 {
            assert!(rig.call(F).await.is_err());
        }
        probes.into_iter().for_each(conformance::Started::end);
        assert_eq!((rig.state(), rig.snapshot().failures), (State::Closed, 5));
    })
    .await;
}
