//! Rows H03, H07 to H10 and H20: how a call ends.

use crate::{MS, REFERENCE, copy, play, play_http};
use bartizan_hedge::{HedgeLayer, Outcome, Repeatable};
use conformance::Flavour;
use conformance::again::{
    Ask, BAD, DOWN, HANGS, LOST, OK, Saying, Script, Turn, Upload, get, grpc, http_inner, typed_inner,
};
use http::Request;
use std::pin::pin;
use tokio::time::{sleep, timeout};
use tower::{Layer, Service, ServiceExt};

fn repeatable() -> Request<Upload> {
    let mut request = grpc();
    request.extensions_mut().insert(Repeatable(true));
    request
}

#[tokio::test(start_paused = true)]
async fn h03_first_success_wins() {
    play(REFERENCE, async |stage| {
        let heard = stage.call(&[HANGS, OK.lasting(50)]).await;
        assert_eq!((heard.said.as_str(), heard.at), ("200 from 1", 150 * MS));
        assert_eq!((stage.sent().len(), stage.tally().dropped()), (2, stage.mode().calls()));
    })
    .await;
    // The other is gone with the answer, and not only when the call is dropped.
    for turns in [[HANGS, OK.lasting(50)], [OK.lasting(150), HANGS]] {
        let inner = http_inner();
        let (tally, mut request) = (inner.tally(), get());
        request.extensions_mut().insert(Script::new(&turns));
        let mut service = HedgeLayer::new(REFERENCE).layer(inner);
        let mut call = pin!(service.ready().await.unwrap().call(request));
        let _answer = call.as_mut().await.unwrap();
        assert_eq!((tally.calls(), tally.dropped()), (2, 1));

        let inner = typed_inner();
        let tally = inner.tally();
        let mut service = HedgeLayer::new(REFERENCE).typed(copy).classify(Saying).layer(inner);
        let mut call = pin!(service.ready().await.unwrap().call(Ask(Script::new(&turns))));
        let _answer = call.as_mut().await.unwrap();
        assert_eq!((tally.calls(), tally.dropped()), (2, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn h07_fatal_failure_ends() {
    play(REFERENCE, async |stage| {
        let heard = stage.call(&[HANGS, BAD.lasting(20)]).await;
        assert_eq!((heard.said.as_str(), heard.at), ("400 from 1", 120 * MS));
        sleep(1000 * MS).await;
        assert_eq!((stage.sent().len(), stage.tally().running()), (2, 0));
    })
    .await;
}

/// The failure that came last is the answer, and over HTTP says how the others ended.
#[tokio::test(start_paused = true)]
async fn h08_all_fail() {
    play(REFERENCE, async |stage| {
        let turns = [Turn::status(500).lasting(250), Turn::status(502).lasting(250), LOST.lasting(60)];
        let heard = stage.call(&turns).await;
        assert_eq!((heard.said.as_str(), heard.at), ("502 from 1", 350 * MS));
        assert_eq!(stage.times(), [0, 100, 200]);
        if stage.flavour() == Flavour::Http {
            let others = heard.head.unwrap().extensions.get::<bartizan_hedge::FailedCopies>().cloned();
            assert_eq!(others.unwrap().0, [Outcome::Status(500), Outcome::Lost]);
        }
        let heard = stage.call(&[DOWN, LOST, LOST]).await;
        assert_eq!((heard.said.as_str(), heard.at.as_millis()), ("lost in 2", 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn h09_do_not_hint() {
    const PUSHBACK: &str = "grpc-retry-pushback-ms";
    play_http(REFERENCE, async |stage| {
        for no in [Turn::grpc(14), Turn::grpc_late(14)] {
            let turns = [no.with(PUSHBACK, "-1").lasting(150), Turn::grpc(0).lasting(200)];
            let heard = stage.send(repeatable(), &turns).await;
            assert_eq!((heard.said.as_str(), heard.at), ("grpc 0 from 1", 300 * MS));
            assert_eq!(stage.times(), [0, 100]);
            // Alone, it is the end.
            let heard = stage.send(repeatable(), &[no.with(PUSHBACK, "-1").lasting(50)]).await;
            assert_eq!((heard.said.as_str(), heard.at), ("grpc 14 from 0", 50 * MS));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn h10_later_hint() {
    play(REFERENCE, async |stage| {
        let (request, later) = match stage.flavour() {
            Flavour::Http => (repeatable(), Turn::grpc(14).with("grpc-retry-pushback-ms", "40")),
            Flavour::Typed => (get(), Turn::status(429).after(40 * MS)),
        };
        let call = stage.start(request, &[later.lasting(30), HANGS]).await;
        timeout(5000 * MS, call).await.unwrap_err();
        assert_eq!(stage.times(), [0, 70, 170]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn h20_caller_leaves() {
    play(REFERENCE, async |stage| {
        let mut call = stage.start(get(), &[HANGS]).await;
        timeout(250 * MS, &mut call).await.unwrap_err();
        assert_eq!(stage.tally().running(), 3);
        drop(call);
        assert_eq!((stage.tally().running(), stage.tally().dropped()), (0, 3 + stage.mode().calls() - 1));
        let mut call = stage.start(get(), &[HANGS]).await;
        timeout(50 * MS, &mut call).await.unwrap_err();
        drop(call);
        sleep(1000 * MS).await;
        assert_eq!((stage.tally().running(), stage.sent().len()), (0, 1), "nobody waits any more");
    })
    .await;
}
