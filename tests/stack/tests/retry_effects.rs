//! What retries do to a server that counts: never twice what may not be repeated, and what may be under the same key.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use axum::Router;
use bartizan_client::{Client, Error};
use bartizan_retry::{Budget, Handle, Purse, Retry, RetryLayer};
use futures_util::{StreamExt, stream};
use http::StatusCode;
use stack::{Ending, Ledger, Unheard, ample, boxed, clients, raw, retry, serve, soon};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use tower::{BoxError, ServiceBuilder, ServiceExt};

/// A server with its ledger, and a layer.
struct Scene {
    ledger: Ledger,
    url: String,
    layer: RetryLayer,
    handle: Handle,
}

async fn scene() -> Scene {
    let (ledger, layer) = (Ledger::new(), RetryLayer::new(retry()));
    let url = serve(ledger.app()).await;
    Scene { url, ledger, handle: layer.handle(), layer }
}

impl Scene {
    /// Posts, under a key if there is one.
    async fn post(&self, client: &Client, id: &str, key: bool, script: &str) -> Result<StatusCode, Error> {
        let post = client.post(format!("{}/?{script}", self.url)).header("x-request-id", id).body("apples");
        let post = if key { post.header("idempotency-key", id) } else { post };
        soon(post.send()).await.map(|answer| answer.status())
    }
}

/// Every way to fail that there is after the request was read.
const FAILURES: [&str; 9] = ["503", "500", "429", "502", "504", "mid", "cut", "slow", "torn"];

#[tokio::test]
async fn without_a_key_nothing_is_received_twice() {
    let scene = scene().await;
    for (name, client) in clients!(scene.layer) {
        for script in FAILURES {
            let id = format!("{name}, {script}");
            println!("{id}");
            let answer = scene.post(&client, &id, false, &format!("{script}-ok")).await;
            let status = script.parse().ok().and_then(|code| StatusCode::from_u16(code).ok());
            match script {
                "mid" => assert_eq!(answer.unwrap(), StatusCode::SERVICE_UNAVAILABLE),
                "torn" => assert_eq!(answer.unwrap(), StatusCode::OK),
                "cut" | "slow" => assert!(matches!(&answer, Err(Error::Unanswered(_))), "{answer:?}"),
                _ => assert_eq!(Some(answer.unwrap()), status),
            }
            assert_eq!(scene.ledger.received(&id).len(), 1);
            assert!(scene.ledger.effects(&id) <= 1);
        }
    }
    let seen = scene.handle.snapshot();
    assert_eq!((seen.calls, seen.attempts()), (36, 36));
    // What is torn is no failure when its head is here.
    assert_eq!(seen.not_repeatable, 32);
}

#[tokio::test]
async fn with_a_key_the_same_goes_out_again() {
    let scene = scene().await;
    for (name, client) in clients!(scene.layer) {
        for script in FAILURES.into_iter().filter(|script| *script != "torn") {
            let id = format!("{name}, {script}");
            println!("{id}");
            let answer = scene.post(&client, &id, true, &format!("{script}-{script}-ok")).await;
            assert_eq!(answer.unwrap(), StatusCode::OK);
            assert_eq!(scene.ledger.attempts(&id), "- 1 2");
            assert_eq!(scene.ledger.effects(&id), 1);
            for received in scene.ledger.received(&id) {
                assert_eq!(received.key.as_deref(), Some(id.as_str()));
                assert!(received.body == "apples" || script == "mid", "{received:?}");
            }
        }
        // There is no way back from a good head.
        let id = format!("{name}, torn");
        let torn = client.post(format!("{}/?torn-ok", scene.url)).header("x-request-id", &*id);
        let torn = soon(torn.header("idempotency-key", &*id).send()).await.unwrap();
        assert!(matches!(soon(torn.bytes()).await, Err(Error::Body(_))));
        assert_eq!(scene.ledger.attempts(&id), "-");
    }
}

