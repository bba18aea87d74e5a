//! Rows H01, H02, H04 to H06, H15 and H25: when copies are sent.

use crate::{MS, REFERENCE, play};
use conformance::again::{DOWN, HANGS, OK, get};
use conformance::at_once;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use tokio::time::{sleep, timeout};

#[tokio::test(start_paused = true)]
async fn h01_quick_answer_no_hedge() {
    play(REFERENCE, async |stage| {
        for lasts in [50, 99] {
            let heard = stage.call(&[OK.lasting(lasts)]).await;
            assert_eq!((heard.said.as_str(), heard.at.as_millis()), ("200 from 0", lasts.into()));
            sleep(1000 * MS).await;
            assert_eq!(stage.sent().len(), 1);
        }
        assert_eq!(stage.handle().snapshot().hedges, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn h02_spacing() {
    play(REFERENCE, async |stage| {
        let call = stage.start(get(), &[HANGS]).await;
        timeout(5000 * MS, call).await.unwrap_err();
        assert_eq!(stage.times(), [0, 100, 200]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn h04_delay_zero() {
    play(REFERENCE.delay(Duration::ZERO), async |stage| {
        let heard = stage.call(&[HANGS, HANGS, OK.lasting(10)]).await;
        assert_eq!((heard.said.as_str(), heard.at), ("200 from 2", 10 * MS));
        assert_eq!(stage.times(), [0, 0, 0]);
        let heard = stage.call(&[OK]).await;
        assert_eq!((heard.said.as_str(), stage.sent().len()), ("200 from 0", 1), "it was here already");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn h05_delay_never() {
    play(REFERENCE.delay(Duration::MAX), async |stage| {
        let heard = stage.call(&[DOWN.lasting(30), DOWN.lasting(50), OK.lasting(10)]).await;
        assert_eq!((heard.said.as_str(), heard.at), ("200 from 2", 90 * MS));
        assert_eq!((stage.times(), stage.tally().peak()), (vec![0, 30, 80], 1));
        stage.call(&[OK.lasting(100_000)]).await;
        assert_eq!(stage.sent().len(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn h06_non_fatal_failure_hurries() {
    play(REFERENCE, async |stage| {
        let call = stage.start(get(), &[DOWN.lasting(30), HANGS]).await;
        timeout(5000 * MS, call).await.unwrap_err();
        assert_eq!(stage.times(), [0, 30, 130]);
        // Of any copy.
        let call = stage.start(get(), &[HANGS, DOWN.lasting(30), HANGS]).await;
        timeout(5000 * MS, call).await.unwrap_err();
        assert_eq!(stage.times(), [0, 100, 130]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn h15_each_send_has_its_own_readiness() {
    // The inner service panics if it is called before it was made ready, and each clone has to be anew.
    play(REFERENCE, async |stage| {
        let heard = stage.call(&[HANGS, HANGS, OK]).await;
        assert_eq!(heard.said, "200 from 2");
        assert_eq!(stage.tally().ready_polls(), 3 + stage.mode().calls() - 1);

        let call = stage.start(get(), &[OK.lasting(350)]).await;
        stage.tally().set_never_ready(true);
        let heard = call.await;
        assert_eq!(
            (heard.said.as_str(), heard.at),
            ("200 from 0", 350 * MS),
            "who is not ready delays nobody"
        );
        assert_eq!((stage.sent().len(), stage.handle().snapshot().hedges), (1, 2));
        stage.tally().set_never_ready(false);
    })
    .await;
}

/// Without a runtime there is no timer, and to make one panics.
#[test]
fn h25_exotic_completion() {
    at_once(play(REFERENCE, async |stage| {
        // A bystander waits, and has a timer.
        if stage.mode().calls() == 1 {
            let heard = stage.call(&[OK]).await;
            assert_eq!((heard.said.as_str(), stage.sent().len()), ("200 from 0", 1));
            let hung = catch_unwind(AssertUnwindSafe(|| at_once(stage.call(&[HANGS]))));
            assert!(hung.is_err(), "who waits has one");
        }
    }));
}
