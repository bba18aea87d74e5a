//! Rows L15, L16 and L20: waiting for a turn.

use crate::{MS, REFERENCE, SECOND, told};
use bartizan_core::Instant;
use bartizan_limit::{Handle, Limit, LimitLayer};
use conformance::Flavour;
use conformance::crowd::{Crowd, Guest, How, Is, Refusals, Visit, in_a_crowd};
use std::time::Duration;
use tokio::time::{advance, sleep};
use tower::Layer;

/// A limit under which so many wait for so long at most, in each flavour. A bystander waits and leaves.
fn waiting(value: Limit, max_wait: Duration, max_waiting: usize) -> impl Fn(Flavour) -> Crowd<Handle> {
    move |flavour| {
        let layer = LimitLayer::new(value);
        match flavour {
            Flavour::Http => {
                let layer = layer.waiting(max_wait, max_waiting);
                Crowd::http(layer.handle(), |desk| layer.layer(desk))
            }
            Flavour::Typed => {
                let layer = layer.typed().classify(Refusals).waiting(max_wait, max_waiting);
                Crowd::typed(layer.handle(), |desk| layer.layer(desk))
            }
        }
    }
}

/// Takes all tokens that are there, with nobody waiting.
fn spend(crowd: &Crowd<Handle>) {
    crowd.handle().drain();
}

fn state(guests: &mut [Guest]) -> Vec<Is> {
    guests.iter_mut().map(Guest::is).collect()
}

#[tokio::test(start_paused = true)]
async fn l15_waiting_mode() {
    in_a_crowd(waiting(REFERENCE, 300 * MS, 10), async |crowd| {
        spend(crowd);
        let mut first = crowd.enter(Visit::new());
        assert_eq!((first.is(), crowd.handle().snapshot().waiting), (Is::Waiting, 1));
        // Its turn would be in 400 ms.
        let mut second = crowd.enter(Visit::new());
        let refused = second.refused();
        assert_eq!(
            (refused.layer(), refused.reason(), refused.reached()),
            ("limit", "would wait too long", false)
        );
        advance(200 * MS - MS).await;
        assert_eq!(first.is(), Is::Waiting);
        sleep(MS).await;
        assert_eq!((first.is(), crowd.handle().snapshot().waiting), (Is::Running, 0));
        // Who was refused has taken nothing: the next token is there 200 ms later, and not 400.
        let mut third = crowd.enter(Visit::new());
        assert_eq!(third.is(), Is::Waiting);
        sleep(200 * MS).await;
        assert_eq!(third.is(), Is::Running);
        first.end(How::Good);
        third.end(How::Good);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn l15_waiting_mode_is_bounded() {
    in_a_crowd(waiting(REFERENCE, 60 * SECOND, 3), async |crowd| {
        spend(crowd);
        let mut guests = crowd.enter_all(5, Visit::new);
        assert_eq!(state(&mut guests), [Is::Waiting, Is::Waiting, Is::Waiting, Is::Refused, Is::Refused]);
        let mut last = guests.pop().unwrap();
        assert_eq!(last.refused().reason(), "too many waiting");
        assert!(told(&mut last) <= 800 * MS);
        drop(guests);
        assert_eq!(crowd.handle().snapshot().waiting, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn l16_leaving_the_queue() {
    in_a_crowd(waiting(REFERENCE, 10 * SECOND, 10), async |crowd| {
        spend(crowd);
        let first = crowd.enter(Visit::new());
        let mut second = crowd.enter(Visit::new());
        let third = crowd.enter(Visit::new());
        let mut fourth = crowd.enter(Visit::new());
        advance(100 * MS).await;
        drop(first);
        drop(third);
        assert_eq!(crowd.handle().snapshot().waiting, 2);
        sleep(100 * MS).await;
        assert_eq!((second.is(), fourth.is()), (Is::Running, Is::Waiting), "it has the turn of the first");
        sleep(200 * MS).await;
        assert_eq!(fourth.is(), Is::Running);
        // Nothing was spent on those who left.
        let fifth = crowd.enter(Visit::new());
        assert_eq!(crowd.handle().snapshot().waiting, 1);
        drop(fifth);
        drop((second, fourth));
        advance(SECOND).await;
        assert_eq!(crowd.handle().snapshot().remaining, 5);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn l20_reserve_ahead() {
    in_a_crowd(waiting(REFERENCE, 3 * SECOND, 100), async |crowd| {
        spend(crowd);
        // Two seconds of backlog.
        let start = Instant::now();
        let mut guests = crowd.enter_all(10, Visit::new);
        let mut granted = Vec::new();
        while Instant::now() - start < 3 * SECOND {
            for (n, guest) in guests.iter_mut().enumerate() {
                if guest.is() == Is::Running && granted.len() == n {
                    granted.push((Instant::now() - start).as_millis());
                }
                let later = granted.len() <= n;
                assert_eq!(guest.is() == Is::Waiting, later, "in order");
            }
            sleep(10 * MS).await;
        }
        let ought: Vec<u128> = (1..=10).map(|n| n * 200).collect();
        assert_eq!(granted, ought, "spaced exactly by the rate");
    })
    .await;
}
