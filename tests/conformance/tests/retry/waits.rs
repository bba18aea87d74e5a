//! Rows R05 to R09, R13 and R14: how long.

use crate::{AMPLE, MS, S, copy, play, reference, stage};
use bartizan_deadline::{Deadline, DeadlineLayer};
use bartizan_retry::{Backoff, Handle, Jitter, Retry, RetryLayer};
use conformance::again::{DOWN, HANGS, OK, Saying, Stage, get, on_stage};
use conformance::{Flavour, at_once};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tower::Layer;

#[tokio::test(start_paused = true)]
async fn r05_backoff_curve() {
    for (backoff, times) in [
        (crate::curve(), [0, 100, 300, 700, 1500, 2500]),
        (crate::curve().factor(1.0), [0, 100, 200, 300, 400, 500]),
        (Backoff::linear(300 * MS, S).jitter(Jitter::None), [0, 300, 900, 1800, 2800, 3800]),
        (Backoff::constant(70 * MS).jitter(Jitter::None), [0, 70, 140, 210, 280, 350]),
        (Backoff::by(|n| Some(n * MS)), [0, 1, 3, 6, 10, 15]),
    ] {
        play(reference().max_retries(5).backoff(backoff), async |stage| {
            stage.call(&[DOWN]).await;
            assert_eq!(stage.times(), times);
        })
        .await;
    }
}

/// The waits of so many calls, each of so many retries.
async fn draws(stage: &mut Stage<Handle>, calls: u32, retries: usize) -> Vec<Vec<Duration>> {
    let mut all = Vec::new();
    for _ in 0..calls {
        // Which pays for as many retries.
        (0..retries).for_each(|_| stage.handle().purse().deposit());
        stage.call(&[DOWN]).await;
        all.push(stage.waits());
        assert_eq!(all.last().map(Vec::len), Some(retries));
    }
    all
}

fn many(backoff: Backoff, retries: usize, seed: u64) -> Retry {
    let retries = u32::try_from(retries).unwrap();
    Retry::new().max_retries(retries).backoff(backoff).budget(AMPLE.ratio(1.0)).seed(seed)
}

