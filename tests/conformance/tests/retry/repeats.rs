//! Rows R27 to R29, R35 and R37: what is repeated.

use crate::{MS, copy, play, play_http, reference};
use bartizan_retry::{IDEMPOTENCY_KEY, RetryLayer, RetryOn};
use conformance::Flavour;
use conformance::again::{Ask, DOWN, LOST, OK, Saying, Stage, Turn, UNREACHED, Upload, get, on_stage, post};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use std::time::Duration;
use tower::Layer;

fn order() -> Request<Upload> {
    let mut request = post();
    *request.body_mut() = Full::from("3 apples").map_err(|never| match never {}).boxed_unsync();
    request
}

#[tokio::test(start_paused = true)]
async fn r27_never_reached_the_server() {
    play(reference(), async |stage| {
        let heard = stage.send(order(), &[UNREACHED, OK]).await;
        assert_eq!((heard.said.as_str(), heard.at), ("200 from 1", Duration::ZERO));
        let (sent, seen) = (stage.sent(), stage.handle().snapshot());
        assert_eq!((sent.len(), seen.resent, seen.retries), (2, 1, 0));
        assert!(sent.iter().all(|sent| sent.attempt == 0 && sent.header("x-request-attempt").is_empty()));
        let purse = stage.handle().purse().snapshot();
        assert_eq!((purse.tokens, purse.retries, purse.failures_in_a_row), (1000.0, 0, 0));

        // Once; what follows is a retry like any other, even of an order, for it has not arrived either.
        stage.send(order(), &[UNREACHED, UNREACHED, OK]).await;
        let (sent, seen) = (stage.sent(), stage.handle().snapshot());
        assert_eq!((stage.times(), seen.resent, seen.retries), (vec![0, 0, 100], 2, 1));
        assert_eq!(sent[2].attempt, 1);
        // It takes no attempt away.
        let heard = stage.call(&[UNREACHED, DOWN, DOWN, DOWN, OK]).await;
        assert_eq!(heard.said, "200 from 4");
    })
    .await;
    play(reference().max_retries(0), async |stage| {
        stage.send(order(), &[UNREACHED]).await;
        assert_eq!(stage.sent().len(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn r28_may_have_reached_the_server() {
    play_http(reference(), async |stage| {
        for (turn, said) in [(LOST, "lost in 0"), (DOWN, "503 from 0")] {
            let heard = stage.send(order(), &[turn, OK]).await;
            assert_eq!((heard.said.as_str(), stage.sent().len()), (said, 1));
        }
        assert_eq!(stage.handle().snapshot().not_repeatable, 2);
        // It had not arrived, and then it may have.
        let heard = stage.send(order(), &[UNREACHED, LOST, OK]).await;
        assert_eq!((heard.said.as_str(), stage.sent().len()), ("lost in 1", 2));
    })
    .await;
    // In the typed flavour, what cannot be copied is not repeated.
    let build = |_| {
        let layer = RetryLayer::new(reference()).typed(|_: &Ask| None).classify(Saying);
        Stage::typed((), |inner| layer.layer(inner))
    };
    on_stage(build, async |stage| {
        stage.call(&[LOST, OK]).await;
        assert_eq!(stage.sent().len(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn r29_key_makes_it_repeatable() {
    play_http(reference(), async |stage| {
        let mut request = order();
        request.headers_mut().insert(IDEMPOTENCY_KEY, "order-7".parse().unwrap());
        let heard = stage.send(request, &[LOST, DOWN, OK]).await;
        assert_eq!((heard.said.as_str(), stage.sent().len()), ("200 from 2", 3));
        for copy in stage.sent() {
            assert_eq!(copy.header("idempotency-key"), ["order-7"]);
            assert_eq!(
                (copy.head.method.clone(), copy.read.unwrap().to_string()),
                (Method::POST, "3 apples".into())
            );
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn r35_categories_mean_what_they_say() {
    let all = [500, 502, 503, 504, 409, 400].map(Turn::status);
    let failures = [Turn::status(500), Turn::status(502), DOWN, Turn::status(504), LOST];
    let gateway = [Turn::status(502), DOWN, Turn::status(504), LOST];
    let conflict = [Turn::status(409)];
    // What never arrived is resent once whatever the category: it counts as retried from the third copy on.
    for (on, retried, unreached) in [
        (RetryOn::FAILURES, &failures[..], 5),
        (RetryOn::GATEWAY, &gateway, 5),
        (RetryOn::CONNECT, &[], 5),
        (RetryOn::code(409), &conflict, 2),
        (RetryOn::CONNECT.and(RetryOn::code(409)), &conflict, 5),
    ] {
        play_http(reference().on(on), async |stage| {
            for turn in all.iter().chain(&[LOST]) {
                stage.call(&[*turn]).await;
                let same = |other: &Turn| format!("{other:?}") == format!("{turn:?}");
                let ought = if retried.iter().any(same) { 4 } else { 1 };
                assert_eq!(stage.sent().len(), ought, "{on:?} {turn:?}");
            }
            stage.call(&[UNREACHED]).await;
            assert_eq!(stage.sent().len(), unreached, "{on:?}");
        })
        .await;
    }
    // Typed errors have no codes.
    for (on, lost, unreached) in
        [(RetryOn::GATEWAY, 4, 5), (RetryOn::CONNECT, 1, 5), (RetryOn::code(409), 1, 2)]
    {
        play(reference().on(on), async |stage| {
            stage.call(&[LOST]).await;
            assert_eq!(stage.sent().len(), lost, "{on:?}");
            stage.call(&[UNREACHED]).await;
            assert_eq!(stage.sent().len(), unreached, "{on:?}");
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn r37_method_filter() {
    let build = |flavour| {
        let layer = RetryLayer::new(reference());
        match flavour {
            Flavour::Http => {
                let layer = layer.repeat(|head| matches!(*head.method, Method::GET | Method::HEAD));
                Stage::http((), |inner| layer.layer(inner))
            }
            Flavour::Typed => {
                let layer = layer.typed(copy).classify(Saying);
                Stage::typed((), |inner| layer.layer(inner))
            }
        }
    };
    on_stage(build, async |stage| {
        let times = stage.call(&[Turn::status(500), OK]).await.at;
        assert_eq!((stage.sent().len(), times), (2, 100 * MS));
        if stage.flavour() == Flavour::Http {
            for (method, sent) in
                [(Method::HEAD, 2), (Method::POST, 1), (Method::PUT, 1), (Method::DELETE, 1)]
            {
                let mut request = get();
                *request.method_mut() = method.clone();
                request.headers_mut().insert(IDEMPOTENCY_KEY, "7".parse().unwrap());
                stage.send(request, &[Turn::status(500), OK]).await;
                assert_eq!(stage.sent().len(), sent, "{method}");
            }
        }
    })
    .await;
    play_http(reference(), async |stage| {
        stage.send(post(), &[Turn::status(500), OK]).await;
        assert_eq!(stage.sent().len(), 1);
    })
    .await;
}
