//! Rows R01 to R04, R10 to R12, R34, R43 and R44: how often.

use crate::{MS, copy, play, play_http, reference, stage};
use bartizan_retry::{Budget, MaxRetries, Retry, RetryLayer};
use conformance::again::{Ask, BAD, DOWN, LOST, OK, REFUSED, Saying, Stage, Turn, UNREACHED, get, on_stage};
use conformance::{Flavour, secs};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll};
use tower::{BoxError, Layer, Service};

#[tokio::test(start_paused = true)]
async fn r01_attempts_include_the_first() {
    play(reference(), async |stage| {
        for (turn, last) in [(DOWN, "503 from 3"), (LOST, "lost in 3")] {
            let before = stage.handle().snapshot();
            let heard = stage.call(&[turn]).await;
            assert_eq!(
                (heard.said.as_str(), stage.sent().len()),
                (last, 4),
                "the last failure is the answer"
            );
            let seen = stage.handle().snapshot();
            let attempts = seen.attempts() - before.attempts();
            assert_eq!(attempts, 4 + stage.mode().calls() - 1, "{seen:?}");
            assert_eq!(seen.out_of_tries - before.out_of_tries, 1);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn r02_stops_at_success() {
    play(reference(), async |stage| {
        let heard = stage.call(&[DOWN, LOST, OK]).await;
        assert_eq!((heard.said.as_str(), heard.at), ("200 from 2", 300 * MS));
        assert_eq!(stage.times(), [0, 100, 300]);
        let seen = stage.handle().snapshot();
        assert_eq!((seen.retries, seen.recovered), (2, 1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn r03_not_retryable() {
    play(reference(), async |stage| {
        for (turn, said) in [(BAD, "400 from 0"), (REFUSED, "refused by script: no")] {
            let heard = stage.call(&[turn, OK]).await;
            assert_eq!((heard.said.as_str(), stage.sent().len()), (said, 1));
        }
        if stage.flavour() == Flavour::Http {
            for turn in [Turn::grpc(3), Turn::grpc_late(3)] {
                let mut request = conformance::again::grpc();
                request.extensions_mut().insert(bartizan_retry::Repeatable(true));
                let heard = stage.send(request, &[turn, OK]).await;
                assert_eq!((heard.said.as_str(), stage.sent().len()), ("grpc 3 from 0", 1));
            }
        }
    })
    .await;
}

/// That there are no attempts at all cannot be said.
#[tokio::test(start_paused = true)]
async fn r04_zero_or_one_attempt() {
    play(reference().max_retries(0), async |stage| {
        let heard = stage.call(&[DOWN, OK]).await;
        assert_eq!((heard.said.as_str(), stage.sent().len()), ("503 from 0", 1));
        assert_eq!(stage.handle().snapshot().out_of_tries, 1);
    })
    .await;
}

/// Is ready at once for the first time, and then as it is told to be.
#[derive(Clone)]
struct Slow<S> {
    inner: S,
    asked: Arc<AtomicU64>,
    later: Later,
}

#[derive(Clone, Copy, PartialEq)]
enum Later {
    Waits,
    Fails,
}

impl<S: Service<Req, Error = BoxError>, Req> Service<Req> for Slow<S> {
    type Response = S::Response;
    type Error = BoxError;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let asked = self.asked.fetch_add(1, SeqCst);
        match self.later {
            Later::Fails if asked > 0 => Poll::Ready(Err("no more".into())),
            Later::Waits if asked % 2 == 1 => {
                let waker = cx.waker().clone();
                tokio::spawn(async move {
                    tokio::time::sleep(40 * MS).await;
                    waker.wake();
                });
                Poll::Pending
            }
            _ => self.inner.poll_ready(cx),
        }
    }

    fn call(&mut self, req: Req) -> S::Future {
        self.inner.call(req)
    }
}

/// The stage of a service whose readiness is not to be taken for granted. Only in the modes without bystanders, who would ask as well.
async fn with_readiness(later: Later, row: impl AsyncFn(&mut Stage<bartizan_retry::Handle>)) {
    let build = |flavour| {
        let (layer, asked) = (RetryLayer::new(reference()), Arc::default());
        match flavour {
            Flavour::Http => Stage::http(layer.handle(), |inner| layer.layer(Slow { inner, asked, later })),
            Flavour::Typed => {
                let layer = layer.typed(copy).classify(Saying);
                Stage::typed(layer.handle(), |inner| layer.layer(Slow { inner, asked, later }))
            }
        }
    };
    let row = async |stage: &mut Stage<_>| {
        if stage.mode().calls() == 1 {
            row(stage).await;
        }
    };
    on_stage(build, row).await;
}

#[tokio::test(start_paused = true)]
async fn r10_readiness_before_every_attempt() {
    // The inner service panics if it is called before it was made ready.
    play(reference(), async |stage| {
        stage.call(&[DOWN, DOWN, OK]).await;
        assert_eq!(stage.tally().ready_polls(), 3 + stage.mode().calls() - 1);
    })
    .await;
    with_readiness(Later::Waits, async |stage| {
        stage.call(&[DOWN, DOWN, OK]).await;
        assert_eq!(stage.times(), [0, 140, 380], "it is waited for");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn r11_readiness_error_ends_it() {
    with_readiness(Later::Fails, async |stage| {
        let heard = stage.call(&[DOWN, OK]).await;
        assert_eq!((heard.said.as_str(), stage.sent().len()), ("no more", 1));
        let seen = stage.handle().snapshot();
        assert_eq!((seen.retries, stage.handle().purse().snapshot().tokens), (0, 1000.0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn r12_request_cannot_be_copied() {
    let copies: [fn(u64) -> bool; 2] = [|_| false, |n| n == 0];
    for may_copy in copies {
        let build = |_| {
            let asked = Arc::new(AtomicU64::new(0));
            let copy = move |ask: &Ask| may_copy(asked.fetch_add(1, SeqCst)).then(|| ask.clone());
            let layer = RetryLayer::new(reference()).typed(copy).classify(Saying);
            Stage::typed(layer.handle(), |inner| layer.layer(inner))
        };
        on_stage(build, async |stage| {
            let heard = stage.call(&[LOST, OK]).await;
            assert_eq!((heard.said.as_str(), stage.sent().len()), ("lost in 0", 1));
            assert_eq!(stage.call(&[OK]).await.said, "200 from 0");
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn r34_lower_cap_wins() {
    for (policy, cap, attempts) in [
        (Some(8), Some(3), 4),
        (Some(2), Some(9), 3),
        (Some(0), Some(9), 1),
        (None, Some(3), 4),
        (None, None, Retry::DEFAULT_MAX_RETRIES as usize + 1),
    ] {
        let value = Retry::new().backoff(crate::curve()).budget(crate::AMPLE);
        let value = cap.map_or(value.clone(), |cap| value.max_retries(cap));
        play_http(value, async |stage| {
            let mut request = get();
            if let Some(policy) = policy {
                request.extensions_mut().insert(MaxRetries(policy));
            }
            stage.send(request, &[DOWN]).await;
            assert_eq!(stage.sent().len(), attempts, "{policy:?} {cap:?}");
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn r43_label_of_the_end() {
    play(reference(), async |stage| {
        let heard = stage.call(&[DOWN, DOWN, DOWN, OK]).await;
        let seen = stage.handle().snapshot();
        assert_eq!((heard.said.as_str(), seen.recovered, seen.out_of_tries), ("200 from 3", 1, 0));
        stage.call(&[DOWN, DOWN, DOWN, DOWN]).await;
        let seen = stage.handle().snapshot();
        assert_eq!((seen.recovered, seen.out_of_tries), (1, 1));
    })
    .await;
}

/// Of the scripts. Another one must do as well.
const SEED: u64 = 0x44;

#[tokio::test(start_paused = true)]
async fn r44_counters_add_up() {
    println!("seed {SEED:#x}");
    let turns =
        [OK, OK, OK, DOWN, DOWN, LOST, BAD, UNREACHED, REFUSED, REFUSED.after(secs(1.0)), Turn::status(429)];
    // Not all is paid for.
    let value = Retry::new().max_retries(3).seed(7).budget(Budget::new().ratio(0.5).persistence(0.9).seed(7));
    on_stage(
        |flavour| stage(flavour, RetryLayer::new(value.clone())),
        async |stage| {
            let mut dice = fastrand::Rng::with_seed(SEED);
            let (recovered, failed) = (Cell::new(0), Cell::new(0));
            for _ in 0..1000 {
                let script: Vec<Turn> = (0..4).map(|_| *dice.choice(&turns).unwrap()).collect();
                let heard = stage.call(&script).await;
                let good = heard.said.starts_with("200") || heard.said.starts_with("400");
                failed.set(failed.get() + u64::from(!good));
                recovered.set(recovered.get() + u64::from(good && stage.sent().len() > 1));
            }
            let seen = stage.handle().snapshot();
            assert_eq!(seen.calls, stage.calls());
            assert_eq!(seen.attempts(), stage.tally().calls(), "{seen:?}");
            assert_eq!(seen.attempts(), seen.calls + seen.retries + seen.resent + seen.waited);
            assert_eq!(seen.recovered, recovered.get(), "once for each call that was saved");
            let ends = [seen.refused, seen.out_of_tries, seen.out_of_budget];
            assert!(ends.iter().chain(&[seen.retries, seen.resent, seen.waited]).all(|n| *n > 5), "{seen:?}");
            assert_eq!(ends.iter().sum::<u64>(), failed.get(), "{seen:?}");
        },
    )
    .await;
}
