//! Rows H11 and H12: who pays.

use crate::{AMPLE, MS, REFERENCE, copy, play};
use bartizan_core::Instant;
use bartizan_hedge::{Hedge, HedgeLayer, Purse};
use conformance::Flavour;
use conformance::again::{OK, Saying, Stage, on_stage};
use tower::Layer;

#[tokio::test(start_paused = true)]
async fn h11_budget_empty() {
    // The layer's own purse pays for one.
    play(REFERENCE.budget(AMPLE.min_tokens(1).ratio(0.0)), async |stage| {
        for (ought, unpaid) in [(2, 1), (1, 2), (1, 3)] {
            let heard = stage.call(&[OK.lasting(350), OK.lasting(400)]).await;
            assert_eq!((heard.said.as_str(), heard.at), ("200 from 0", 350 * MS));
            assert_eq!((stage.sent().len(), stage.handle().snapshot().unpaid), (ought, unpaid));
        }
    })
    .await;
    // One that it shares pays for none.
    let build = |flavour| {
        let purse = Purse::new(AMPLE.min_tokens(1));
        purse.withdraw(Instant::now()).expect("a token").spend();
        let layer = HedgeLayer::new(REFERENCE).purse(purse.clone());
        match flavour {
            Flavour::Http => Stage::http(purse, |inner| layer.layer(inner)),
            Flavour::Typed => {
                let layer = layer.typed(copy).classify(Saying);
                Stage::typed(purse, |inner| layer.layer(inner))
            }
        }
    };
    on_stage(build, async |stage| {
        let heard = stage.call(&[OK.lasting(350), OK]).await;
        assert_eq!((heard.said.as_str(), heard.at), ("200 from 0", 350 * MS));
        assert_eq!(stage.sent().len(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn h12_extra_load_bound() {
    // The budget is the default one: 5 % of the calls, and at least five.
    play(Hedge::new().delay(100 * MS), async |stage| {
        for _ in 0..10_000 {
            stage.call(&[OK.lasting(150)]).await;
        }
        let seen = stage.handle().snapshot();
        assert!((450..=500 + 5).contains(&seen.hedges), "{seen:?}");
        assert!(seen.unpaid > 9_000);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn h12_extra_load_bound_of_what_is_learnt() {
    play(Hedge::new(), async |stage| {
        let mut dice = fastrand::Rng::with_seed(12);
        for _ in 0..10_000 {
            stage.call(&[OK.lasting(dice.u64(1..1000)), OK.lasting(2)]).await;
        }
        let seen = stage.handle().snapshot();
        assert!((100..=500 + 5).contains(&seen.hedges), "{seen:?}");
    })
    .await;
}
