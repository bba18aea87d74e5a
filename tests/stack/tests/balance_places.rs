//! The balancer in its places: over clients, within handlers, over channels, and among the other layers.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bartizan_balance::{Balance, BalanceLayer, BalanceService, Choice};
use bartizan_breaker::{Breaker, BreakerLayer};
use bartizan_client::{AnyBody, Boxed, Client, Error, HyperService};
use bartizan_core::Verdict;
use bartizan_deadline::DeadlineLayer;
use bartizan_hedge::HedgeLayer;
use bartizan_retry::{Repeatable, RetryLayer};
use bytes::Bytes;
use futures_util::future::join_all;
use http::{StatusCode, Uri};
use stack::echo::{EchoClient, EchoServer, Player, lazy, read};
use stack::{Gauge, Ledger, Mood, Replica, ask, boxed, clients, hedge, listen, retry, serve, soon, until};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tonic::transport::Server;
use tower::{Layer, ServiceBuilder, ServiceExt};

fn uris(fleet: &[Replica]) -> Vec<Uri> {
    fleet.iter().map(Replica::uri).collect()
}

/// Everybody has a turn, so that it is plain who comes next.
fn in_turn() -> Balance {
    Balance::new().choice(Choice::round_robin())
}

#[tokio::test]
async fn over_clients() {
    let fleet = Replica::several(4).await;
    let ought: HashMap<String, usize> =
        fleet.iter().map(|replica| (replica.uri().authority().unwrap().to_string(), 25)).collect();
    let layer = BalanceLayer::new(in_turn()).members(uris(&fleet));
    for (name, client) in clients!(layer) {
        let mut said = HashMap::<String, usize>::new();
        for n in 0..100 {
            // Path and query are kept, and what the base says of the host does not matter.
            let answer = soon(client.get(format!("http://fleet:1/{n}?n={n}")).send()).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            *said.entry(answer.text().await.unwrap()).or_default() += 1;
        }
        assert_eq!(said, ought, "{name}");
    }
    let snapshot = layer.handle().snapshot();
    assert!(snapshot.endpoints.iter().all(|one| (one.successes, one.in_flight) == (100, 0)), "{snapshot:?}");
}

#[tokio::test]
async fn a_body_goes_where_its_call_goes() {
    let (ledgers, uris) = ledgers(2).await;
    for (name, client) in clients!(BalanceLayer::new(in_turn()).members(uris.clone())) {
        for n in 0..4 {
            let id = format!("{name} {n}");
            let post = client.post("http://fleet/?ok").header("x-request-id", &*id).body(id.clone());
            assert_eq!(soon(post.send()).await.unwrap().status(), StatusCode::OK);
            let received: Vec<_> = ledgers.iter().flat_map(|ledger| ledger.received(&id)).collect();
            assert_eq!((received.len(), &received[0].body), (1, &Bytes::from(id)));
        }
    }
    assert_eq!(ledgers.iter().map(Ledger::requests).collect::<Vec<_>>(), [8, 8]);
}

async fn call_upstream(State(upstream): State<Client>) -> Response {
    match upstream.get("/").send().await {
        Ok(answer) => answer.text().await.unwrap().into_response(),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

#[tokio::test]
async fn within_a_handler_all_connections_share_the_set() {
    let fleet = Replica::several(3).await;
    let layer = BalanceLayer::new(in_turn()).members(uris(&fleet));
    let handle = layer.handle();
    let upstream =
        Client::new(boxed!(&layer, stack::reqwest(false))).base_url(Uri::from_static("http://fleet"));
    let url = serve(Router::new().route("/", get(call_upstream)).with_state(upstream)).await;
    // A connection each.
    for answer in join_all((0..30).map(|_| ask(&url))).await {
        assert_eq!(answer.status(), StatusCode::OK);
    }
    assert_eq!(fleet.iter().map(Replica::calls).collect::<Vec<_>>(), [10; 3], "one turn for all");
    handle.drain(&fleet[0].uri());
    for answer in join_all((0..30).map(|_| ask(&url))).await {
        assert_eq!(answer.status(), StatusCode::OK);
    }
    assert_eq!(fleet.iter().map(Replica::calls).collect::<Vec<_>>(), [10, 25, 25]);
}

type Proxy = <BalanceLayer as Layer<HyperService>>::Service;

#[tokio::test]
async fn as_the_service_behind_a_route() {
    let fleet = Replica::several(2).await;
    let proxy = BalanceLayer::new(in_turn()).members(uris(&fleet)).layer(stack::hyper(false));
    let pass_on = |State(proxy): State<Proxy>, mut req: Request| async move {
        req.headers_mut().remove("host");
        let answer = proxy.oneshot(req).await;
        answer.map_or(StatusCode::BAD_GATEWAY.into_response(), |answer: Response<_>| answer.map(Body::new))
    };
    let url = serve(Router::new().fallback(pass_on).with_state(proxy)).await;
    for _ in 0..10 {
        assert_eq!(ask(&url).await.status(), StatusCode::OK);
    }
    assert_eq!(fleet.iter().map(Replica::calls).collect::<Vec<_>>(), [5; 2]);
}

/// A server that counts, and where it is.
async fn grpc() -> (Gauge, Uri) {
    let (gauge, (listener, address)) = (Gauge::new(usize::MAX), listen().await);
    let server = Server::builder().layer(gauge.layer()).add_service(EchoServer::new(Player));
    tokio::spawn(server.serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener)));
    (gauge, format!("http://{address}").parse().unwrap())
}

