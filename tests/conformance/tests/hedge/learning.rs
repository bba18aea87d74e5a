//! Rows H17 to H19 and H21: what is learnt.

use crate::{AMPLE, MS, REFERENCE, play};
use bartizan_core::{Context, Instant};
use bartizan_hedge::{Handle, Hedge};
use conformance::again::{DOWN, HANGS, OK, Stage, get, poll};
use std::time::Duration;
use tokio::time::{advance, timeout};

/// After how long most calls have ended.
const LEARNT: Hedge = Hedge::new().percentile(0.95).max_hedges(1).budget(AMPLE);

/// How many calls it takes to be warm; a bystander's is one as well.
fn warm_up(stage: &Stage<Handle>) -> u64 {
    20 / stage.mode().calls()
}

#[tokio::test(start_paused = true)]
async fn h17_measured_delay_warms_up() {
    play(LEARNT, async |stage| {
        stage.call(&[OK.lasting(2000)]).await;
        for _ in 1..warm_up(stage) {
            assert_eq!(stage.handle().snapshot().delay, None);
            stage.call(&[OK.lasting(50)]).await;
        }
        for _ in 0..100 {
            stage.call(&[OK.lasting(50)]).await;
        }
        let seen = stage.handle().snapshot();
        assert_eq!(seen.hedges, 0, "neither before it is warm, nor while all is as ever");
        let delay = seen.delay.unwrap();
        assert!((50 * MS..55 * MS).contains(&delay), "{delay:?}");

        let heard = stage.call(&[OK.lasting(2000), OK.lasting(50)]).await;
        assert_eq!((heard.said.as_str(), stage.sent().len()), ("200 from 1", 2));
        let sent = stage.sent()[1].at;
        assert!((delay..delay + MS).contains(&sent), "{sent:?}");
        assert_eq!(stage.handle().snapshot().hedges, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn h18_measured_delay_has_a_floor() {
    for (floor, at) in [(MS, 1), (5 * MS, 5), (Duration::ZERO, 1)] {
        play(LEARNT.min_delay(floor), async |stage| {
            for _ in 0..40 {
                let mut call = stage.start(get(), &[OK.held()]).await;
                assert!(poll(&mut call).is_pending());
                advance(MS / 20).await;
                assert!(poll(&mut call).is_ready());
            }
            let delay = stage.handle().snapshot().delay.unwrap();
            let learnt = 50 * MS / 1000..55 * MS / 1000;
            assert!(if floor.is_zero() { learnt.contains(&delay) } else { delay == floor }, "{delay:?}");

            let call = stage.start(get(), &[HANGS]).await;
            timeout(1000 * MS, call).await.unwrap_err();
            // A timer has whole milliseconds.
            let sent = stage.sent()[1].at;
            assert!(sent >= floor && sent <= (at + 1) * MS, "{floor:?}: {sent:?}");
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn h19_fast_failures_do_not_teach() {
    for failing in [LEARNT.max_hedges(0), LEARNT] {
        play(failing, async |stage| {
            for _ in 0..64 {
                stage.call(&[OK.lasting(50)]).await;
            }
            let before = stage.handle().snapshot();
            for _ in 0..640 {
                stage.call(&[DOWN.lasting(1)]).await;
            }
            let after = stage.handle().snapshot();
            assert!(before.median.unwrap() >= 49 * MS && before.delay.unwrap() >= 50 * MS, "{before:?}");
            assert_eq!((after.median, after.delay), (before.median, before.delay));
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn h21_deadline_near() {
    play(REFERENCE, async |stage| {
        for _ in 0..64 {
            stage.call(&[OK.lasting(80)]).await;
        }
        for (left, copies) in [(160, 1), (200, 2)] {
            let context = Context::new().with_deadline(Instant::now() + left * MS);
            let heard = context.scope(stage.call(&[OK.lasting(150), HANGS])).await;
            assert_eq!((heard.said.as_str(), heard.at), ("200 from 0", 150 * MS));
            assert_eq!(stage.sent().len(), copies, "{left} ms in all, of which 100 are spent");
            assert_eq!(stage.handle().snapshot().hopeless, 1);
        }
    })
    .await;
}
