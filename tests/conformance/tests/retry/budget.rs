//! Rows R19 to R21 and R26: who pays. Rows R22 to R25 are about budgets of other kinds.

use crate::{AMPLE, MS, play, reference};
use bartizan_hedge::{Hedge, HedgeLayer};
use bartizan_retry::{Budget, Handle, Purse, RetryLayer};
use conformance::Flavour;
use conformance::again::{BAD, DOWN, OK, REFUSED, Saying, Stage, Turn, on_stage, post};
use std::time::Duration;
use tower::{BoxError, Layer, ServiceExt, service_fn};

/// The retry throttling of gRPC.
const THROTTLING: Budget =
    Budget::new().min_tokens(10).ratio(0.5).charge_failures(true).persistence(1.0).cap(Duration::ZERO);

#[tokio::test(start_paused = true)]
async fn r19_token_budget_exact_walk() {
    let good = |n: usize| matches!(n, 0 | 3 | 6 | 10..=14 | 16 | 18);
    play(reference().budget(THROTTLING), async |stage| {
        let (mut served, mut walk) = (0, Vec::new());
        for _ in 0..12 {
            let turns: Vec<Turn> = (served..served + 4).map(|n| if good(n) { OK } else { DOWN }).collect();
            let heard = stage.call(&turns).await;
            let attempts = stage.sent().len();
            served += attempts;
            walk.push(format!("{}{attempts}", if heard.said.starts_with("200") { 'S' } else { 'F' }));
        }
        let ought = ["S1", "S3", "S3", "F2", "F1", "S1", "S1", "S1", "S1", "S1", "S2", "F1"];
        assert_eq!(walk, ought);
    })
    .await;
}

fn tokens(stage: &Stage<Handle>) -> f64 {
    stage.handle().purse().snapshot().tokens
}

#[tokio::test(start_paused = true)]
async fn r20_only_relevant_failures_cost() {
    for budget in [THROTTLING, AMPLE.min_tokens(10).ratio(0.5).cap(Duration::ZERO)] {
        play(reference().max_retries(1).budget(budget), async |stage| {
            assert_eq!(tokens(stage), 10.0);
            stage.call(&[OK]).await;
            assert_eq!(tokens(stage), 10.0, "no more than it can hold");
            stage.call(&[DOWN, OK]).await;
            assert_eq!(tokens(stage), 9.5, "a failure that is retried costs one, and a success earns a half");
            // None of these is a failure of the service that a retry would help.
            stage.call(&[REFUSED, OK]).await;
            assert_eq!(tokens(stage), 9.5);
            if stage.flavour() == Flavour::Http {
                stage.send(post(), &[DOWN, OK]).await;
                assert_eq!((tokens(stage), stage.sent().len()), (9.5, 1));
            }
            stage.call(&[BAD]).await;
            assert_eq!(tokens(stage), 10.0, "who says with good reason that he will not has not failed");
        })
        .await;
    }
    // gRPC charges for the failure after the last attempt as well.
    play(reference().max_retries(0).budget(THROTTLING), async |stage| {
        stage.call(&[DOWN]).await;
        assert_eq!(stage.handle().purse().snapshot().tokens, 9.0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn r21_empty_budget_does_not_block() {
    for (budget, paid) in [(AMPLE.min_tokens(2), 2), (THROTTLING.min_tokens(4), 1)] {
        play(reference().budget(budget), async |stage| {
            stage.call(&[DOWN]).await;
            assert_eq!((stage.sent().len(), stage.handle().snapshot().out_of_budget), (paid + 1, 1));
            let heard = stage.call(&[DOWN, OK]).await;
            assert_eq!((heard.said.as_str(), heard.at), ("503 from 0", Duration::ZERO));
            assert_eq!((stage.sent().len(), stage.handle().snapshot().out_of_budget), (1, 2));
            assert_eq!(stage.call(&[OK]).await.said, "200 from 0", "what does not fail needs no budget");
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn r26_hedges_draw_on_the_same_purse() {
    let build = |flavour| {
        let purse = Purse::new(AMPLE.min_tokens(8).cap(Duration::ZERO));
        let hedge = Hedge::new().delay(100 * MS).max_hedges(1).budget(AMPLE);
        let hedge = HedgeLayer::new(hedge).purse(purse.clone());
        match flavour {
            Flavour::Http => Stage::http(purse, |inner| hedge.layer(inner)),
            Flavour::Typed => {
                let hedge = hedge.typed(crate::copy).classify(Saying);
                Stage::typed(purse, |inner| hedge.layer(inner))
            }
        }
    };
    on_stage(build, async |stage| {
        let slow = [OK.lasting(350), OK.lasting(50)];
        let purse = stage.handle().clone();
        assert_eq!(stage.call(&slow).await.said, "200 from 1", "the purse pays");
        assert_eq!(purse.snapshot().tokens, 7.0);

        let retry = RetryLayer::new(reference()).purse(purse.clone()).typed(|(): &()| Some(()));
        let down = service_fn(|()| async { Err::<(), BoxError>("down".into()) });
        retry.layer(down).oneshot(()).await.unwrap_err();
        assert_eq!(purse.snapshot().tokens, 4.0, "retries have used it up to the half that is theirs");

        let heard = stage.call(&slow).await;
        assert_eq!((heard.said.as_str(), heard.at), ("200 from 0", 350 * MS));
        assert_eq!((stage.sent().len(), purse.snapshot().unpaid_hedges), (1, 1));
        purse.deposit();
        purse.deposit();
        assert_eq!(stage.call(&slow).await.said, "200 from 1", "it pays again");
    })
    .await;
}
