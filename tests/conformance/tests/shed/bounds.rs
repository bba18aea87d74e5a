//! Rows S08 and S28: bounds of the adaptive limit.

use crate::{MS, SECOND, fill, shed};
use bartizan_shed::{Handle, Shed};
use conformance::crowd::{Crowd, Guest, How, Is, Visit, in_a_crowd};
use tokio::time::advance;

#[tokio::test(start_paused = true)]
async fn s08_bounds_hold() {
    in_a_crowd(shed(Shed::new().min_in_flight(1).max_in_flight(21).seed(1)), async |crowd| {
        let check = |crowd: &Crowd<Handle>| {
            let seen = crowd.handle().snapshot();
            assert!((1..=21).contains(&seen.limit), "{seen:?}");
        };
        // As good as can be: 10 000 answers, each within 1 ms.
        let mut most = 0;
        for _ in 0..500 {
            let mut guests = fill(crowd, || Visit::new().with_time(10 * SECOND));
            most = most.max(guests.len());
            advance(MS).await;
            check(crowd);
            guests.drain(..).for_each(|guest| guest.end(How::Good));
        }
        assert_eq!(most, 21);

        // As bad as can be: nobody waits for an answer.
        for n in 0..10_000 {
            let guest = crowd.enter(Visit::new());
            if n % 100 == 0 {
                advance(10 * SECOND).await;
            }
            drop(guest);
        }
        check(crowd);
        // And each takes a minute.
        for _ in 0..100 {
            let mut guest = crowd.enter(Visit::new());
            assert_eq!(guest.is(), Is::Running, "one can always see whether it is well again");
            advance(60 * SECOND).await;
            guest.end(How::Bad);
            check(crowd);
        }
    })
    .await;
}

/// Asks for so many in flight for a time, each for 100 ms, and says how many are let in at the end.
async fn hold(crowd: &mut Crowd<Handle>, guests: usize, seconds: u32) -> usize {
    let mut held = 0;
    for _ in 0..10 * seconds {
        let mut guests: Vec<Guest> = crowd.enter_all(guests, visit);
        guests.retain_mut(|guest| guest.is() == Is::Running);
        held = guests.len();
        advance(100 * MS).await;
        guests.into_iter().for_each(|guest| guest.end(How::Good));
    }
    held
}

/// One who has so much time that the wait is nothing to him.
fn visit() -> Visit {
    Visit::new().with_time(60 * SECOND)
}

#[tokio::test(start_paused = true)]
async fn s28_stabilised_ceiling() {
    let value = Shed::new().ceiling(1.5, 300 * SECOND).seed(1);
    for (low, most) in [(10, 30), (100, 30), (280, 30), (360, 8)] {
        in_a_crowd(shed(value), async |crowd| {
            // It is asked for more step by step.
            assert_eq!(hold(crowd, 20, 30).await, 20);
            assert_eq!(hold(crowd, 5, low).await, 5);
            let mut guests = crowd.enter_all(100, visit);
            let admitted =
                guests.iter_mut().filter_map(|guest| (guest.is() == Is::Running).then_some(())).count();
            assert_eq!(admitted, most, "after {low} s");
            let refused = guests.pop().unwrap().refused();
            assert_eq!(refused.reason(), "over the ceiling");
        })
        .await;
    }
}
