//! Callers that leave while a retry or a hedge is under way: what they held is back, and nothing of theirs goes on.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_client::{Body, Client};
use bartizan_core::registry;
use bartizan_hedge::{Hedge, HedgeLayer};
use bartizan_retry::{Backoff, Handle, Jitter, RetryLayer};
use bytes::Bytes;
use stack::{Gauge, Ledger, ample, boxed, clients, retry, serve, soon, until};
use std::time::Duration;
use tokio::runtime;
use tower::ServiceBuilder;

const HOUR: Duration = Duration::from_secs(3600);
const SIZE: usize = 30_000;

/// A server that keeps a ledger and counts who is inside.
struct Scene {
    ledger: Ledger,
    gauge: Gauge,
    url: String,
    tasks: usize,
}

impl Scene {
    async fn new() -> Self {
        let (ledger, gauge) = (Ledger::new(), Gauge::new(usize::MAX));
        let url = serve(ledger.app().layer(gauge.layer())).await;
        Self { ledger, gauge, url, tasks: tasks() }
    }

    async fn put(
        &self,
        client: &Client,
        script: &str,
    ) -> Result<bartizan_client::Response, bartizan_client::Error> {
        client
            .put(format!("{}/?{script}", self.url))
            .body(Body::from(Bytes::from(vec![7; SIZE])))
            .send()
            .await
    }

    fn is_received(&self, requests: usize) -> bool {
        let received = self.ledger.received("");
        received.len() == requests && received.iter().all(|received| received.whole)
    }

    /// Waits until the requests were received, and their body is kept while they have no answer.
    async fn is_held(&self, requests: usize, layer: &str, name: &str) {
        until(|| self.is_received(requests)).await;
        assert_eq!(kept(layer, name), SIZE as f64);
    }

    /// Waits until the server is alone, and says how many requests it has had.
    async fn settled(&self, client: Client) -> usize {
        until(|| self.gauge.in_flight() == 0).await;
        drop(client);
        until(|| tasks() == self.tasks).await;
        self.ledger.requests()
    }
}

/// Tasks of this runtime, those of the connections among them.
fn tasks() -> usize {
    runtime::Handle::current().metrics().num_alive_tasks()
}

/// The bytes that a layer keeps of request bodies.
fn kept(layer: &str, name: &str) -> f64 {
    let mut kept = None;
    let handles = registry::handles();
    let own = handles.iter().find(|handle| (handle.layer(), handle.name()) == (layer, name));
    own.unwrap().numbers(&mut |number, value| {
        if number == "bytes_kept" {
            kept = Some(value);
        }
    });
    kept.unwrap()
}

fn is_untouched(handle: &Handle) -> bool {
    handle.purse().snapshot().tokens == 1000.0
}

#[tokio::test]
async fn during_the_back_off() {
    let layer =
        RetryLayer::new(retry().backoff(Backoff::constant(HOUR).jitter(Jitter::None))).named("back-off");
    let handle = layer.handle();
    for (name, client) in clients!(layer) {
        println!("{name}");
        let scene = Scene::new().await;
        tokio::select! {
            answer = scene.put(&client, "503") => panic!("{answer:?}"),
            () = until(|| !is_untouched(&handle)) => {}
        }
        // It was put aside for the retry, and goes back.
        assert!(is_untouched(&handle));
        assert_eq!(kept("retry", "back-off"), 0.0);
        assert_eq!(scene.settled(client).await, 1);
    }
    let (seen, purse) = (handle.snapshot(), handle.purse().snapshot());
    assert_eq!((seen.calls, seen.attempts(), purse.retries, purse.returned), (4, 4, 4, 4));
}

#[tokio::test]
async fn during_an_attempt() {
    let layer = RetryLayer::new(retry()).named("attempt");
    let handle = layer.handle();
    for (name, client) in clients!(layer) {
        for (script, requests) in [("hang", 1), ("503-hang", 2)] {
            println!("{name}, {script}");
            let scene = Scene::new().await;
            tokio::select! {
                    answer = scene.put(&client, script) => panic!("{answer:?}"),
                    () = scene.is_held(requests, "retry", "attempt") => {}
            }
            assert_eq!(kept("retry", "attempt"), 0.0);
            until(|| scene.gauge.in_flight() == 0).await;
            assert_eq!(scene.ledger.requests(), requests);
        }
    }
    // What was sent is paid for.
    let purse = handle.purse().snapshot();
    assert_eq!((purse.retries, purse.returned, purse.tokens), (4, 0, 996.0));
}

