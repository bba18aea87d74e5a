//! Rows S17, S18, S20, S21, S31 and S33, as far as they are about the backlog.

use crate::settings::{field, panics};
use crate::{MS, SECOND, end};
use bartizan_shed::{Backlog, Handle, Shed, ShedLayer};
use conformance::Flavour;
use conformance::crowd::{Crowd, Guest, How, Is, Refusals, Visit, in_a_crowd};
use std::time::Duration;
use tokio::time::{advance, sleep};
use tower::Layer;

/// A limit before which requests wait, in each flavour.
fn queue(value: Shed, backlog: Backlog) -> impl Fn(Flavour) -> Crowd<Handle> {
    move |flavour| {
        let layer = ShedLayer::new(value);
        match flavour {
            Flavour::Http => {
                let layer = layer.backlog(backlog);
                Crowd::http(layer.handle(), |desk| layer.layer(desk))
            }
            Flavour::Typed => {
                let layer = layer.typed().classify(Refusals).backlog(backlog);
                Crowd::typed(layer.handle(), |desk| layer.layer(desk))
            }
        }
    }
}

/// Who waits long waits.
fn patient(places: usize) -> Backlog {
    Backlog::new(places).max_wait(60 * SECOND).target(30 * SECOND)
}

fn count(guests: &mut [Guest], is: Is) -> usize {
    guests.iter_mut().filter_map(|guest| (guest.is() == is).then_some(())).count()
}

