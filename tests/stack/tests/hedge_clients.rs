//! Hedges around real clients: what goes out twice, and that both copies are the same.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_client::{Body, Client, Error};
use bartizan_hedge::{Budget, FailedCopies, Hedge, HedgeLayer, Outcome};
use bartizan_retry::{Repeatable, RetryLayer};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::StatusCode;
use http_body::Frame;
use http_body_util::StreamBody;
use stack::{Ledger, Unheard, ample, clients, hedge, retry, serve, soon, until};
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tower::{BoxError, Layer, ServiceBuilder, ServiceExt};

const CAP: usize = 64 << 10;
const HOUR: Duration = Duration::from_secs(3600);

fn bytes(len: usize) -> Bytes {
    let mut bytes = vec![0; len];
    fastrand::Rng::with_seed(len as u64).fill(&mut bytes);
    bytes.into()
}

/// All copies at once.
fn at_once() -> HedgeLayer {
    HedgeLayer::new(Hedge::new().delay(Duration::ZERO).budget(ample()))
}

#[tokio::test]
async fn what_may_not_be_repeated_goes_out_once() {
    let ledger = Ledger::new();
    let url = serve(ledger.app()).await;
    for (name, client) in clients!(at_once()) {
        println!("{name}");
        let post = |id: &str| client.post(format!("{url}/?ok")).header("x-request-id", id).body("apples");
        let id = |what| format!("{name}, {what}");
        assert_eq!(soon(post(&id("bare")).send()).await.unwrap().status(), StatusCode::OK);
        assert_eq!((ledger.attempts(&id("bare")).as_str(), ledger.effects(&id("bare"))), ("-", 1));
        let marked = post(&id("keyed")).header("idempotency-key", id("keyed")).extension(Repeatable(false));
        assert_eq!(soon(marked.send()).await.unwrap().status(), StatusCode::OK);
        assert_eq!(ledger.attempts(&id("keyed")), "-");
        // A failure has nothing sent either.
        let url = format!("{url}/?cut");
        let cut = soon(client.post(&url).header("x-request-id", id("cut")).body("apples").send()).await;
        assert!(matches!(&cut, Err(Error::Unanswered(_))), "{cut:?}");
        assert_eq!(ledger.attempts(&id("cut")), "-");
    }
}

#[tokio::test]
async fn all_copies_of_an_upload_are_the_same() {
    let ledger = Ledger::new();
    let url = serve(ledger.app()).await;
    for (name, client) in clients!(at_once()) {
        for size in [0, 1, 12_345, CAP] {
            let id = format!("{name}, {size} bytes");
            println!("{id}");
            let data = bytes(size);
            let frames: Vec<_> = data.chunks(777).map(|chunk| data.slice_ref(chunk)).collect();
            let frames = stream::iter(frames).then(|chunk| async {
                tokio::task::yield_now().await;
                Ok::<_, Infallible>(Frame::data(chunk))
            });
            let body = Body::new(StreamBody::new(Box::pin(frames)));
            let post = client.post(format!("{url}/?hang-hang-ok")).header("x-request-id", &*id);
            let answer = soon(post.header("idempotency-key", &*id).body(body).send()).await;
            assert_eq!(answer.unwrap().status(), StatusCode::OK);
            let mut attempts: Vec<_> =
                ledger.received(&id).into_iter().map(|received| received.attempt).collect();
            attempts.sort();
            assert_eq!(attempts, [None, Some("1".into()), Some("2".into())]);
            for received in ledger.received(&id).iter().filter(|received| received.whole) {
                assert!(received.body == data);
            }
            assert_eq!(ledger.effects(&id), 1);
        }
    }
}

#[tokio::test]
async fn a_copy_does_not_wait_for_what_is_not_there_yet() {
    let (ledger, layer) = (Ledger::new(), at_once());
    let url = serve(ledger.app()).await;
    for (name, client) in clients!(layer) {
        println!("{name}");
        let (say, said) = mpsc::channel::<&str>(1);
        let frames = ReceiverStream::new(said).map(|chunk| Ok::<_, Infallible>(Frame::data(chunk.into())));
        let put = client.put(&url).header("x-request-id", name).body(Body::new(StreamBody::new(frames)));
        let (answer, ()) = tokio::join!(soon(put.send()), async {
            // All copies are there before there is a body.
            until(|| ledger.received(name).len() == 3).await;
            say.send("first, ").await.unwrap();
            say.send("second").await.unwrap();
            drop(say);
        });
        assert_eq!(answer.unwrap().status(), StatusCode::OK);
        assert!(ledger.received(name).iter().any(|received| received.body == "first, second"));
    }
}