#[tokio::test]
async fn over_channels() {
    let ((first, one), (second, two)) = (grpc().await, grpc().await);
    let set = BalanceService::new(in_turn(), lazy).members([one, two]);
    let handle = set.handle();
    let mut client = EchoClient::new(set);
    for _ in 0..10 {
        assert_eq!(soon(client.unary("one")).await.unwrap().into_inner().text, "one");
        let answers = soon(client.server_stream("one two")).await.unwrap().into_inner();
        assert!(matches!(read(answers).await, (all, None) if all == "one two"));
    }
    // The failure is in the trailers of a stream, and still its member's.
    let answers = soon(client.server_stream("one fail")).await.unwrap().into_inner();
    assert!(matches!(read(answers).await, (all, Some(_)) if all == "one"));
    until(|| first.in_flight() + second.in_flight() == 0).await;
    let calls = [first, second].map(|gauge| gauge.verdicts().len());
    assert_eq!((calls[0] + calls[1], calls[0].abs_diff(calls[1])), (21, 1));
    let endpoints = handle.snapshot().endpoints;
    assert_eq!(
        endpoints.iter().map(|one| (one.successes + one.failures) as usize).collect::<Vec<_>>(),
        calls
    );
    assert_eq!(endpoints.iter().map(|one| one.failures).sum::<u32>(), 1);
}

#[tokio::test]
async fn over_channels_among_layers_that_change_the_body() {
    let ((first, one), (second, two)) = (grpc().await, grpc().await);
    let set = BalanceService::new(in_turn(), |uri: &Uri| AnyBody::new(lazy(uri), tonic::body::Body::new));
    let mut client = EchoClient::new(RetryLayer::new(retry()).layer(set.members([one, two])));
    for _ in 0..10 {
        let mut request = tonic::Request::new("fail".into());
        request.extensions_mut().insert(Repeatable(true));
        assert_eq!(soon(client.unary(request)).await.unwrap_err().message(), "played");
        // Each attempt goes to who was not asked before, and the third to one of both.
        let calls = [&first, &second].map(Gauge::verdicts);
        assert_eq!(calls.iter().map(Vec::len).sum::<usize>(), 3);
        assert!(
            calls.iter().all(|calls| !calls.is_empty() && calls.iter().all(|one| *one == Verdict::Failure))
        );
    }
}

/// Ledgers behind the whole stack of a client.
struct Whole {
    ledgers: Vec<Ledger>,
    breakers: Arc<Mutex<Vec<bartizan_breaker::Handle>>>,
    handle: bartizan_balance::Handle<Uri>,
    retry: bartizan_retry::Handle,
    client: Client,
}

async fn whole_stack(n: usize, balance: Balance) -> Whole {
    let (ledgers, uris) = ledgers(n).await;
    let (breakers, retry) = (Arc::<Mutex<Vec<_>>>::default(), RetryLayer::new(retry()));
    let made = breakers.clone();
    let balance = BalanceLayer::new(balance).each(move |_| {
        let breaker = BreakerLayer::new(Breaker::new());
        made.lock().unwrap().push(breaker.handle());
        let attempt = DeadlineLayer::new(Duration::from_secs(1)).outgoing();
        ServiceBuilder::new().layer(breaker).layer(attempt).into_inner()
    });
    let balance = balance.members(uris);
    let (handle, of_retry) = (balance.handle(), retry.handle());
    let stack = ServiceBuilder::new()
        .layer(retry)
        .layer(HedgeLayer::new(hedge()))
        .layer(balance)
        .service(stack::reqwest(false));
    Whole { ledgers, breakers, handle, retry: of_retry, client: Client::new(Boxed::new(stack)) }
}

/// Servers that keep ledgers, and where they are.
async fn ledgers(n: usize) -> (Vec<Ledger>, Vec<Uri>) {
    let ledgers: Vec<Ledger> = (0..n).map(|_| Ledger::new()).collect();
    let mut uris = Vec::new();
    for ledger in &ledgers {
        uris.push(serve(ledger.app()).await.parse().unwrap());
    }
    (ledgers, uris)
}

