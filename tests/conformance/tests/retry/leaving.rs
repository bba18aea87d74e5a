//! Rows R39 to R41: the caller leaves.

use crate::{S, play, reference};
use bartizan_retry::Budget;
use conformance::again::{DOWN, OK, get, poll};
use std::time::Duration;
use tokio::time::{advance, sleep};

#[tokio::test(start_paused = true)]
async fn r39_caller_leaves_during_wait() {
    for charge in [false, true] {
        let budget =
            Budget::new().persistence(1.0).min_tokens(10).cap(Duration::ZERO).charge_failures(charge);
        play(reference().budget(budget), async |stage| {
            let mut call = stage.start(get(), &[DOWN, DOWN, OK]).await;
            assert!(poll(&mut call).is_pending());
            advance(S / 10).await;
            assert!(poll(&mut call).is_pending(), "it waits once more");
            assert_eq!(stage.sent().len(), 2);
            advance(S / 10).await;
            drop(call);
            let after = stage.handle().purse().snapshot();
            assert_eq!((after.tokens, after.returned), (9.0, 1), "what was not spent is back");
            sleep(S).await;
            assert_eq!((stage.sent().len(), stage.tally().running()), (2, 0));
            assert_eq!(stage.handle().purse().snapshot().tokens, 9.0);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn r40_caller_left_before_start() {
    play(reference(), async |stage| {
        let before = stage.handle().purse().snapshot();
        drop(stage.start(get(), &[DOWN, OK]).await);
        sleep(S).await;
        assert!(!stage.sent().iter().any(|sent| sent.begun), "nothing has begun");
        assert!(stage.sent().len() <= 1);
        assert_eq!(stage.handle().purse().snapshot(), before);
        let seen = stage.handle().snapshot();
        assert_eq!((seen.retries, seen.out_of_tries), (0, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn r41_answered_but_abandoned() {
    play(reference(), async |stage| {
        for turn in [DOWN, OK] {
            // The answer is there at the next poll, which does not come.
            let mut call = stage.start(get(), &[turn.held(), OK]).await;
            assert!(poll(&mut call).is_pending());
            drop(call);
            sleep(S).await;
            assert_eq!((stage.sent().len(), stage.tally().running()), (1, 0));
        }
        // It comes, and the caller leaves right after it.
        let mut call = stage.start(get(), &[DOWN.held(), OK]).await;
        assert!(poll(&mut call).is_pending());
        assert!(poll(&mut call).is_pending(), "it failed, and waits");
        drop(call);
        sleep(S).await;
        assert_eq!(stage.sent().len(), 1);
        let mut call = stage.start(get(), &[OK.held()]).await;
        assert!(poll(&mut call).is_pending());
        assert!(poll(&mut call).is_ready(), "it is delivered");
    })
    .await;
}
