//! Rows S23 to S25: shares of a limit.

use crate::end;
use bartizan_shed::{Handle, Shares, Shed, ShedLayer};
use conformance::Flavour;
use conformance::crowd::{Asked, Crowd, Guest, How, Is, Refusals, Visit, in_a_crowd};
use tower::Layer;

const BATCH: u64 = 0;
const LIVE: u64 = 1;

/// Ten at a time, of which batch has three and live seven.
fn shared(flavour: Flavour) -> Crowd<Handle> {
    let (layer, shares) = (ShedLayer::new(Shed::fixed(10)), Shares::new([0.3, 0.7]));
    match flavour {
        Flavour::Http => {
            let layer = layer.class(|head| Asked::of(head).key as usize, shares);
            Crowd::http(layer.handle(), |desk| layer.layer(desk))
        }
        Flavour::Typed => {
            let layer = layer.typed().classify(Refusals).class(|visit: &Visit| visit.key as usize, shares);
            Crowd::typed(layer.handle(), |desk| layer.layer(desk))
        }
    }
}

/// Makes requests of a class, and keeps those that are let in.
fn enter(crowd: &mut Crowd<Handle>, visits: usize, class: u64) -> Vec<Guest> {
    let mut guests = crowd.enter_all(visits, || Visit::new().key(class));
    guests.retain_mut(|guest| guest.is() == Is::Running);
    guests
}

#[tokio::test(start_paused = true)]
async fn s23_shares() {
    in_a_crowd(shared, async |crowd| {
        let alone = enter(crowd, 20, BATCH);
        assert_eq!(alone.len(), 10, "what nobody else needs");
        let refused = crowd.enter(Visit::new().key(BATCH)).refused();
        assert!(["over its share", "over the limit"].contains(&refused.reason()), "{refused}");
        end(alone);

        // Both come, more of them than there is room for: after a while each has its share, whoever was there first.
        let mut batch = enter(crowd, 20, BATCH);
        let mut live = enter(crowd, 20, LIVE);
        for _ in 0..50 {
            for guests in [&mut batch, &mut live] {
                guests.remove(0).end(How::Good);
            }
            for _ in 0..5 {
                live.extend(enter(crowd, 1, LIVE));
                batch.extend(enter(crowd, 1, BATCH));
            }
        }
        assert_eq!((batch.len(), live.len()), (3, 7));
        end(batch);
        end(live);

        let live = enter(crowd, 7, LIVE);
        let batch = enter(crowd, 20, BATCH);
        assert_eq!((batch.len(), live.len()), (3, 7));
        assert!(enter(crowd, 20, LIVE).is_empty());
    })
    .await;
}

/// Live gets its seven at once, so that more than the limit run for as long as those of batch do; batch waits until it is within its share.
#[tokio::test(start_paused = true)]
async fn s24_shares_owe_nobody() {
    in_a_crowd(shared, async |crowd| {
        let mut batch = enter(crowd, 20, BATCH);
        assert_eq!(batch.len(), 10);
        let live = enter(crowd, 20, LIVE);
        assert_eq!((live.len(), crowd.handle().snapshot().in_flight), (7, 17));
        for running in (4..=10).rev() {
            assert!(enter(crowd, 5, BATCH).is_empty(), "{running} of batch are running");
            batch.pop().unwrap().end(How::Good);
        }
        batch.pop().unwrap().end(How::Good);
        batch.extend(enter(crowd, 20, BATCH));
        assert_eq!((batch.len(), live.len()), (3, 7));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn s25_shares_rescale() {
    in_a_crowd(shared, async |crowd| {
        let mut live = enter(crowd, 7, LIVE);
        let mut batch = enter(crowd, 20, BATCH);
        assert_eq!((batch.len(), live.len()), (3, 7));
        crowd.handle().update(Shed::fixed(20));
        // Batch comes first, and takes what is there; live gets its fourteen all the same.
        batch.extend(enter(crowd, 20, BATCH));
        live.extend(enter(crowd, 20, LIVE));
        assert_eq!((batch.len(), live.len()), (13, 14));
        end(batch.split_off(6));
        let seen = crowd.handle().snapshot();
        assert_eq!(seen.in_flight, 20, "who was running is kept");
        assert!(enter(crowd, 5, BATCH).is_empty());
        assert!(enter(crowd, 5, LIVE).is_empty());
        let running = |guests: &mut Vec<Guest>| guests.iter_mut().all(|guest| guest.is() == Is::Running);
        assert!(running(&mut batch) && running(&mut live));
        end(batch);
        end(live);
        // And the other way round, batch its six.
        let live = enter(crowd, 30, LIVE);
        let batch = enter(crowd, 30, BATCH);
        assert_eq!((batch.len(), live.len()), (6, 20));
    })
    .await;
}
