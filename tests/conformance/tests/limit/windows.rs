//! Rows L05 and L18: any window of time.

use crate::{MS, NS, REFERENCE, SECOND, count, limit, passes};
use bartizan_core::Instant;
use bartizan_limit::{Limit, LimitLayer};
use conformance::Probe;
use conformance::crowd::{Visit, in_a_crowd};
use std::time::Duration;
use tokio::time::advance;
use tower::{BoxError, Layer, ServiceExt};

/// Holds who was admitted against burst and rate, over every window that begins and ends with one of them.
struct Watch {
    interval: i128,
    burst: i128,
    admitted: i128,
    /// The least `n` intervals less the time at which the n-th was admitted.
    least: i128,
}

impl Watch {
    fn new(value: Limit) -> Self {
        let interval = value.interval().as_nanos() as i128;
        Self { interval, burst: value.max_burst().into(), admitted: 0, least: i128::MAX }
    }

    fn admit(&mut self, at: Duration) {
        let mark = self.admitted * self.interval - at.as_nanos() as i128;
        self.least = self.least.min(mark);
        self.admitted += 1;
        // Of those from the i-th to this one, all but the burst came back in the time between the two.
        assert!(mark - self.least + self.interval <= self.burst * self.interval, "too many at {at:?}");
    }
}

/// A time to the next arrival: in bursts, at the edges of intervals, and after rests.
fn pause(dice: &mut fastrand::Rng, interval: Duration) -> Duration {
    match dice.u8(0..10) {
        0..5 => NS * dice.u32(0..1000),
        5..8 => interval.mul_f64(dice.f64() * 2.0),
        8 => interval + NS * dice.u32(0..3) - NS,
        _ => interval * dice.u32(0..8),
    }
}

#[tokio::test(start_paused = true)]
async fn l05_any_window() {
    let values = [REFERENCE, Limit::per_second(3).burst(1), Limit::per(1000, 7 * SECOND).burst(50)];
    for (n, value) in values.into_iter().enumerate() {
        let service =
            LimitLayer::new(value).typed().layer(Probe::new(|()| std::future::ready(Ok::<_, BoxError>(()))));
        let (start, mut watch, mut dice) =
            (Instant::now(), Watch::new(value), fastrand::Rng::with_seed(n as u64));
        for _ in 0..350_000 {
            advance(pause(&mut dice, value.interval())).await;
            if service.clone().oneshot(()).await.is_ok() {
                watch.admit(Instant::now() - start);
            }
        }
        // Nor does it refuse what it could admit: the bucket was empty most of the time.
        let elapsed = (Instant::now() - start).as_nanos() as i128 / watch.interval;
        assert!(watch.admitted > 10_000 && watch.admitted <= elapsed + watch.burst, "{}", watch.admitted);
    }
}

#[tokio::test(start_paused = true)]
async fn l05_any_window_in_every_mode() {
    in_a_crowd(limit(REFERENCE), async |crowd| {
        let (start, mut watch) = (Instant::now(), Watch::new(REFERENCE));
        let mut dice = fastrand::Rng::with_seed(5);
        for _ in 0..10_000 {
            advance(pause(&mut dice, REFERENCE.interval())).await;
            if passes(crowd, Visit::new()) {
                watch.admit(Instant::now() - start);
            }
        }
        assert!(watch.admitted > 1000);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn l18_window_edge() {
    in_a_crowd(limit(REFERENCE), async |crowd| {
        advance(990 * MS).await;
        assert_eq!(count(crowd, 5, Visit::new), 5);
        advance(20 * MS).await;
        assert_eq!(count(crowd, 5, Visit::new), 0, "there is no edge");
        advance(180 * MS).await;
        assert_eq!(count(crowd, 5, Visit::new), 1);
    })
    .await;
}