#[tokio::test(start_paused = true)]
async fn s17_growing() {
    in_a_crowd(queue(Shed::fixed(1), patient(8)), async |crowd| {
        let first = crowd.enter(Visit::new().with_time(100 * SECOND));
        let mut waiting = crowd.enter_all(5, || Visit::new().with_time(100 * SECOND));
        assert_eq!((count(&mut waiting, Is::Waiting), crowd.handle().snapshot().queued), (5, 5));
        let before: u64 = waiting.iter().map(Guest::wakes).sum();
        crowd.handle().update(Shed::fixed(4));
        let woken = waiting.iter().map(Guest::wakes).sum::<u64>() - before;
        assert_eq!(woken, 3, "as many are woken as there is room for");
        assert_eq!((count(&mut waiting, Is::Running), count(&mut waiting, Is::Waiting)), (3, 2));
        assert_eq!(crowd.tally().running(), 4);
        end(vec![first]);
        assert_eq!((count(&mut waiting, Is::Running), count(&mut waiting, Is::Waiting)), (4, 1));
        drop(waiting);
        let seen = crowd.handle().snapshot();
        assert_eq!((seen.in_flight, seen.queued), (0, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn s18_queue_is_bounded() {
    in_a_crowd(queue(Shed::fixed(1), patient(3)), async |crowd| {
        let mut guests = crowd.enter_all(6, || Visit::new().with_time(100 * SECOND));
        let seen: Vec<Is> = guests.iter_mut().map(Guest::is).collect();
        assert_eq!(seen, [Is::Running, Is::Waiting, Is::Waiting, Is::Waiting, Is::Refused, Is::Refused]);
        assert_eq!(guests.pop().unwrap().refused().reason(), "queue full");
        drop(guests.drain(4..));
        // Whoever leaves the queue makes room in it.
        drop(guests.pop());
        assert_eq!(crowd.enter(Visit::new().with_time(100 * SECOND)).is(), Is::Waiting);
        // Each has its turn.
        for left in (0..3).rev() {
            guests.remove(0).end(How::Good);
            let running = count(&mut guests, Is::Running);
            assert_eq!((running, count(&mut guests, Is::Waiting)), (usize::from(left > 0), left.max(1) - 1));
        }
        let seen = crowd.handle().snapshot();
        assert_eq!((seen.in_flight, seen.queued), (0, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn s20_queue_wait_limit() {
    let backlog = Backlog::new(1).max_wait(SECOND).target(30 * SECOND);
    in_a_crowd(queue(Shed::fixed(1), backlog), async |crowd| {
        let running = crowd.enter(Visit::new().with_time(100 * SECOND));
        for _ in 0..3 {
            let mut waiting = crowd.enter(Visit::new().with_time(100 * SECOND));
            advance(SECOND - MS).await;
            assert_eq!(waiting.is(), Is::Waiting);
            advance(MS).await;
            let refused = waiting.refused();
            assert_eq!((refused.layer(), refused.reason()), ("shed", "waited too long"));
            assert_eq!((refused.reached(), crowd.handle().snapshot().queued), (false, 0));
        }
        let mut next = crowd.enter(Visit::new().with_time(100 * SECOND));
        end(vec![running]);
        assert_eq!(next.is(), Is::Running, "the place of who waited too long is free");
    })
    .await;
}

/// Of those who wait, nobody is let in who would miss its deadline.
#[tokio::test(start_paused = true)]
async fn s20_queue_wait_limit_of_a_deadline() {
    in_a_crowd(queue(Shed::fixed(1), patient(2)), async |crowd| {
        let running = crowd.enter(Visit::new().with_time(100 * SECOND));
        let mut hurried = crowd.enter(Visit::new().with_time(SECOND));
        let mut patient = crowd.enter(Visit::new().with_time(100 * SECOND));
        advance(SECOND).await;
        assert_eq!(hurried.refused().reason(), "would miss its deadline");
        end(vec![running]);
        assert_eq!(patient.is(), Is::Running);
    })
    .await;
}

/// Ten are served at a time, in 10 ms each: a thousand a second.
const SERVED: Duration = Duration::from_millis(10);

/// Offers requests at even times for a while, and returns when those that were refused came, in ms since the start.
async fn offer(crowd: &mut Crowd<Handle>, each: Duration, time: Duration) -> Vec<(u128, bool)> {
    let start = bartizan_core::Instant::now();
    let mut sent = Vec::new();
    while bartizan_core::Instant::now() - start < time {
        let call = crowd.send(Visit::new().lasting(SERVED).with_time(100 * SECOND));
        sent.push(tokio::spawn(async move {
            let heard = call.await.unwrap();
            ((bartizan_core::Instant::now() - start).as_millis(), heard.said.is_err())
        }));
        sleep(each).await;
    }
    let mut heard = Vec::new();
    for call in sent {
        heard.push(call.await.unwrap());
    }
    heard
}

#[tokio::test(start_paused = true)]
async fn s21_standing_queue_is_cut() {
    let backlog = Backlog::new(200).max_wait(60 * SECOND).target(5 * MS).interval(100 * MS);
    in_a_crowd(queue(Shed::fixed(10), backlog), async |crowd| {
        // Twenty too many come at once, so that everybody waits for 20 ms from then on.
        let burst: Vec<_> =
            (0..30).map(|_| crowd.send(Visit::new().lasting(SERVED).with_time(100 * SECOND))).collect();
        let heard = offer(crowd, MS, 2 * SECOND).await;
        let mut refused: Vec<u128> =
            heard.iter().filter(|(_, refused)| *refused).map(|(at, _)| *at).collect();
        for call in burst {
            if call.await.unwrap().said.is_err() {
                refused.push(0);
            }
        }
        refused.sort_unstable();
        assert!(refused.first().is_some_and(|first| *first >= 100), "the first at {:?} ms", refused.first());
        assert!((5..=40).contains(&refused.len()), "{refused:?}");
        let gaps: Vec<u128> = refused.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.windows(2).all(|pair| pair[1] <= pair[0] + 1), "ever shorter times: {refused:?}");
        assert!(refused.iter().all(|at| *at < 1200), "it stops once nobody waits for long: {refused:?}");

        // With room to spare nobody is refused.
        let heard = offer(crowd, 2 * MS, SECOND).await;
        assert_eq!(heard.iter().filter(|(_, refused)| *refused).count(), 0);
        assert_eq!(crowd.handle().snapshot().queued, 0);
    })
    .await;
}

/// Behind a backlog, which is ready at once too, who has his turn holds his place until the service is ready.
#[tokio::test(start_paused = true)]
async fn s31_not_ready_is_waited_for_behind_a_backlog() {
    in_a_crowd(queue(Shed::fixed(2), patient(1)), async |crowd| {
        crowd.tally().set_never_ready(true);
        let mut guests = crowd.enter_all(4, || Visit::new().with_time(100 * SECOND));
        assert_eq!((count(&mut guests, Is::Waiting), count(&mut guests, Is::Refused)), (3, 1));
        let seen = crowd.handle().snapshot();
        assert_eq!((seen.in_flight, seen.queued, crowd.tally().calls()), (2, 1, 0));
        drop(guests);
        assert_eq!(crowd.handle().snapshot().in_flight, 0);
        crowd.tally().set_never_ready(false);
        crowd.enter(Visit::new()).end(How::Good);
    })
    .await;
}

#[test]
fn s33_bad_configuration_of_a_backlog() {
    assert_eq!(field(Backlog::try_new(0)), Some("places"));
    assert_eq!(field(Backlog::new(1).try_interval(Duration::ZERO)), Some("interval"));
    assert!(panics(|| Backlog::new(0)).starts_with("places"));
}
