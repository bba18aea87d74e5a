//! Rows B01 to B15, B38 and B39: when it opens.

use crate::pause;
use bartizan_breaker::{Cause, Consecutive, Counts, Pause, Ratio, State, Window};
use conformance::{Call, F, HALF, REFERENCE, RULELESS, S, T, in_every_mode, secs};
use std::time::Duration;

const TRIPPED: [&str; 1] = ["closed > open: failure ratio"];

/// Ends in the state after every call in turn.
async fn states(rig: &mut conformance::Rig, calls: &[Call]) -> Vec<State> {
    let mut states = Vec::new();
    for call in calls {
        rig.play(&[*call]).await;
        states.push(rig.state());
    }
    states
}

#[tokio::test(start_paused = true)]
async fn b01_starts_closed() {
    in_every_mode(REFERENCE, async |rig| assert_eq!(rig.state(), State::Closed)).await;
    in_every_mode(REFERENCE.start_open(true), async |rig| {
        assert_eq!((rig.state(), pause(rig)), (State::Open, (5.0, Some(Cause::Start))));
        rig.at(secs(4.999)).await;
        assert!(rig.call(S).await.is_err(), "it serves its pause");
        rig.at(secs(5.0)).await;
        rig.play(&[S]).await;
        assert_eq!(rig.state(), State::HalfOpen);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b02_no_verdict_before_minimum_calls() {
    in_every_mode(REFERENCE, async |rig| {
        rig.play(&[F; 4]).await;
        let seen = rig.snapshot();
        assert_eq!((seen.state, seen.failure_ratio, seen.slow_ratio), (State::Closed, None, None));
        assert_eq!(seen.failure_window, Some(Counts { requests: 4, bad: 4 }));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b03_trips_on_reaching_threshold() {
    in_every_mode(REFERENCE, async |rig| {
        rig.play(&[F, F, F, S]).await;
        assert_eq!((rig.state(), rig.events().len()), (State::Closed, 0));
        rig.play(&[S]).await;
        let seen = rig.snapshot();
        assert_eq!((seen.state, seen.failure_ratio), (State::Open, Some(0.6)), "a success evaluates as well");
        assert_eq!((seen.cause, seen.trips), (Some(Cause::FailureRatio), 1));
        assert_eq!(rig.events(), TRIPPED, "one event tells of the change and of the threshold");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b04_threshold_is_inclusive() {
    in_every_mode(REFERENCE.failure_ratio(HALF.min_requests(4)), async |rig| {
        rig.play(&[F, F, S, S]).await;
        let seen = rig.snapshot();
        assert_eq!((seen.state, seen.failure_ratio), (State::Open, Some(0.5)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b05_below_threshold() {
    in_every_mode(REFERENCE, async |rig| {
        rig.play(&[F, F, S, S, S]).await;
        let seen = rig.snapshot();
        assert_eq!((seen.state, seen.failure_ratio), (State::Closed, Some(0.4)));
        assert!(rig.events().is_empty());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b06_slow_calls_alone_trip() {
    let slow = S.lasting(secs(5.0));
    in_every_mode(REFERENCE, async |rig| {
        assert_eq!(states(rig, &[slow, S, slow, S]).await, [State::Closed; 4]);
        rig.play(&[slow]).await;
        let seen = rig.snapshot();
        assert_eq!((seen.state, seen.cause), (State::Open, Some(Cause::SlowRatio)));
        assert_eq!((seen.failure_ratio, seen.slow_ratio), (Some(0.0), Some(0.6)));
        assert_eq!(rig.events(), ["closed > open: slow ratio"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b07_slow_failure_counts_on_both_axes() {
    in_every_mode(REFERENCE, async |rig| {
        rig.play(&[F.lasting(secs(5.0))]).await;
        let (seen, once) = (rig.snapshot(), Some(Counts { requests: 1, bad: 1 }));
        assert_eq!((seen.failures, seen.slow, seen.successes), (1, 1, 0));
        assert_eq!((seen.failure_window, seen.slow_window), (once, once));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b08_slow_is_inclusive_at_the_limit() {
    in_every_mode(REFERENCE, async |rig| {
        rig.play(&[S.lasting(secs(3.999))]).await;
        assert_eq!(rig.snapshot().slow, 0);
        rig.play(&[S.lasting(secs(4.0))]).await;
        assert_eq!(rig.snapshot().slow, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b09_count_window_is_a_ring() {
    let all_of_five = Ratio::new(1.0).window(Window::calls(5));
    in_every_mode(RULELESS.failure_ratio(all_of_five), async |rig| {
        rig.play(&[F; 4]).await;
        let mut windows = Vec::new();
        for _ in 0..6 {
            rig.play(&[S]).await;
            windows.push(rig.snapshot().failure_window.unwrap());
        }
        let ought = [4, 3, 2, 1, 0, 0].map(|bad| Counts { requests: 5, bad });
        assert_eq!(windows, ought, "the oldest falls out, one by one");
        assert_eq!(rig.snapshot().failure_ratio, Some(0.0));
    })
    .await;
}

/// Plays calls at their times, on a ratio of one half over a window of time with at least five calls.
async fn over_time(window: f64, played: &[(f64, &[Call])], ought: (State, Counts)) {
    let ratio = Ratio::new(0.5).window(Window::time(secs(window))).min_requests(5);
    in_every_mode(RULELESS.failure_ratio(ratio), async |rig| {
        for (time, calls) in played {
            rig.at(secs(*time)).await;
            rig.play(calls).await;
        }
        let seen = rig.snapshot();
        assert_eq!((seen.state, seen.failure_window.unwrap()), ought, "{played:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b10_time_window_forgets() {
    over_time(20.0, &[(0.0, &[F; 3]), (21.0, &[F; 2])], (State::Closed, Counts { requests: 2, bad: 2 }))
        .await;
}

#[tokio::test(start_paused = true)]
async fn b11_window_spans_its_own_slices() {
    over_time(10.0, &[(9.9, &[F; 3]), (10.1, &[F; 2])], (State::Open, Counts { requests: 5, bad: 5 })).await;
}

#[tokio::test(start_paused = true)]
async fn b12_exact_window_edge_is_outside() {
    let before: (f64, &[Call]) = (0.0, &[F; 4]);
    over_time(10.0, &[before, (10.0, &[F])], (State::Closed, Counts { requests: 1, bad: 1 })).await;
    over_time(10.0, &[before, (9.999, &[F])], (State::Open, Counts { requests: 5, bad: 5 })).await;
}

#[tokio::test(start_paused = true)]
async fn b13_consecutive_rule() {
    in_every_mode(RULELESS.consecutive(Consecutive::new(5)), async |rig| {
        rig.play(&[F, F, F, F, S, F, F, F]).await;
        rig.play(&[T, T, T, F, T, T, T]).await;
        assert_eq!(rig.state(), State::Closed, "throttled calls neither count nor break the row");
        rig.play(&[F]).await;
        assert_eq!((rig.state(), rig.snapshot().cause), (State::Open, Some(Cause::Consecutive)));
        assert_eq!(rig.events(), ["closed > open: failures in a row"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b14_combined_rule_whichever_first() {
    let less_than_80_percent = Ratio::new(0.2).window(Window::time(secs(30.0))).min_requests(30);
    let rules = RULELESS.consecutive(Consecutive::new(3)).failure_ratio(less_than_80_percent);
    in_every_mode(rules, async |rig| {
        for second in 0..29 {
            rig.at(Duration::from_secs(second)).await;
            rig.play(&[if second % 2 == 0 { S } else { F }]).await;
            assert_eq!(rig.state(), State::Closed, "at {second} s");
        }
        rig.at(secs(29.0)).await;
        rig.play(&[F]).await;
        assert_eq!((rig.state(), rig.snapshot().cause), (State::Open, Some(Cause::FailureRatio)));
    })
    .await;
    in_every_mode(rules, async |rig| {
        assert_eq!(states(rig, &[F, F, F]).await, [State::Closed, State::Closed, State::Open]);
        assert_eq!(rig.snapshot().cause, Some(Cause::Consecutive));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b15_combined_rule_takes_the_longer_pause() {
    let pausing = |seconds| Pause::new().jitter(0.0).min(secs(seconds));
    for (ratio, row, cause) in [(5.0, 10.0, Cause::Consecutive), (10.0, 5.0, Cause::FailureRatio)] {
        let both = RULELESS
            .failure_ratio(HALF.pause(pausing(ratio)))
            .consecutive(Consecutive::new(5).pause(pausing(row)));
        in_every_mode(both, async |rig| {
            rig.play(&[F; 5]).await;
            assert_eq!(pause(rig), (10.0, Some(cause)));
            rig.at(secs(9.999)).await;
            assert!(rig.call(S).await.is_err());
            rig.at(secs(10.0)).await;
            rig.play(&[S]).await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn b38_success_inside_failures() {
    let all_of_20 = Ratio::new(1.0).window(Window::calls(20)).min_requests(20);
    let rules = RULELESS.consecutive(Consecutive::new(5)).failure_ratio(all_of_20);
    in_every_mode(rules, async |rig| {
        rig.play(&[F, F, F, F, S, F, F, F, F]).await;
        let seen = rig.snapshot();
        assert_eq!((seen.state, seen.failures, seen.successes), (State::Closed, 8, 1));
        assert_eq!(seen.failure_window, Some(Counts { requests: 9, bad: 8 }));
    })
    .await;
}

/// Counts are not cleared at intervals: a window of time is what clears them.
#[tokio::test(start_paused = true)]
async fn b39_interval_clearing() {
    over_time(30.0, &[(0.0, &[S, F]), (31.0, &[F])], (State::Closed, Counts { requests: 1, bad: 1 })).await;
    over_time(30.0, &[(0.0, &[S, F]), (29.0, &[F])], (State::Closed, Counts { requests: 3, bad: 2 })).await;
}
