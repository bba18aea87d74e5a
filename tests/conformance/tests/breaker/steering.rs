//! Rows B30 to B35: modes, and what a handle may ask for.

use crate::{half_open, pause, trip};
use bartizan_breaker::{Counts, Mode, State};
use conformance::{F, REFERENCE, S, in_every_mode, secs};
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn b30_forced_open() {
    in_every_mode(REFERENCE, async |rig| {
        rig.handle().force_open();
        for minute in 0..=60 {
            rig.at(Duration::from_secs(60 * minute)).await;
            let refused = rig.call(S).await.unwrap_err();
            assert_eq!((refused.reason(), refused.retry_after()), ("forced open", None));
        }
        assert_eq!((rig.state(), rig.snapshot().retry_after), (State::ForcedOpen, None));
        assert_eq!(rig.tally().ready_polls(), 0);
        rig.handle().resume();
        rig.play(&[S]).await;
        assert_eq!(rig.events(), ["closed > forced open: forced", "forced open > closed"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b31_disabled() {
    in_every_mode(REFERENCE, async |rig| {
        rig.handle().disable();
        rig.play(&[F; 100]).await;
        let seen = rig.snapshot();
        assert_eq!(
            (seen.state, seen.failures, seen.failure_window),
            (State::Disabled, 0, Some(Counts::default()))
        );
        rig.handle().resume();
        rig.play(&[F; 4]).await;
        assert_eq!(rig.state(), State::Closed);
        assert_eq!(rig.events(), ["closed > disabled", "disabled > closed"]);
    })
    .await;
    in_every_mode(REFERENCE.enabled(false), async |rig| {
        rig.play(&[F; 100]).await;
        assert_eq!((rig.snapshot().failures, rig.events().len()), (0, 0));
    })
    .await;
}

/// The whole state machine runs, and refuses nothing.
#[tokio::test(start_paused = true)]
async fn b32_shadow_mode() {
    in_every_mode(REFERENCE.mode(Mode::Shadow), async |rig| {
        rig.play(&[F; 5]).await;
        assert_eq!(rig.state(), State::Open);
        rig.play(&[F; 5]).await;
        let seen = rig.handle().snapshot();
        assert_eq!((seen.state, seen.mode, seen.failures, seen.trips), (State::Open, Mode::Shadow, 5, 1));
        assert_eq!(seen.shadowed, 5 * rig.mode().calls(), "what it would have refused is counted");
        assert_eq!(rig.events(), ["closed > open: failure ratio"]);
        rig.at(secs(5.0)).await;
        rig.play(&[S; 4]).await;
        assert_eq!((rig.state(), rig.reached()), (State::Closed, 14));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b33_reset() {
    in_every_mode(REFERENCE, async |rig| {
        let late = rig.start(F).unwrap();
        half_open(rig).await;
        rig.play(&[F; 4]).await;
        rig.handle().reset();
        let seen = rig.snapshot();
        assert_eq!(
            (seen.state, seen.cause, seen.failure_window),
            (State::Closed, None, Some(Counts::default()))
        );
        assert_eq!(rig.events()[3..], ["open > closed"]);
        late.end();
        rig.play(&[S]).await;
        assert_eq!(rig.snapshot().failure_window, Some(Counts { requests: 1, bad: 0 }));
        rig.play(&[F; 4]).await;
        assert_eq!(pause(rig).0, 5.0, "the escalation is forgotten");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b34_impossible_jump() {
    in_every_mode(REFERENCE, async |rig| {
        let refuses = |state| {
            let impossible = rig.handle().half_open().unwrap_err();
            assert_eq!((impossible.from(), impossible.to()), (state, State::HalfOpen));
            assert_eq!(rig.state(), state);
        };
        refuses(State::Closed);
        rig.handle().disable();
        refuses(State::Disabled);
        rig.handle().force_open();
        refuses(State::ForcedOpen);
        let told = ["closed > disabled", "disabled > forced open: forced"];
        assert_eq!(rig.events(), told, "what is refused is no event");

        rig.handle().force_open_for(secs(60.0));
        rig.handle().half_open().unwrap();
        assert_eq!(rig.state(), State::HalfOpen);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b35_same_state_call_is_silent() {
    in_every_mode(REFERENCE, async |rig| {
        rig.handle().reset();
        rig.handle().resume();
        rig.handle().shadow();
        rig.handle().resume();
        assert!(rig.events().is_empty(), "closed already");

        let handle = rig.handle().clone();
        let asks: [(&dyn Fn(), State); 5] = [
            (&|| handle.disable(), State::Disabled),
            (&|| handle.force_open(), State::ForcedOpen),
            (&|| handle.force_open_for(secs(9.0)), State::Open),
            (&|| handle.half_open().unwrap(), State::HalfOpen),
            (&|| handle.reset(), State::Closed),
        ];
        for (n, (ask, state)) in asks.iter().enumerate() {
            for _ in 0..3 {
                ask();
                assert_eq!((rig.state(), rig.events().len()), (*state, n + 1), "{:?}", rig.events());
            }
        }
        trip(rig).await;
        assert_eq!(rig.events().len(), 6);
    })
    .await;
}