#[tokio::test]
async fn a_server_that_wants_an_hour_of_peace_has_it() {
    let scene = scene().await;
    for (at, (name, client)) in (1..).zip(clients!(scene.layer)) {
        println!("{name}");
        let answer = scene.post(&client, name, true, "full-ok").await;
        assert_eq!(answer.unwrap(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!((scene.ledger.attempts(name).as_str(), scene.handle.snapshot().told), ("-", at));
    }
}

#[tokio::test]
async fn on_a_bare_socket_too() {
    for ending in Ending::ALL {
        let layer = RetryLayer::new(retry());
        for (name, client) in clients!(layer).into_iter().step_by(2) {
            println!("{name}, {ending:?}");
            let (url, requests) = raw(ending).await;
            let answer = soon(client.post(&url).body("whole").send()).await;
            assert_eq!((answer.is_ok(), requests.load(Ordering::SeqCst)), (ending == Ending::HalfBody, 1));
            let answer = soon(client.put(&url).body("whole").send()).await;
            let more = if ending == Ending::HalfBody { 1 } else { 3 };
            assert_eq!((answer.is_ok(), requests.load(Ordering::SeqCst)), (more == 1, 1 + more));
        }
    }
}

#[tokio::test]
async fn what_never_arrived_goes_out_again_though_it_has_no_key() {
    let unheard = Unheard::new();
    let layer = RetryLayer::new(retry());
    let handle = layer.handle();
    for (at, (name, client)) in (1..).zip(clients!(layer)) {
        println!("{name}");
        let nobody = soon(client.post(unheard.url()).body("apples").send()).await;
        assert!(matches!(&nobody, Err(Error::Unanswered(_))), "{nobody:?}");
        let seen = handle.snapshot();
        // Once for free, and then as any failure that may be retried.
        assert_eq!((seen.calls, seen.resent, seen.retries), (at, at, 2 * at));
    }
    assert_eq!(handle.purse().snapshot().tokens, 992.0);
}

/// Has somebody listen as soon as a connection was refused.
fn opens<E>(unheard: Unheard, app: Router) -> impl Fn(E) -> E + Clone + Send + Sync + 'static {
    let unheard = Arc::new(Mutex::new(Some(unheard)));
    move |error| {
        if let Some(unheard) = unheard.lock().unwrap().take() {
            let (listener, app) = (unheard.listen(), app.clone());
            tokio::spawn(async move { axum::serve(listener, app).await });
        }
        error
    }
}

#[tokio::test]
async fn a_server_that_restarts_is_found_again() {
    /// Over one of the clients, a service of a type of its own.
    macro_rules! over {
        ($service:expr) => {{
            let (unheard, ledger) = (Unheard::new(), Ledger::new());
            let (url, layer) = (unheard.url(), RetryLayer::new(retry()));
            let handle = layer.handle();
            let opening =
                ServiceBuilder::new().layer(layer).map_err(opens(unheard, ledger.app())).into_inner();
            let client = Client::new(boxed!(&opening, $service));
            let post = client.post(url).header("x-request-id", "order").body("apples").send();
            assert_eq!(soon(post).await.unwrap().status(), StatusCode::OK);
            assert_eq!((ledger.attempts("order").as_str(), ledger.effects("order")), ("-", 1));
            let seen = handle.snapshot();
            assert_eq!((seen.resent, seen.retries, seen.recovered), (1, 0, 1));
        }};
    }
    over!(stack::reqwest(false));
    over!(stack::reqwest(true));
    over!(stack::hyper(false));
    over!(stack::hyper(true));
}

#[tokio::test]
async fn a_stream_that_was_refused_goes_out_again() {
    // reqwest does so by itself.
    let (listener, address) = stack::listen().await;
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let mut streams = 0;
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            streams += 1;
            if streams == 1 {
                respond.send_reset(h2::Reason::REFUSED_STREAM);
            } else {
                respond.send_response(http::Response::new(()), true).unwrap();
            }
        }
    });
    let layer = RetryLayer::new(retry());
    let client = Client::new(boxed!(&layer, stack::hyper(true)));
    let post = client.post(format!("http://{address}/")).body("apples").send();
    assert_eq!(soon(post).await.unwrap().status(), StatusCode::OK);
    assert_eq!(layer.handle().snapshot().resent, 1);
}

