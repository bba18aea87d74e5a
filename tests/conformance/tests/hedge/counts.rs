//! Rows H23 and H24: what is counted.

use crate::{REFERENCE, copy, play};
use bartizan_breaker::{BreakerLayer, State};
use bartizan_hedge::HedgeLayer;
use conformance::again::{HANGS, OK, Saying, Stage, on_stage};
use conformance::{Flavour, REFERENCE as BREAKER};
use tower::Layer;

#[tokio::test(start_paused = true)]
async fn h23_superseded_is_not_failure() {
    let build = |flavour| {
        let (hedge, breaker) = (HedgeLayer::new(REFERENCE.max_hedges(1)), BreakerLayer::new(BREAKER));
        let handles = (hedge.handle(), breaker.handle());
        match flavour {
            Flavour::Http => Stage::http(handles, |inner| hedge.layer(breaker.layer(inner))),
            Flavour::Typed => {
                let (hedge, breaker) = (hedge.typed(copy).classify(Saying), breaker.typed());
                Stage::typed(handles, |inner| hedge.layer(breaker.layer(inner)))
            }
        }
    };
    on_stage(build, async |stage| {
        for _ in 0..20 {
            assert_eq!(stage.call(&[HANGS, OK.lasting(50)]).await.said, "200 from 1");
        }
        let (hedge, breaker) = stage.handle();
        let seen = hedge.snapshot();
        assert_eq!((seen.hedges, seen.won, seen.superseded), (20, 20, 20));
        let seen = breaker.snapshot();
        assert_eq!((seen.state, seen.failures, seen.slow, seen.successes), (State::Closed, 0, 0, 20));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn h24_counters() {
    play(REFERENCE.max_hedges(1), async |stage| {
        for n in 0..100 {
            let turns = match n {
                0..4 => [OK.lasting(500), OK.lasting(50)],
                4..10 => [OK.lasting(120), OK.lasting(50)],
                _ => [OK.lasting(20), OK],
            };
            stage.call(&turns).await;
        }
        let seen = stage.handle().snapshot();
        assert_eq!((seen.calls, seen.hedges, seen.won), (stage.calls(), 10, 4));
        assert_eq!(seen.superseded, 10, "each time one of the two");
        assert_eq!(seen.extra_load(), 0.1 / stage.mode().calls() as f64);
        assert_eq!(stage.tally().calls(), seen.calls + seen.hedges);
    })
    .await;
}
