//! Rows H13, H14, H16 and H22: what is sent, and where.

use crate::{MS, REFERENCE, play, play_http};
use bartizan_core::Context;
use bartizan_hedge::{HedgeLayer, IDEMPOTENCY_KEY};
use conformance::again::{
    Ask, DOWN, HANGS, LOST, OK, Picker, Picks, Saying, Stage, Upload, get, on_stage, on_stage_http, post,
};
use http_body_util::{BodyExt, Full};
use tokio::time::timeout;
use tower::Layer;

#[tokio::test(start_paused = true)]
async fn h13_not_idempotent() {
    play_http(REFERENCE, async |stage| {
        for (turn, said) in [(OK, "200 from 0"), (DOWN, "503 from 0"), (LOST, "lost in 0")] {
            let heard = stage.send(post(), &[turn.lasting(350), OK]).await;
            assert_eq!((heard.said.as_str(), heard.at, stage.sent().len()), (said, 350 * MS, 1));
        }
        let mut keyed = post();
        keyed.headers_mut().insert(IDEMPOTENCY_KEY, "7".parse().unwrap());
        assert_eq!(stage.send(keyed, &[HANGS, OK]).await.said, "200 from 1");
    })
    .await;
}

fn put(bytes: usize) -> http::Request<Upload> {
    let mut request = get();
    *request.method_mut() = http::Method::PUT;
    *request.body_mut() = Full::from(vec![b'x'; bytes]).map_err(|never| match never {}).boxed_unsync();
    request
}

#[tokio::test(start_paused = true)]
async fn h14_cannot_copy() {
    let build = |_| {
        let layer = HedgeLayer::new(REFERENCE).typed(|_: &Ask| None).classify(Saying);
        Stage::typed((), |inner| layer.layer(inner))
    };
    on_stage(build, async |stage| {
        for (turn, said) in [(OK, "200 from 0"), (LOST, "lost in 0")] {
            let heard = stage.call(&[turn.lasting(350), OK]).await;
            assert_eq!((heard.said.as_str(), heard.at, stage.sent().len()), (said, 350 * MS, 1));
        }
    })
    .await;
    play_http(REFERENCE, async |stage| {
        for (bytes, copies) in [(64 * 1024, 2), (64 * 1024 + 1, 1)] {
            let heard = stage.send(put(bytes), &[OK.lasting(350), OK]).await;
            assert_eq!(heard.said, format!("200 from {}", copies - 1));
            assert_eq!(stage.sent().len(), copies);
            for sent in stage.sent() {
                assert_eq!(sent.read.unwrap().to_string().len(), bytes, "each copy has the whole body");
            }
        }
        assert!(stage.handle().snapshot().too_large > 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn h16_each_send_knows_its_number() {
    play(REFERENCE, async |stage| {
        let call = stage.start(get(), &[HANGS]).await;
        timeout(5000 * MS, call).await.unwrap_err();
        assert_eq!(stage.sent().iter().map(|sent| sent.attempt).collect::<Vec<_>>(), [0, 1, 2]);
        // A copy is not copied again further down, nor a retry.
        let second = Context::new().with_attempt(1);
        second.scope(stage.call(&[OK.lasting(350)])).await;
        assert_eq!(stage.sent().len(), 1);
    })
    .await;
    play_http(REFERENCE, async |stage| {
        let mut request = get();
        request.headers_mut().insert("x-mine", 7.into());
        let call = stage.start(request, &[HANGS]).await;
        timeout(5000 * MS, call).await.unwrap_err();
        let sent = stage.sent();
        let numbers: Vec<Vec<&str>> = sent.iter().map(|sent| sent.header("x-request-attempt")).collect();
        assert_eq!(numbers, [vec![], vec!["1"], vec!["2"]], "each has its own headers");
        assert!(sent.iter().all(|sent| sent.header("x-mine") == ["7"]));
        for (n, sent) in sent.iter().enumerate() {
            let given = sent.head.extensions.get::<Context>().map_or(0, Context::attempt);
            assert_eq!(given as usize, n);
        }
        let mut request = get();
        request.headers_mut().insert("x-request-attempt", 1.into());
        stage.send(request, &[OK.lasting(350)]).await;
        assert_eq!(stage.sent().len(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn h22_another_endpoint() {
    let build = || {
        let (layer, picks) = (HedgeLayer::new(REFERENCE.max_hedges(3)), Picks::default());
        Stage::http(picks.clone(), |inner| layer.layer(Picker::new(inner, picks)))
    };
    on_stage_http(build, async |stage| {
        let call = stage.start(get(), &[HANGS]).await;
        let primary = stage.handle().take().pop();
        timeout(5000 * MS, call).await.unwrap_err();
        let picks: Vec<usize> = primary.into_iter().chain(stage.handle().take()).collect();
        assert_eq!(picks, [0, 1, 2, 0], "elsewhere, and then anywhere");
    })
    .await;
}
