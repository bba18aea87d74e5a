//! Rows S13 to S15 and S32: what the adaptive limit learns, and what it does not.

use crate::{MS, SECOND, shed};
use bartizan_shed::{Handle, Shed, Snapshot};
use conformance::crowd::{Crowd, How, Is, Visit, in_a_crowd};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::time::{advance, sleep};

/// Offers more than four desks can serve, each in 10 ms, for a while.
async fn train(crowd: &mut Crowd<Handle>) {
    let desks = Arc::new(Semaphore::new(4));
    let mut dice = fastrand::Rng::with_seed(0x5eed);
    let heard = crowd.offer(800.0, 3 * SECOND, &mut dice, |_| Visit::new().lasting(10 * MS).at(&desks)).await;
    let served = heard.iter().filter(|(_, heard)| heard.said == Ok(How::Good)).count();
    assert!((900..=1210).contains(&served), "four desks serve 1200 in that time, and served {served}");
}

/// What it has learnt.
fn learnt(seen: &Snapshot) -> (usize, f64, std::time::Duration) {
    (seen.limit, seen.throughput, seen.service_time)
}

#[tokio::test(start_paused = true)]
async fn s13_cancelled_gives_permit_no_sample() {
    in_a_crowd(shed(Shed::new().seed(1)), async |crowd| {
        train(crowd).await;
        let before = crowd.handle().snapshot();
        let mut guests = crowd.enter_all(3, Visit::new);
        assert_eq!(crowd.handle().snapshot().in_flight, 3);
        advance(MS / 2).await;
        drop(guests.pop());
        assert_eq!(crowd.handle().snapshot().in_flight, 2);
        drop(guests);
        for _ in 0..1000 {
            drop(crowd.enter(Visit::new()));
        }
        let after = crowd.handle().snapshot();
        assert_eq!((after.in_flight, learnt(&after)), (0, learnt(&before)));
        // Nor do they count as answers once a window is over.
        advance(SECOND).await;
        crowd.enter(Visit::new()).end(How::Good);
        assert!(crowd.handle().snapshot().throughput <= before.throughput);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn s14_silent_window() {
    in_a_crowd(shed(Shed::new().seed(1)), async |crowd| {
        train(crowd).await;
        let before = crowd.handle().snapshot();
        for _ in 0..20 {
            advance(SECOND / 2).await;
            assert_eq!(learnt(&crowd.handle().snapshot()), learnt(&before));
        }
        // And the first who come again find it so.
        let mut guests = crowd.enter_all(before.limit, Visit::new);
        assert!(guests.iter_mut().all(|guest| guest.is() == Is::Running));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn s15_fast_errors_teach_nothing_good() {
    in_a_crowd(shed(Shed::new().seed(1)), async |crowd| {
        train(crowd).await;
        let before = crowd.handle().snapshot();
        let mut calls = 0;
        while calls < 10_000 {
            let failing = || Visit::new().lasting(MS / 10).ending(How::Bad);
            let sent: Vec<_> = (0..before.limit.min(10)).map(|_| crowd.send(failing())).collect();
            for call in sent {
                call.await.unwrap();
                calls += 1;
            }
            sleep(MS / 10).await;
        }
        let after = crowd.handle().snapshot();
        assert!(after.limit <= before.limit, "{after:?}, before {before:?}");
        assert!(after.throughput <= before.throughput, "{after:?}, before {before:?}");
        assert!(after.service_time >= before.service_time, "{after:?}, before {before:?}");
        assert!(after.limit >= 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn s32_reset() {
    in_a_crowd(shed(Shed::new().seed(1)), async |crowd| {
        let new = crowd.handle().snapshot();
        train(crowd).await;
        assert_ne!(learnt(&crowd.handle().snapshot()), learnt(&new));
        let running = crowd.enter(Visit::new());
        crowd.handle().reset();
        let after = crowd.handle().snapshot();
        assert_eq!(learnt(&after), learnt(&new));
        assert_eq!((after.in_flight, after.saturated), (1, false), "who is in flight stays so");
        drop(running);
        assert_eq!(crowd.handle().snapshot().in_flight, 0);
        train(crowd).await;
    })
    .await;
}