#[tokio::test]
async fn beyond_the_limit_there_is_no_copy() {
    let (ledger, layer) = (Ledger::new(), HedgeLayer::new(hedge()));
    let url = serve(ledger.app()).await;
    for (name, client) in clients!(layer) {
        println!("{name}");
        let put = client.put(format!("{url}/?503-ok")).header("x-request-id", name).body(bytes(CAP + 1));
        assert_eq!(soon(put.send()).await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
        let received = ledger.received(name);
        assert_eq!(received.len(), 1);
        assert!(received[0].body == bytes(CAP + 1));
    }
    // Looked for when it failed, and maybe before, when it took long.
    let seen = layer.handle().snapshot();
    assert!(seen.too_large >= 4 && seen.hedges == 0, "{seen:?}");
}

#[tokio::test]
async fn a_failure_wins_over_nobody() {
    let ledger = Ledger::new();
    let url = serve(ledger.app()).await;
    let layer = HedgeLayer::new(Hedge::new().delay(Duration::MAX).budget(ample()));
    for (name, client) in clients!(layer) {
        for (script, status) in [("503-ok", 200), ("cut-ok", 200), ("cut-503-ok", 200), ("503-500-429", 429)]
        {
            let id = format!("{name}, {script}");
            println!("{id}");
            let put = client.put(format!("{url}/?{script}")).header("x-request-id", &*id).body("apples");
            let answer = soon(put.send()).await.unwrap();
            assert_eq!(answer.status(), status);
            assert_eq!(ledger.received(&id).len(), script.split('-').count());
            assert!(ledger.received(&id).iter().all(|received| received.body == "apples"));
            let failed = answer.extensions().get::<FailedCopies>().map(|failed| failed.0.clone());
            let ought = vec![Outcome::Status(503), Outcome::Status(500)];
            assert_eq!(failed, (status == 429).then_some(ought));
        }
        let nobody = soon(client.get(Unheard::new().url()).send()).await;
        assert!(matches!(&nobody, Err(Error::Unanswered(_))), "{nobody:?}");
    }
}

#[tokio::test]
async fn nobody_waits_for_a_copy_that_will_not_be_sent() {
    let ledger = Ledger::new();
    let url = serve(ledger.app()).await;
    for (name, client) in clients!(HedgeLayer::new(hedge().delay(HOUR))) {
        // Who is asked to slow down sends no other; and after the last there is none, whenever the server wants to be asked again.
        for (script, status, copies) in [("429-ok", 429, 1), ("503-429", 429, 2), ("503-full", 503, 2)] {
            let id = format!("{name}, {script}");
            println!("{id}");
            let get = client.get(format!("{url}/?{script}")).header("x-request-id", &*id);
            assert_eq!(soon(get.send()).await.unwrap().status(), status);
            assert_eq!(ledger.received(&id).len(), copies);
        }
    }
}

#[tokio::test]
async fn what_is_slow_is_learnt_and_paid_for() {
    let ledger = Ledger::new();
    let url = serve(ledger.app()).await;
    // Of the purse's two tokens the first half is not for hedges.
    let budget = Budget::new().min_tokens(2).ratio(0.0);
    for (name, client) in clients!({
        let layer = HedgeLayer::new(Hedge::new().warm_up(5).budget(budget));
        layer.handle().purse().withdraw_hedge(bartizan_core::Instant::now()).unwrap().spend();
        layer
    }) {
        println!("{name}");
        for _ in 0..10 {
            assert_eq!(soon(client.get(&url).send()).await.unwrap().status(), StatusCode::OK);
        }
        let before = ledger.requests();
        let get = client.get(format!("{url}/?503-ok")).header("x-request-id", name);
        assert_eq!(soon(get.send()).await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(ledger.requests(), before + 1, "there is nothing left to pay a copy");
    }

    let layer = HedgeLayer::new(Hedge::new().warm_up(5).budget(ample()));
    let handle = layer.handle();
    for (name, client) in clients!(layer) {
        println!("{name}");
        for _ in 0..10 {
            soon(soon(client.get(&url).send()).await.unwrap().bytes()).await.unwrap();
        }
        assert!(handle.snapshot().delay.is_some());
        let id = format!("{name}, slow");
        let get = client.get(format!("{url}/?hang-ok")).header("x-request-id", &*id);
        assert_eq!(soon(get.send()).await.unwrap().status(), StatusCode::OK);
        assert!(ledger.received(&id).len() > 1);
    }
}

#[tokio::test]
async fn the_typed_flavour_over_a_bare_client() {
    let (ledger, layer) = (Ledger::new(), HedgeLayer::new(hedge()));
    let handle = layer.handle();
    let url = serve(ledger.app()).await;
    let client = stack::reqwest(false).into_inner();
    let stack = ServiceBuilder::new()
        .layer(layer.typed(|req: &reqwest::Request| req.try_clone()))
        .map_err(BoxError::from)
        .service(client.clone());
    let put = client.put(format!("{url}/?hang-ok")).header("x-request-id", "slow").body("apples");
    assert_eq!(soon(stack.clone().oneshot(put.build().unwrap())).await.unwrap().status(), StatusCode::OK);
    // Nothing in the request says which attempt it is: only a copy function of one's own could.
    assert_eq!((ledger.attempts("slow").as_str(), handle.snapshot().won), ("- -", 1));
    let unheard = Unheard::new();
    let get = client.get(unheard.url()).build().unwrap();
    assert!(soon(stack.oneshot(get)).await.unwrap_err().is::<reqwest::Error>());
}

#[tokio::test]
async fn a_retry_outside_sees_one_call() {
    let ledger = Ledger::new();
    let url = serve(ledger.app()).await;
    let layers =
        ServiceBuilder::new().layer(RetryLayer::new(retry())).layer(HedgeLayer::new(hedge())).into_inner();
    let stack = layers.layer(stack::hyper(true));
    let client = Client::new(bartizan_client::Boxed::new(stack));
    // The call and its copy, and then each retry alone.
    let put = client.put(format!("{url}/?503-cut-503-ok")).header("x-request-id", "order").body("apples");
    assert_eq!(soon(put.send()).await.unwrap().status(), StatusCode::OK);
    assert_eq!(ledger.attempts("order"), "- 1 1 2");
    assert!(ledger.received("order").iter().all(|received| received.body == "apples"));
}
