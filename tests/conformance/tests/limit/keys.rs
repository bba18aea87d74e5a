//! Rows L10 and L11: keys.

use crate::{MS, REFERENCE, SECOND, count, keyed, passes};
use bartizan_limit::{Limit, LimitLayer};
use conformance::Probe;
use conformance::crowd::{Visit, in_a_crowd};
use tokio::time::advance;
use tower::{BoxError, Layer, ServiceExt};

#[tokio::test(start_paused = true)]
async fn l10_keys_are_apart() {
    in_a_crowd(keyed(REFERENCE, 1000), async |crowd| {
        assert_eq!(count(crowd, 9, || Visit::new().key(1)), 5);
        assert_eq!(count(crowd, 9, || Visit::new().key(2)), 5);
        assert!(crowd.handle().peek(&1, 1).is_err() && crowd.handle().peek(&3, 1).is_ok());
        crowd.handle().drain(&3);
        advance(200 * MS).await;
        assert_eq!([1, 2, 3].map(|key| count(crowd, 9, || Visit::new().key(key))), [1, 1, 1]);
        assert_eq!(crowd.handle().snapshot().keys, 3);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn l11_idle_keys_leave() {
    const CAP: usize = 1000;
    const KEYS: u64 = 1_000_000;
    let layer = LimitLayer::new(REFERENCE).typed().key(|key: &u64| *key);
    let layer = layer.max_keys(CAP.try_into().unwrap());
    let service = layer.layer(Probe::new(|_: u64| std::future::ready(Ok::<_, BoxError>(()))));
    for key in 0..KEYS {
        if key % 100 == 0 {
            // A token is back long before as many have come as there is room for.
            advance(25 * MS).await;
        }
        assert!(service.clone().oneshot(key).await.is_ok(), "{key}");
        if key % 10_000 == 0 {
            assert!(layer.handle().keys() <= CAP);
        }
    }
    assert_eq!(layer.handle().snapshot().overflowed, 0, "who is idle makes room");
    advance(SECOND).await;
    assert_eq!(layer.handle().keys(), 0, "all have left");
}

/// Among ever so many others, a key over its limit is not forgiven, and those who find no room share one bucket.
#[tokio::test(start_paused = true)]
async fn l11_idle_keys_leave_but_no_other() {
    const CAP: usize = 100;
    in_a_crowd(keyed(Limit::per(5, 3600 * SECOND), CAP), async |crowd| {
        assert_eq!(count(crowd, 9, || Visit::new().key(1)), 5);
        let admitted = (2..10_000).filter(|key| passes(crowd, Visit::new().key(*key))).count();
        assert!((CAP - 1..CAP + 5).contains(&admitted), "{admitted}");
        assert!(!passes(crowd, Visit::new().key(1)));
        let seen = crowd.handle().snapshot();
        assert!(seen.keys <= CAP && seen.overflowed > 9000, "{seen:?}");
        // Once there is room, each has a bucket again.
        advance(3600 * SECOND).await;
        assert_eq!(count(crowd, 9, || Visit::new().key(7)), 5);
        assert_eq!(count(crowd, 9, || Visit::new().key(8)), 5);
    })
    .await;
}