/// The attempts of an id at each of the ledgers, in an order of their own.
fn attempts(ledgers: &[Ledger], id: &str) -> Vec<String> {
    let mut attempts: Vec<_> = ledgers.iter().map(|ledger| ledger.attempts(id)).collect();
    attempts.sort();
    attempts
}

#[tokio::test]
async fn a_hedge_goes_elsewhere() {
    for balance in [in_turn(), Balance::new(), Balance::new().choice(Choice::random())] {
        let stack = whole_stack(3, balance).await;
        for n in 0..5 {
            let id = format!("hedge {n}");
            // Both that are asked hang: the one who was asked first would have answered the copy.
            let call = stack.client.get("http://fleet/?hang-ok").header("x-request-id", &*id).send();
            tokio::select! {
                answer = call => panic!("{answer:?}"),
                () = until(|| attempts(&stack.ledgers, &id) == ["", "-", "1"]) => {}
            }
        }
        until(|| stack.handle.snapshot().endpoints.iter().all(|one| one.in_flight == 0)).await;
        assert_eq!(stack.retry.snapshot().retries, 0);
    }
}

#[tokio::test]
async fn attempts_carry_on_through_hedge_and_retry() {
    let stack = whole_stack(3, Balance::new()).await;
    // The failure has a copy sent. That both fail is a failure to the retry, whose own attempts have no copies.
    let get = stack.client.get("http://fleet/?503").header("x-request-id", "failed").send();
    assert_eq!(soon(get).await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    let all = stack.ledgers.iter().flat_map(|ledger| ledger.received("failed"));
    let mut all: Vec<_> = all.map(|received| received.attempt.unwrap_or_else(|| "-".into())).collect();
    all.sort();
    assert_eq!(all, ["-", "1", "1", "2"]);
    assert!(
        stack.ledgers.iter().all(|ledger| !ledger.attempts("failed").contains("- 1")),
        "not twice in a row"
    );
    // An attempt that hangs is another one's chance, and the call is answered.
    let get = stack.client.get("http://fleet/?hang-ok").header("x-request-id", "hung").send();
    assert_eq!(soon(get).await.unwrap().status(), StatusCode::OK);
    assert!(
        stack.ledgers.iter().all(|ledger| !ledger.received("hung").is_empty()),
        "all were asked once before"
    );
}

#[tokio::test]
async fn retries_alone_ask_everybody_once() {
    let (ledgers, uris) = ledgers(3).await;
    for choice in
        [Choice::latency(), Choice::round_robin(), Choice::random(), Choice::p2c(), Choice::ring_hash()]
    {
        let balance = BalanceLayer::new(Balance::new().choice(choice)).members(uris.clone());
        let layers = ServiceBuilder::new().layer(RetryLayer::new(retry())).layer(balance).into_inner();
        for (name, client) in clients!(layers) {
            let id = format!("{choice:?} {name}");
            let call = client.get("http://fleet/?503").header("x-request-id", &*id).send();
            assert_eq!(soon(call).await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(attempts(&ledgers, &id), ["-", "1", "2"], "{id}");
        }
    }
}

#[tokio::test]
async fn an_open_breaker_moves_a_call_on_without_a_retry() {
    let stack = whole_stack(3, in_turn()).await;
    stack.breakers.lock().unwrap()[..2].iter().for_each(bartizan_breaker::Handle::force_open);
    for n in 0..20 {
        let post = stack.client.post("http://fleet/?ok").header("x-request-id", n.to_string()).body("apples");
        assert_eq!(soon(post.send()).await.unwrap().status(), StatusCode::OK);
        assert_eq!(attempts(&stack.ledgers, &n.to_string()), ["", "", "-"]);
    }
    assert_eq!((stack.retry.snapshot().retries, stack.handle.snapshot().ejections.total()), (0, 0));
    stack.breakers.lock().unwrap()[2].force_open();
    let refused = soon(stack.client.get("http://fleet/").send()).await;
    assert!(matches!(&refused, Err(Error::Refused(refused)) if refused.layer() == "breaker"), "{refused:?}");
    assert_eq!(stack.ledgers.iter().map(Ledger::requests).sum::<usize>(), 20);
}

#[tokio::test]
async fn one_ill_member_is_hidden_by_a_retry() {
    let fleet = Replica::several(3).await;
    let balance = BalanceLayer::new(Balance::new())
        .each(|_| DeadlineLayer::new(Duration::from_millis(300)).outgoing())
        .members(uris(&fleet));
    let layers = ServiceBuilder::new()
        .layer(RetryLayer::new(retry()))
        .layer(HedgeLayer::new(hedge()))
        .layer(balance)
        .into_inner();
    for (mood, (name, client)) in
        [Mood::Ill, Mood::Hung, Mood::Ill, Mood::Hung].into_iter().zip(clients!(layers))
    {
        fleet[0].behave(mood);
        for _ in 0..50 {
            let answer = soon(client.get("http://fleet/").send()).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "{name} {mood:?}");
        }
    }
}
