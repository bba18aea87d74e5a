//! Row S22: who is refused first.

use crate::{MS, SECOND, shed};
use bartizan_core::Priority;
use bartizan_shed::Shed;
use conformance::crowd::{Heard, How, Visit, in_a_crowd};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Desks, each of which serves in 10 ms.
const DESKS: usize = 16;
const CAPACITY: f64 = 100.0 * DESKS as f64;

const CLASSES: [Priority; 3] = [Priority::CRITICAL, Priority::NORMAL, Priority::SHEDDABLE];

/// The share of each class that was served.
fn served(heard: &[(Visit, Heard)]) -> [f64; 3] {
    [0, 1, 2].map(|class| {
        let of = heard.iter().filter(|(visit, _)| visit.key == class);
        let good = of.clone().filter(|(_, heard)| heard.said == Ok(How::Good)).count();
        good as f64 / of.count() as f64
    })
}

#[tokio::test(start_paused = true)]
async fn s22_priority_order() {
    // As shares of the capacity: critical, normal, sheddable.
    for offered in [[0.4, 0.8, 0.8], [0.7, 0.5, 0.8]] {
        in_a_crowd(shed(Shed::new().seed(1)), async |crowd| {
            let desks = Arc::new(Semaphore::new(DESKS));
            let visit = |dice: &mut fastrand::Rng| {
                let at = dice.f64() * 2.0;
                let class = usize::from(at >= offered[0]) + usize::from(at >= offered[0] + offered[1]);
                Visit::new().priority(CLASSES[class]).key(class as u64).lasting(10 * MS).at(&desks)
            };
            let mut dice = fastrand::Rng::with_seed(0x522);
            // It learns what it can do.
            crowd.offer(CAPACITY, 2 * SECOND, &mut dice, visit).await;
            // In the first second of twice as much it finds out who comes.
            let early = served(&crowd.offer(2.0 * CAPACITY, SECOND, &mut dice, visit).await);
            assert!(early[0] >= 0.98 && early[0] > early[1] && early[1] > early[2], "{offered:?}: {early:?}");
            let then = served(&crowd.offer(2.0 * CAPACITY, 7 * SECOND, &mut dice, visit).await);
            assert!(then[0] >= 0.999, "{offered:?}: {then:?}");
            assert!(then[1] < then[0] && then[2] < then[1] - 0.1, "{offered:?}: {then:?}");
            assert!(then[2] > 0.0, "nobody starves");
            let seen = crowd.handle().snapshot();
            assert_eq!(seen.in_flight, 0);
            let refused = seen.refused;
            assert!(refused.sheddable > refused.critical && refused.normal >= refused.critical, "{seen:?}");
        })
        .await;
    }
}

/// Under a fixed limit too: some places are kept free of those who matter less.
#[tokio::test(start_paused = true)]
async fn s22_priority_order_under_a_fixed_limit() {
    let offered = [0.4, 0.8, 0.8];
    in_a_crowd(shed(Shed::fixed(32).seed(1)), async |crowd| {
        let visit = |dice: &mut fastrand::Rng| {
            let at = dice.f64() * 2.0;
            let class = usize::from(at >= offered[0]) + usize::from(at >= offered[0] + offered[1]);
            Visit::new().priority(CLASSES[class]).key(class as u64).lasting(10 * MS)
        };
        let mut dice = fastrand::Rng::with_seed(0x522);
        crowd.offer(2.0 * 3200.0, SECOND, &mut dice, visit).await;
        let then = served(&crowd.offer(2.0 * 3200.0, 4 * SECOND, &mut dice, visit).await);
        // So many are kept free that 999 in 1000 find one, and four seconds have their spread.
        assert!(then[0] >= 0.998, "{then:?}");
        assert!(then[1] < then[0] && then[2] < then[1] - 0.1 && then[2] > 0.0, "{then:?}");
    })
    .await;
}