#[tokio::test(start_paused = true)]
async fn r06_jitter_stays_in_its_band() {
    // So long that the timer's milliseconds do not count.
    let base = 1000 * S;
    for (jitter, least, most) in [(Jitter::Within(0.2), 0.8, 1.2), (Jitter::Full, 0.0, 1.0)] {
        // With a cap above, for one at the wait itself would cut the upper half of the band.
        let backoff = Backoff::linear(base, 10 * base).jitter(jitter);
        let value = |seed| many(Backoff::by(|_| None), 0, seed).max_retries(1).backoff(backoff.clone());
        let first = |stage: Stage<Handle>, calls| async move {
            let mut stage = stage;
            draws(&mut stage, calls, 1).await.concat()
        };
        let draw =
            async |seed, calls| first(stage(Flavour::Typed, RetryLayer::new(value(seed))), calls).await;
        let all = draw(6, 100_000).await;
        let shares: Vec<f64> = all.iter().map(|wait| wait.as_secs_f64() / base.as_secs_f64()).collect();
        let outside = shares.iter().find(|share| **share < least || **share > most + 1e-6);
        assert_eq!(outside, None, "{jitter:?}");
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        let ought = f64::midpoint(least, most);
        assert!((mean / ought - 1.0).abs() < 0.01, "{jitter:?}: {mean}");
        let reach = shares.iter().fold((1.0, 0.0), |(min, max), &x| (f64::min(min, x), f64::max(max, x)));
        assert!(reach.0 < least + 0.01 && reach.1 > most - 0.01, "{jitter:?}: the band is used: {reach:?}");

        // A seed repeats, in whatever mode; another one differs.
        assert_ne!(draw(7, 100).await, all[..100]);
        on_stage(
            |flavour| stage(flavour, RetryLayer::new(value(6))),
            async |stage| assert_eq!(draws(stage, 100, 1).await.concat(), all[..100]),
        )
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn r07_decorrelated_jitter_bounded() {
    let (min, max) = (100 * MS, 5 * S);
    let check = |waits: &[Duration]| {
        let mut previous = min;
        for wait in waits {
            assert!(*wait >= min && *wait <= max.min(3 * previous), "{previous:?} {wait:?}");
            previous = *wait;
        }
    };
    let at_cap = AtomicU64::new(0);
    // 100 000 sequences: short ones in one mode, longer ones in all.
    let value = many(Backoff::decorrelated(min, max), 2, 7);
    let mut short = stage(Flavour::Typed, RetryLayer::new(value));
    draws(&mut short, 96_000, 2).await.iter().for_each(|waits| check(waits));
    play(many(Backoff::decorrelated(min, max), 20, 7), async |stage| {
        for waits in draws(stage, 700, 20).await {
            check(&waits);
            at_cap.fetch_add(waits.iter().filter(|wait| **wait > max * 9 / 10).count() as u64, SeqCst);
        }
    })
    .await;
    assert!(at_cap.into_inner() > 100, "it gets there");
}

#[derive(Default)]
struct Woken(AtomicU64);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Without a runtime there is no timer, and to make one would panic.
#[test]
fn r08_zero_wait_makes_no_timer() {
    let value = reference().backoff(Backoff::constant(Duration::ZERO));
    at_once(play(value, async |stage| {
        let mut call = stage.start(get(), &[DOWN, OK]).await;
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let mut cx = Context::from_waker(&waker);
        assert!(call.as_mut().poll(&mut cx).is_pending(), "it gives way");
        assert_eq!((woken.0.load(SeqCst), stage.sent().len()), (1, 1), "and is woken at once");
        match call.as_mut().poll(&mut cx) {
            Poll::Ready(heard) => assert_eq!(heard.said, "200 from 1"),
            Poll::Pending => panic!("it waits for something else"),
        }
        assert_eq!(woken.0.load(SeqCst), 1);
    }));
}

#[tokio::test(start_paused = true)]
async fn r09_delay_function_may_stop() {
    play(reference().backoff(Backoff::by(|_| None)), async |stage| {
        let heard = stage.call(&[DOWN, OK]).await;
        assert_eq!((heard.said.as_str(), heard.at), ("503 from 0", Duration::ZERO));
        assert_eq!(stage.sent().len(), 1);
        assert_eq!(stage.handle().purse().snapshot().tokens, 1000.0);
    })
    .await;
    let second = |n| (n < 2).then_some(10 * MS);
    play(reference().backoff(Backoff::by(second)), async |stage| {
        let heard = stage.call(&[DOWN, DOWN, OK]).await;
        assert_eq!((heard.said.as_str(), stage.times()), ("503 from 1", vec![0, 10]));
    })
    .await;
}

/// Retry within a deadline, around attempts with a time-out.
fn timed(flavour: Flavour, all: Duration, each: Duration) -> Stage<Handle> {
    let layer = RetryLayer::new(reference());
    let (handle, all) = (layer.handle(), DeadlineLayer::new(Deadline::new(all).from_call(true)).outgoing());
    let each = DeadlineLayer::new(each).outgoing();
    match flavour {
        Flavour::Http => Stage::http(handle, |inner| all.layer(layer.layer(each.layer(inner)))),
        Flavour::Typed => {
            let layer = layer.typed(copy).classify(Saying);
            Stage::typed(handle, |inner| all.typed().layer(layer.layer(each.typed().layer(inner))))
        }
    }
}

#[tokio::test(start_paused = true)]
async fn r13_overall_deadline_rules() {
    let build = |flavour| timed(flavour, 250 * MS, Duration::MAX);
    on_stage(build, async |stage| {
        let heard = stage.call(&[DOWN]).await;
        assert_eq!((heard.said.as_str(), heard.at), ("503 from 1", 100 * MS));
        assert_eq!(stage.times(), [0, 100], "the next would be at 300");
        assert_eq!(stage.handle().snapshot().out_of_time, 1);
    })
    .await;
    // At the deadline itself there is no time left, a moment before there is.
    for (all, said, at) in [(300, "503 from 1", 100), (301, "503 from 2", 300)] {
        let build = |flavour| timed(flavour, all * MS, Duration::MAX);
        on_stage(build, async |stage| {
            let heard = stage.call(&[DOWN]).await;
            assert_eq!((heard.said.as_str(), heard.at), (said, at * MS), "{all}");
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn r14_per_attempt_timeout() {
    let build = |flavour| timed(flavour, S, 50 * MS);
    on_stage(build, async |stage| {
        let heard = stage.call(&[HANGS, OK]).await;
        assert_eq!((heard.said.as_str(), heard.at), ("200 from 1", 150 * MS));
        assert_eq!(stage.tally().dropped(), stage.mode().calls(), "the first is dropped, and any bystander");
    })
    .await;
}