#[tokio::test]
async fn during_the_body() {
    let layer = RetryLayer::new(retry()).named("body");
    for (name, client) in clients!(layer) {
        println!("{name}");
        let scene = Scene::new().await;
        let mut answer = soon(scene.put(&client, "503-drip")).await.unwrap();
        assert_eq!(soon(answer.chunk()).await.unwrap().unwrap(), "first");
        // There is no way back any more, so that nothing has to be kept.
        assert_eq!(kept("retry", "body"), 0.0);
        assert_eq!(scene.gauge.in_flight(), 1);
        drop(answer);
        assert_eq!(scene.settled(client).await, 2);
    }
}

#[tokio::test]
async fn while_a_body_is_uploaded() {
    let layer = RetryLayer::new(retry()).named("upload");
    for (name, client) in clients!(layer) {
        println!("{name}");
        let scene = Scene::new().await;
        let (say, said) =
            tokio::sync::mpsc::channel::<Result<http_body::Frame<Bytes>, std::convert::Infallible>>(1);
        let frames = tokio_stream::wrappers::ReceiverStream::new(said);
        let body = Body::new(http_body_util::StreamBody::new(frames));
        say.send(Ok(http_body::Frame::data("first".into()))).await.unwrap();
        tokio::select! {
            answer = client.put(&scene.url).body(body).send() => panic!("{answer:?}"),
            () = until(|| scene.gauge.in_flight() == 1 && kept("retry", "upload") == 5.0) => {}
        }
        // The source is dropped with the connection that reads it.
        soon(say.closed()).await;
        assert_eq!(kept("retry", "upload"), 0.0);
        assert_eq!(scene.settled(client).await, 1);
        assert_eq!(scene.ledger.effects(""), 0);
    }
}

#[tokio::test]
async fn during_a_hedge() {
    let layer = HedgeLayer::new(Hedge::new().delay(Duration::ZERO).budget(ample())).named("hedge");
    let handle = layer.handle();
    for (name, client) in clients!(layer) {
        println!("{name}");
        let scene = Scene::new().await;
        tokio::select! {
            answer = scene.put(&client, "hang") => panic!("{answer:?}"),
            () = scene.is_held(3, "hedge", "hedge") => {}
        }
        assert_eq!(kept("hedge", "hedge"), 0.0);
        assert_eq!(scene.settled(client).await, 3);

        // Of those that have lost nothing is left either.
        let client = Client::new(boxed!(&layer, stack::hyper(true)));
        let scene = Scene::new().await;
        let answer = soon(scene.put(&client, "hang-hang-drip")).await.unwrap();
        until(|| scene.gauge.in_flight() == 1).await;
        assert_eq!(kept("hedge", "hedge"), 0.0);
        drop(answer);
        assert_eq!(scene.settled(client).await, 3);
    }
    let seen = handle.snapshot();
    assert_eq!((seen.calls, seen.hedges, seen.superseded), (8, 16, 8));
}

#[tokio::test]
async fn during_both() {
    let backoff = Backoff::constant(HOUR).jitter(Jitter::None);
    let retry = RetryLayer::new(retry().backoff(backoff)).named("outer");
    let purse = retry.handle().purse().clone();
    let hedge = HedgeLayer::new(stack::hedge().delay(Duration::ZERO)).purse(purse.clone()).named("inner");
    let layers = ServiceBuilder::new().layer(retry).layer(hedge).into_inner();
    for (name, client) in clients!(layers) {
        println!("{name}");
        let (scene, before) = (Scene::new().await, purse.snapshot());
        tokio::select! {
            answer = scene.put(&client, "503") => panic!("{answer:?}"),
            () = until(|| purse.snapshot().retries > before.retries) => {}
        }
        // The copy was sent, and the retry was not.
        let after = purse.snapshot();
        assert_eq!((after.tokens, after.returned), (before.tokens - 1.0, before.returned + 1));
        assert_eq!((kept("retry", "outer"), kept("hedge", "inner")), (0.0, 0.0));
        assert_eq!(scene.settled(client).await, 2);
    }
}
