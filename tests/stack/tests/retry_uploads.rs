//! Request bodies that go out more than once: to the byte up to the limit, and beyond it untouched and once.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_client::{Body, Client, Error, Response};
use bartizan_retry::{Retry, RetryLayer};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use stack::{Ledger, boxed, clients, retry, serve, soon, until};
use std::convert::Infallible;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

const CAP: usize = Retry::DEFAULT_MAX_BODY;
const BIG: usize = 5 << 20;

fn bytes(len: usize) -> Bytes {
    let mut bytes = vec![0; len];
    fastrand::Rng::with_seed(len as u64).fill(&mut bytes);
    bytes.into()
}

/// A body in odd chunks, which does not say how long it is.
fn odd(mut data: Bytes, trailers: Option<HeaderMap>) -> Body {
    let mut dice = fastrand::Rng::with_seed(7);
    let mut frames = Vec::new();
    while !data.is_empty() {
        let chunk = data.split_to(dice.usize(1..=33_333).min(data.len()));
        frames.push(Ok::<_, Infallible>(Frame::data(chunk)));
    }
    frames.extend(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
    // Not all at once.
    let frames = stream::iter(frames).then(|frame| async {
        tokio::task::yield_now().await;
        frame
    });
    Body::new(StreamBody::new(frames))
}

fn trailers() -> HeaderMap {
    HeaderMap::from_iter([(http::header::ETAG, HeaderValue::from_static("x"))])
}

async fn put(client: &Client, url: &str, id: &str, body: Body) -> Result<Response, Error> {
    soon(client.put(url).header("x-request-id", id).body(body).send()).await
}

#[tokio::test]
async fn the_second_attempt_is_the_first_to_the_byte() {
    let ledger = Ledger::new();
    let url = serve(ledger.app()).await;
    for (max_body, sizes) in [(CAP, &[0, 1, 12_345, CAP][..]), (BIG, &[CAP + 1, BIG])] {
        let layer = RetryLayer::new(retry().max_body(max_body));
        for (name, client) in clients!(layer) {
            for &size in sizes {
                for script in ["early-ok", "503-ok", "mid-ok", "cut-ok", "early-mid-ok"] {
                    for sized in [true, false] {
                        let id = format!("{name}, {size} bytes, {script}, sized: {sized}, limit {max_body}");
                        println!("{id}");
                        let data = bytes(size);
                        let body =
                            if sized { Body::new(Full::new(data.clone())) } else { odd(data.clone(), None) };
                        let answer = put(&client, &format!("{url}/?{script}"), &id, body).await;
                        assert_eq!(answer.unwrap().status(), StatusCode::OK);
                        let received = ledger.received(&id);
                        assert_eq!(received.len(), script.split('-').count());
                        for received in &received {
                            assert!(data.starts_with(&received.body));
                            assert!(!received.whole || received.body == data);
                        }
                        assert!(received.last().unwrap().whole);
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn trailers_go_out_again() {
    let (ledger, layer) = (Ledger::new(), RetryLayer::new(retry()));
    let url = serve(ledger.app()).await;
    for (name, client) in [
        ("reqwest", Client::new(boxed!(&layer, stack::reqwest(true)))),
        ("hyper", Client::new(boxed!(&layer, stack::hyper(true)))),
    ] {
        for size in [0, 1, 12_345, CAP] {
            for script in ["early-503-ok", "mid-503-ok", "503-cut-ok"] {
                let id = format!("{name}, {size} bytes, {script}");
                println!("{id}");
                // There is no first frame of nothing.
                let script = if size == 0 { "503-cut-ok" } else { script };
                let body = odd(bytes(size), Some(trailers()));
                let answer = put(&client, &format!("{url}/?{script}"), &id, body).await;
                assert_eq!(answer.unwrap().status(), StatusCode::OK);
                let received = ledger.received(&id);
                assert_eq!(received.len(), 3);
                for received in received.iter().filter(|received| received.whole) {
                    assert!(received.body == bytes(size));
                    assert_eq!(received.trailers, Some(trailers()));
                }
                assert!(received[1].whole && received[2].whole);
            }
        }
    }
}

#[tokio::test]
async fn beyond_the_limit_it_goes_out_once_and_whole() {
    let ledger = Ledger::new();
    let url = serve(ledger.app()).await;
    for size in [CAP + 1, BIG] {
        let layer = RetryLayer::new(retry());
        let handle = layer.handle();
        for (name, client) in clients!(layer) {
            for script in ["503-ok", "cut-ok"] {
                for sized in [true, false] {
                    let id = format!("{name}, {size} bytes, {script}, sized: {sized}");
                    println!("{id}");
                    let data = bytes(size);
                    let body =
                        if sized { Body::new(Full::new(data.clone())) } else { odd(data.clone(), None) };
                    let answer = put(&client, &format!("{url}/?{script}"), &id, body).await;
                    match script {
                        "503-ok" => assert_eq!(answer.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE),
                        _ => assert!(matches!(&answer, Err(Error::Unanswered(_))), "{answer:?}"),
                    }
                    let received = ledger.received(&id);
                    assert_eq!((received.len(), ledger.effects(&id)), (1, 1));
                    assert!(received[0].body == data);
                }
            }
            // A body that says how long it is is too long from its start.
            let id = format!("{name}, {size} bytes, early");
            let body = Body::new(Full::new(bytes(size)));
            drop(put(&client, &format!("{url}/?early-ok"), &id, body).await);
            assert_eq!(ledger.received(&id).len(), 1, "{id}");
        }
        let seen = handle.snapshot();
        assert_eq!((seen.calls, seen.retries, seen.too_large), (20, 0, 20));
    }
}

#[tokio::test]
async fn what_is_not_there_yet_is_not_waited_for() {
    let (ledger, layer) = (Ledger::new(), RetryLayer::new(retry()));
    let url = serve(ledger.app()).await;
    for (name, client) in clients!(layer) {
        for script in ["early-ok", "mid-ok"] {
            let id = format!("{name}, {script}");
            println!("{id}");
            let (say, said) = mpsc::channel::<&str>(1);
            let frames =
                ReceiverStream::new(said).map(|chunk| Ok::<_, Infallible>(Frame::data(chunk.into())));
            let body = Body::new(StreamBody::new(frames));
            let url = format!("{url}/?{script}");
            let (answer, ()) = tokio::join!(put(&client, &url, &id, body), async {
                say.send("first, ").await.unwrap();
                // The rest comes when the second attempt is there already.
                until(|| ledger.received(&id).len() == 2).await;
                say.send("second").await.unwrap();
                drop(say);
            });
            assert_eq!(answer.unwrap().status(), StatusCode::OK);
            assert_eq!(ledger.received(&id)[1].body, "first, second");
        }
    }
}

#[tokio::test]
async fn all_bodies_together_have_a_limit() {
    let (ledger, layer) = (Ledger::new(), RetryLayer::new(retry().max_bodies(100_000)));
    let url = serve(ledger.app()).await;
    let client = Client::new(boxed!(&layer, stack::hyper(true)));
    let hang = format!("{url}/?hang");
    let held = put(&client, &hang, "held", Body::from(bytes(CAP)));
    let other = async {
        until(|| ledger.received("held").iter().any(|received| received.whole)).await;
        let (script, body) = (format!("{url}/?503-ok"), || Body::from(bytes(CAP)));
        let late = put(&client, &script, "late", body()).await.unwrap();
        assert_eq!((late.status(), ledger.received("late").len()), (StatusCode::SERVICE_UNAVAILABLE, 1));
        let small = put(&client, &script, "small", Body::from(bytes(1000))).await.unwrap();
        assert_eq!((small.status(), ledger.received("small").len()), (StatusCode::OK, 2));
    };
    tokio::select! {
        answer = held => panic!("{answer:?}"),
        () = other => {}
    }
    // What was held is there again.
    let again = put(&client, &format!("{url}/?503-ok"), "again", Body::from(bytes(CAP))).await.unwrap();
    assert_eq!(again.status(), StatusCode::OK);
}
