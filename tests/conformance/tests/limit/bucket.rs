//! Rows L01 to L04, L06 to L09, L17, L19, L21 and L22: one bucket.

use crate::{MS, NS, REFERENCE, SECOND, count, limit, passes, told};
use bartizan_core::Kind;
use bartizan_limit::{Limit, LimitLayer};
use conformance::Probe;
use conformance::crowd::{Visit, in_a_crowd};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::time::advance;
use tower::{BoxError, Layer, Service, ServiceExt};

#[tokio::test(start_paused = true)]
async fn l01_burst_then_refuse() {
    in_a_crowd(limit(REFERENCE), async |crowd| {
        assert_eq!(count(crowd, 5, Visit::new), 5);
        for _ in 0..3 {
            let mut sixth = crowd.enter(Visit::new());
            assert_eq!(told(&mut sixth), 200 * MS);
            let refused = sixth.refused();
            assert_eq!((refused.reason(), refused.kind()), ("over the limit", Kind::Exhausted));
        }
        let seen = crowd.handle().snapshot();
        assert_eq!((seen.remaining, seen.full_in, seen.refused), (0, SECOND, 3));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn l02_one_per_interval() {
    in_a_crowd(limit(REFERENCE), async |crowd| {
        assert_eq!(count(crowd, 6, Visit::new), 5);
        for n in 0..100 {
            advance(200 * MS - NS).await;
            assert!(!passes(crowd, Visit::new()), "{n}: 1 ns too early");
            advance(NS).await;
            assert_eq!(count(crowd, 2, Visit::new), 1, "{n}");
        }
    })
    .await;
}

/// An interval that is no whole number of nanoseconds is rounded up.
#[tokio::test(start_paused = true)]
async fn l02_one_per_interval_and_no_sooner() {
    in_a_crowd(limit(Limit::per_second(3)), async |crowd| {
        assert_eq!(count(crowd, 4, Visit::new), 3);
        advance(NS * 333_333_333).await;
        assert!(!passes(crowd, Visit::new()));
        advance(NS).await;
        assert_eq!(count(crowd, 4, Visit::new), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn l03_no_bonus_after_rest() {
    for rest in [1, 2, 7, 60, 3600, 86_400, 365 * 86_400, 17 * 365 * 86_400] {
        in_a_crowd(limit(REFERENCE), async |crowd| {
            assert_eq!(count(crowd, 5, Visit::new), 5);
            for more in [Duration::ZERO, NS, 200 * MS - NS] {
                advance(rest * SECOND + more).await;
                assert_eq!(count(crowd, 7, Visit::new), 5, "after {rest} s");
            }
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn l04_half_refill() {
    in_a_crowd(limit(REFERENCE), async |crowd| {
        assert_eq!(count(crowd, 9, Visit::new), 5);
        advance(500 * MS).await;
        assert_eq!((crowd.handle().snapshot().remaining, count(crowd, 5, Visit::new)), (2, 2));
        // The half token is not lost.
        advance(100 * MS).await;
        assert_eq!(count(crowd, 5, Visit::new), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn l06_told_wait_is_right() {
    for value in [REFERENCE, Limit::per_second(7).burst(20), Limit::per(1000, SECOND * 3).burst(1)] {
        in_a_crowd(limit(value), async |crowd| {
            let mut dice = fastrand::Rng::with_seed(0x106);
            let mut refusals = 0;
            while refusals < 200 {
                advance(NS * dice.u32(0..50_000_000)).await;
                let cost = dice.u32(1..=value.max_burst().min(6));
                let visit = || Visit::new().cost(cost);
                if passes(crowd, visit()) {
                    continue;
                }
                refusals += 1;
                let wait = told(&mut crowd.enter(visit()));
                advance(wait - NS).await;
                assert_eq!(told(&mut crowd.enter(visit())), NS, "1 ns less");
                advance(NS).await;
                assert!(passes(crowd, visit()), "{wait:?}");
            }
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn l07_too_big_for_ever() {
    in_a_crowd(limit(REFERENCE), async |crowd| {
        for cost in [6, 7, u32::MAX] {
            let refused = crowd.enter(Visit::new().cost(cost)).refused();
            assert_eq!((refused.reason(), refused.retry_after()), ("costs more than the burst", None));
        }
        assert!(passes(crowd, Visit::new().cost(5)), "it took nothing");
        assert_eq!(crowd.enter(Visit::new().cost(6)).refused().retry_after(), None);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn l08_cost() {
    in_a_crowd(limit(REFERENCE), async |crowd| {
        assert!(passes(crowd, Visit::new().cost(3)));
        assert_eq!(told(&mut crowd.enter(Visit::new().cost(3))), 200 * MS);
        assert!(passes(crowd, Visit::new().cost(2)), "who is refused takes nothing");
        advance(600 * MS).await;
        assert!(passes(crowd, Visit::new().cost(3)));
        assert!(passes(crowd, Visit::new().cost(0)) && !passes(crowd, Visit::new()));
    })
    .await;

    // A cost of one is no cost.
    let (plain, priced) = (LimitLayer::new(REFERENCE).typed(), LimitLayer::new(REFERENCE).typed());
    let priced = priced.cost(|(): &()| 1);
    let probe = || Probe::new(|()| std::future::ready(Ok::<_, BoxError>(())));
    let (plain, priced) = (plain.layer(probe()), priced.layer(probe()));
    let mut dice = fastrand::Rng::with_seed(0x108);
    for _ in 0..1000 {
        advance(MS * dice.u32(0..400)).await;
        let said = |result: Result<(), BoxError>| result.map_err(|error| error.to_string());
        assert_eq!(said(plain.clone().oneshot(()).await), said(priced.clone().oneshot(()).await));
    }
}

#[test]
fn l09_race_for_the_last() {
    const THREADS: u64 = 32;
    // Nothing comes back while the races last.
    let layers: Vec<_> = (0..1000).map(|_| LimitLayer::new(Limit::per(1, 3600 * SECOND)).typed()).collect();
    let races: Vec<_> = layers
        .iter()
        .map(|layer| {
            let service = layer.layer(Probe::new(|()| std::future::ready(Ok::<_, BoxError>(()))));
            (service, AtomicU64::new(0), AtomicU64::new(0))
        })
        .collect();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for (service, there, winners) in &races {
                    let mut service = service.clone();
                    let cx = &mut Context::from_waker(Waker::noop());
                    assert!(service.poll_ready(cx).is_ready());
                    // They spin at the start: who sleeps comes late.
                    there.fetch_add(1, SeqCst);
                    while there.load(SeqCst) < THREADS {
                        std::thread::yield_now();
                    }
                    if conformance::at_once(service.call(())).is_ok() {
                        winners.fetch_add(1, SeqCst);
                    }
                }
            });
        }
    });
    for (n, (layer, (_, _, winners))) in layers.iter().zip(&races).enumerate() {
        let refused = layer.handle().snapshot().refused;
        assert_eq!((winners.load(SeqCst), refused), (1, THREADS - 1), "race {n}");
    }
}

#[tokio::test(start_paused = true)]
async fn l17_change_at_run_time() {
    let ten = Limit::per_second(10);
    in_a_crowd(limit(REFERENCE), async |crowd| {
        // Mid-cycle, with two and a half tokens left.
        assert_eq!(count(crowd, 5, Visit::new), 5);
        advance(500 * MS).await;
        crowd.handle().update(ten);
        assert_eq!(count(crowd, 9, Visit::new), 2, "no token twice");
        let wait = told(&mut crowd.enter(Visit::new()));
        assert!(wait <= 100 * MS, "{wait:?}");
        advance(wait).await;
        assert_eq!(count(crowd, 9, Visit::new), 1);
        advance(500 * MS).await;
        assert_eq!(count(crowd, 9, Visit::new), 5, "at the new rate from here on");
        advance(60 * SECOND).await;
        assert_eq!(count(crowd, 20, Visit::new), 10);

        // Down again: nobody owes anything, and nothing is granted twice.
        advance(60 * SECOND).await;
        crowd.handle().update(REFERENCE);
        assert_eq!(count(crowd, 20, Visit::new), 5);
        // To and fro: no grant comes of it.
        for _ in 0..100 {
            crowd.handle().update(ten);
            crowd.handle().update(REFERENCE);
        }
        assert_eq!(count(crowd, 20, Visit::new), 0);
        // Each change in haste may cost a nanosecond.
        assert!(told(&mut crowd.enter(Visit::new())) <= 200 * MS + 200 * NS);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn l19_drain() {
    in_a_crowd(limit(REFERENCE), async |crowd| {
        for _ in 0..3 {
            crowd.handle().drain();
            assert_eq!((count(crowd, 5, Visit::new), crowd.handle().snapshot().remaining), (0, 0));
        }
        assert_eq!(told(&mut crowd.enter(Visit::new())), 200 * MS, "an empty one is not drained further");
        advance(200 * MS).await;
        assert_eq!(count(crowd, 5, Visit::new), 1);
        crowd.handle().reset();
        assert_eq!(count(crowd, 9, Visit::new), 5);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn l21_full_again_not_more() {
    in_a_crowd(limit(REFERENCE), async |crowd| {
        for refills in [1, 10, 1000] {
            assert_eq!(count(crowd, 20, Visit::new), 5);
            advance(refills * SECOND).await;
            let seen = crowd.handle().snapshot();
            assert_eq!((seen.remaining, seen.full_in), (5, Duration::ZERO));
        }
        assert_eq!(count(crowd, 20, Visit::new), 5);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn l22_refuse_is_cheap() {
    in_a_crowd(limit(Limit::per(1, 3600 * SECOND)), async |crowd| {
        assert!(passes(crowd, Visit::new()));
        let (reached, refusals) = (crowd.tally().calls(), 17_000);
        let before = crowd.handle().snapshot();
        let bystanders = (crowd.mode().calls() - 1) * refusals;
        assert_eq!(count(crowd, refusals as usize, Visit::new), 0);
        let after = crowd.handle().snapshot();
        assert_eq!(crowd.tally().calls() - reached, bystanders, "the inner service is untouched");
        assert_eq!((after.refused - before.refused, after.full_in), (refusals, before.full_in));
    })
    .await;
}

#[test]
fn l22_refuse_is_cheap_a_million_times() {
    let layer = LimitLayer::new(Limit::per(1, 3600 * SECOND)).typed();
    let probe = Probe::new(|()| std::future::ready(Ok::<_, BoxError>(())));
    let tally = probe.tally();
    let service = layer.layer(probe);
    layer.handle().drain();
    for _ in 0..1_000_000 {
        assert!(conformance::at_once(service.clone().oneshot(())).is_err());
    }
    assert_eq!((tally.calls(), layer.handle().snapshot().refused), (0, 1_000_000));
}