/// Posts 10 000 orders, of which three in ten replies are lost after the effect. Returns how many were answered.
async fn ten_thousand_orders(value: Retry, ledger: &Ledger) -> (usize, Purse) {
    let url = format!("{}/?lossy", serve(ledger.app()).await);
    let layer = RetryLayer::new(value);
    let client = &Client::new(boxed!(&layer, stack::hyper(true)));
    let orders = stream::iter(0..10_000).map(|order| {
        let id = format!("order {order}");
        let post = client.post(&url).header("x-request-id", &*id).header("idempotency-key", &*id);
        async move { post.body(id).send().await.is_ok() }
    });
    let answered = async { orders.buffer_unordered(64).filter(|ok| std::future::ready(*ok)).count().await };
    let answered = tokio::time::timeout(std::time::Duration::from_secs(300), answered).await.unwrap();
    (answered, layer.handle().purse().clone())
}

#[tokio::test]
async fn ten_thousand_orders_within_the_budget() {
    let ledger = Ledger::new();
    let (answered, purse) =
        ten_thousand_orders(retry().budget(Budget::new().persistence(1.0)), &ledger).await;
    assert_eq!(ledger.all_effects(), 10_000);
    let paid = 5 + answered / 10;
    assert!((10_500..=10_000 + paid).contains(&ledger.requests()), "{} of {paid}", ledger.requests());
    assert_eq!(purse.snapshot().deposits, answered as u64);
}

#[tokio::test]
async fn ten_thousand_orders_are_all_answered_where_the_budget_allows_it() {
    let ledger = Ledger::new();
    let (answered, purse) =
        ten_thousand_orders(retry().budget(ample().ratio(1.0)).max_retries(20), &ledger).await;
    assert_eq!((answered, ledger.all_effects()), (10_000, 10_000));
    let retries = usize::try_from(purse.snapshot().retries).unwrap();
    assert_eq!(ledger.requests(), 10_000 + retries);
    assert!((3_500..5_000).contains(&retries), "{retries}");
}

#[tokio::test]
async fn the_typed_flavour_over_a_bare_client() {
    let (ledger, layer) = (Ledger::new(), RetryLayer::new(retry()));
    let handle = layer.handle();
    let url = serve(ledger.app()).await;
    let client = stack::reqwest(false).into_inner();
    let stack = ServiceBuilder::new()
        .layer(layer.typed(|req: &reqwest::Request| req.try_clone()))
        .map_err(BoxError::from)
        .service(client.clone());
    let post = |url: &str| {
        let post = client.post(url).header("x-request-id", "order").header("idempotency-key", "order");
        post.body("apples").build().unwrap()
    };
    let answer = soon(stack.clone().oneshot(post(&format!("{url}/?cut-cut-ok")))).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!((ledger.received("order").len(), ledger.effects("order")), (3, 1));
    assert_eq!(handle.snapshot().retries, 2);

    let unheard = Unheard::new();
    let nobody = soon(stack.oneshot(post(&unheard.url()))).await.unwrap_err();
    assert!(nobody.is::<reqwest::Error>());
    // Once for free, and then as any failure of what may be repeated.
    assert_eq!((handle.snapshot().resent, handle.snapshot().retries), (1, 4));
}

#[tokio::test]
async fn a_client_of_ones_own_retries_too() {
    let (ledger, layer) = (Ledger::new(), RetryLayer::new(retry()));
    let url = serve(ledger.app()).await;
    // Neither body nor error are `Clone`.
    let stack = ServiceBuilder::new().layer(layer).service(stack::reqwest(false));
    let put = http::Request::put(format!("{url}/?503-cut-ok"))
        .header("x-request-id", "order")
        .body(axum::body::Body::from_stream(stream::iter([Ok::<_, BoxError>("app"), Ok("les")])))
        .unwrap();
    assert_eq!(soon(stack.oneshot(put)).await.unwrap().status(), StatusCode::OK);
    assert!(ledger.received("order").iter().all(|received| received.body == "apples"));
    assert_eq!(ledger.attempts("order"), "- 1 2");
}
