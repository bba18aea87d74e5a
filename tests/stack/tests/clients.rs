//! The layers around real clients: reqwest's and hyper's in the HTTP flavour, and the typed flavour around anything.
#![allow(clippy::unwrap_used, reason = "what helps a test is one")]

use axum::Router;
use axum::routing::{any, get};
use bartizan_breaker::{Breaker, BreakerLayer, Consecutive, State};
use bartizan_client::{Body, Boxed, Client, Error, HyperService, ReqwestService};
use bartizan_core::{Kind, Refused, Verdict, find_cause};
use bartizan_deadline::DeadlineLayer;
use bartizan_guard::GuardLayer;
use bartizan_limit::{Limit, LimitLayer};
use bartizan_shed::{Backlog, Shed, ShedLayer, Throttle, ThrottleLayer};
use futures_util::FutureExt;
use http::{HeaderMap, Request, StatusCode};
use stack::echo::{EchoClient, EchoServer, channel};
use stack::{Gauge, Player, Refusal, listen, serve, soon, until};
use std::time::Duration;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, service_fn};

const HOUR: Duration = Duration::from_secs(3600);

fn reqwest_client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn three_in_a_row() -> BreakerLayer {
    BreakerLayer::new(Breaker::new().without_evidence().consecutive(Consecutive::new(3)).open_for(HOUR))
}

/// A client over each of the two, within a layer.
macro_rules! clients {
    ($layer:expr) => {
        [
            ("reqwest", Client::new(Boxed::new($layer.layer(ReqwestService::new(reqwest_client()))))),
            ("hyper", Client::new(Boxed::new($layer.layer(HyperService::default())))),
        ]
    };
}

/// Where nobody listens.
async fn nowhere() -> String {
    let (listener, address) = listen().await;
    drop(listener);
    format!("http://{address}/")
}

fn refused(answer: Result<bartizan_client::Response, Error>) -> Refused {
    match answer {
        Err(Error::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_breaker_counts_and_refuses() {
    for (name, client) in clients!(three_in_a_row()) {
        println!("{name}");
        let player = Player::new();
        let url = serve(Router::new().route("/", get(player.clone()))).await;
        let ask = |part: &str| soon(client.get(format!("{url}/?{part}")).send());
        assert_eq!(ask("ok").await.unwrap().text().await.unwrap(), "ok");
        // A failure in the head, one within the body and one in which nobody answers.
        assert_eq!(ask("fail").await.unwrap().status(), StatusCode::INTERNAL_SERVER_ERROR);
        let torn = soon(ask("tear").await.unwrap().bytes()).await;
        assert!(matches!(torn, Err(Error::Body(_))), "{torn:?}");
        let nobody = soon(client.get(nowhere().await).send()).await;
        assert!(matches!(nobody, Err(Error::Unanswered(_))), "{nobody:?}");

        let refused = refused(ask("ok").await);
        assert_eq!((refused.layer(), refused.kind()), ("breaker", Kind::Unavailable));
        assert_eq!(refused.reason(), "open: failures in a row");
        assert!(refused.retry_after() > Some(HOUR / 2));
        assert_eq!(player.calls(), 3);
    }
}

#[tokio::test]
async fn a_deadline_ends_and_refuses() {
    let soon_over = || DeadlineLayer::new(Duration::from_millis(300)).outgoing();
    for (name, client) in clients!(soon_over()) {
        println!("{name}");
        let url = serve(Router::new().route("/", get(Player::new()))).await;
        let ended = refused(soon(client.get(format!("{url}/?hang")).send()).await);
        assert_eq!((ended.layer(), ended.reason()), ("deadline", "deadline passed"));
        assert!(ended.reached());
        let mut answer = soon(client.get(format!("{url}/?drip")).send()).await.unwrap();
        assert_eq!(answer.chunk().await.unwrap().unwrap(), "first");
        let ended = soon(answer.chunk()).await;
        assert!(matches!(&ended, Err(Error::Refused(ended)) if ended.reached()), "{ended:?}");
    }
}

#[tokio::test]
async fn a_deadline_inside_a_breaker_is_a_failure_and_outside_is_none() {
    let url = serve(Router::new().route("/", get(Player::new()))).await;
    let tell = || DeadlineLayer::new(Duration::from_millis(50)).outgoing();

    let breaker = three_in_a_row();
    let handle = breaker.handle();
    let inside = ServiceBuilder::new().layer(breaker).layer(tell()).into_inner();
    for (name, client) in clients!(inside) {
        println!("{name}");
        handle.reset();
        for _ in 0..3 {
            assert_eq!(refused(soon(client.get(format!("{url}/?hang")).send()).await).layer(), "deadline");
        }
        assert_eq!(refused(soon(client.get(&url).send()).await).layer(), "breaker");
    }

    let breaker = three_in_a_row();
    let handle = breaker.handle();
    let outside = ServiceBuilder::new().layer(tell()).layer(breaker).into_inner();
    for (name, client) in clients!(outside) {
        println!("{name}");
        for _ in 0..5 {
            assert_eq!(refused(soon(client.get(format!("{url}/?hang")).send()).await).layer(), "deadline");
        }
        assert_eq!((handle.state(), handle.snapshot().failures), (State::Closed, 0));
    }
}

#[tokio::test]
async fn a_policy_of_ones_own_holds_on_to_the_body() {
    let gauge = Gauge::new(1);
    let url = serve(Router::new().route("/", get(Player::new()))).await;
    for (name, client) in clients!(gauge.layer()) {
        println!("{name}");
        let held = soon(client.get(format!("{url}/?drip")).send()).await.unwrap();
        assert_eq!(refused(soon(client.get(&url).send()).await).kind(), Kind::Exhausted);
        drop(held);
        assert_eq!(gauge.in_flight(), 0);

        assert_eq!(soon(client.get(&url).send()).await.unwrap().text().await.unwrap(), "ok");
        soon(client.get(format!("{url}/?tear")).send()).await.unwrap().bytes().await.unwrap_err();
        soon(client.get(nowhere().await).send()).await.unwrap_err();
        tokio::select! {
            answer = client.get(format!("{url}/?hang")).send() => panic!("{answer:?}"),
            () = until(|| gauge.in_flight() == 1) => {}
        }
        assert_eq!(gauge.in_flight(), 0);
        // Dropped in the middle of its body an answer over HTTP was good so far; dropped before its head it is nothing.
        let ought = [Verdict::Success, Verdict::Success, Verdict::Failure, Verdict::Failure];
        assert_eq!(gauge.verdicts(), ought);
    }
}

#[tokio::test]
async fn a_shed_and_a_limit_refuse_what_is_sent() {
    let player = Player::new();
    let url = serve(Router::new().route("/", get(player.clone()))).await;
    let shed = ShedLayer::new(Shed::fixed(1));
    let places = shed.handle();
    for (name, client) in clients!(shed) {
        println!("{name}");
        let held = soon(client.get(format!("{url}/?drip")).send()).await.unwrap();
        let refused = refused(soon(client.get(&url).send()).await);
        assert_eq!((refused.layer(), refused.reason(), refused.reached()), ("shed", "over the limit", false));
        drop(held);
        assert_eq!(places.snapshot().in_flight, 0);
        assert_eq!(soon(client.get(&url).send()).await.unwrap().text().await.unwrap(), "ok");
        assert_eq!(places.snapshot().in_flight, 0);
    }
    let limit = LimitLayer::new(Limit::per(2, 2 * HOUR)).key(|head| head.uri.authority().cloned());
    player.forget();
    for (name, client) in clients!(limit) {
        println!("{name}");
        assert_eq!(soon(client.get(&url).send()).await.unwrap().text().await.unwrap(), "ok");
        // Another host is none of it, also if nobody is there.
        assert!(matches!(soon(client.get(nowhere().await).send()).await, Err(Error::Unanswered(_))));
    }
    for (name, client) in clients!(limit) {
        println!("{name}");
        let refused = refused(soon(client.get(&url).send()).await);
        assert_eq!((refused.layer(), refused.kind(), refused.reached()), ("limit", Kind::Exhausted, false));
        assert!(refused.retry_after() > Some(HOUR / 2));
    }
    assert_eq!(player.calls(), 2);
}

#[tokio::test]
async fn a_throttle_stops_asking_who_refuses() {
    let (guard, player) = (ShedLayer::new(Shed::fixed(1)), Player::new());
    let handle = guard.handle();
    let url = serve(Router::new().route("/", get(player.clone())).layer(guard)).await;
    for (name, client) in clients!(ThrottleLayer::new(Throttle::new().seed(7))) {
        println!("{name}");
        let held = soon(reqwest_client().get(format!("{url}/?drip")).send()).await.unwrap();
        let before = handle.snapshot().refused.total();
        let mut rejected = 0;
        for _ in 0..200 {
            match soon(client.get(&url).send()).await {
                Ok(answer) => assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE),
                answer => {
                    assert_eq!(refused(answer).layer(), "throttle");
                    rejected += 1;
                }
            }
        }
        let asked = handle.snapshot().refused.total() - before;
        assert_eq!(asked + rejected, 200, "what is rejected here is not asked there");
        assert!(rejected > 50, "{rejected}");
        drop(held);
        until(|| handle.snapshot().in_flight == 0).await;
    }
}

#[tokio::test]
async fn a_refusal_by_the_server_is_the_servers_answer() {
    // It crossed the wire, so that to the client it is an answer like another: a 503 is a failure, a 429 throttles.
    let open = BreakerLayer::new(Breaker::new());
    open.handle().force_open();
    let app = Router::new()
        .route("/open", get(Player::new()).layer(open))
        .route("/full", get(Player::new()).layer(Gauge::new(0).layer()));
    let url = serve(app).await;
    let gauge = Gauge::new(1);
    for (name, client) in clients!(gauge.layer()) {
        println!("{name}");
        let open = soon(client.get(format!("{url}/open")).send()).await.unwrap();
        let told = Refusal::of(http::Response::<Body>::from(open)).await;
        assert_eq!(told, Refusal::new(503, "breaker", "forced open", None));
        let full = soon(client.get(format!("{url}/full")).send()).await.unwrap();
        let told = Refusal::of(http::Response::<Body>::from(full)).await;
        assert_eq!(told, Refusal::new(429, "gauge", "full", Some(2)));
        let ought = [Verdict::Failure, Verdict::Throttled(Some(Duration::from_secs(2)))];
        assert_eq!(gauge.verdicts(), ought);
    }
}

#[tokio::test]
async fn one_circuit_per_host() {
    let layer = three_in_a_row().key(|head| head.uri.authority().cloned());
    let url = serve(Router::new().route("/", get(Player::new()))).await;
    for (name, client) in clients!(layer) {
        println!("{name}");
        let nowhere = nowhere().await;
        for _ in 0..3 {
            assert!(matches!(soon(client.get(&nowhere).send()).await, Err(Error::Unanswered(_))));
        }
        assert_eq!(refused(soon(client.get(&nowhere).send()).await).layer(), "breaker");
        assert_eq!(soon(client.get(&url).send()).await.unwrap().status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn what_is_left_is_written_for_the_server_and_never_more() {
    let left = |headers: HeaderMap| async move {
        let header = |name| headers.get(name).map_or("none", |value| value.to_str().unwrap()).to_owned();
        format!("{} {}", header("x-request-timeout-ms"), header("x-request-attempt"))
    };
    let url = serve(Router::new().route("/", any(left))).await;
    for (name, client) in clients!(DeadlineLayer::new(Duration::from_secs(30)).outgoing()) {
        println!("{name}");
        let told = soon(client.get(&url).send()).await.unwrap().text().await.unwrap();
        let (left, attempt) = told.split_once(' ').unwrap();
        let left: u64 = left.parse().unwrap();
        assert!((10_000..=30_000).contains(&left), "{left}");
        assert_eq!(attempt, "none");
        // What the caller says is not taken for more than there is.
        let more = client.get(&url).header("x-request-timeout-ms", "999999999").send();
        let told = soon(more).await.unwrap().text().await.unwrap();
        assert!(told.split_once(' ').unwrap().0.parse::<u64>().unwrap() <= 30_000, "{told}");
    }
}

// The typed flavour.

/// An error of the user's own.
#[derive(Debug)]
enum Mine {
    Refused(Refused),
    Failed,
}

impl From<Refused> for Mine {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

async fn halve(n: u32) -> Result<u32, Mine> {
    if n.is_multiple_of(2) { Ok(n / 2) } else { Err(Mine::Failed) }
}

#[tokio::test]
async fn typed_over_a_function_with_an_error_of_ones_own() {
    let mut service = ServiceBuilder::new()
        .layer(three_in_a_row().typed())
        .layer(DeadlineLayer::new(HOUR).typed())
        .service_fn(halve);
    assert_eq!(service.ready().await.unwrap().call(6).await.unwrap(), 3);
    for _ in 0..3 {
        assert!(matches!(service.ready().await.unwrap().call(7).await, Err(Mine::Failed)));
    }
    let refused = service.ready().await.unwrap().call(6).await;
    assert!(matches!(refused, Err(Mine::Refused(refused)) if refused.layer() == "breaker"));

    let gauge = Gauge::new(1);
    let service = ServiceBuilder::new().layer(GuardLayer::new(gauge.clone()).typed()).service_fn(halve);
    assert_eq!(service.oneshot(6).await.unwrap(), 3);
    assert_eq!((gauge.in_flight(), gauge.peak()), (0, 1));

    let hang = service_fn(|_: u32| std::future::pending::<Result<u32, Mine>>());
    let ended =
        ServiceBuilder::new().layer(DeadlineLayer::new(Duration::from_millis(20)).typed()).service(hang);
    let ended = soon(ended.oneshot(6)).await;
    assert!(matches!(ended, Err(Mine::Refused(ended)) if ended.kind() == Kind::DeadlineExceeded));
}

#[tokio::test]
async fn typed_sheds_and_limits() {
    let shed = ShedLayer::new(Shed::fixed(1)).typed();
    let limit = LimitLayer::new(Limit::per(3, HOUR)).typed().key(|n: &u32| n % 2);
    let throttle = ThrottleLayer::new(Throttle::new()).typed();
    let (places, tokens) = (shed.handle(), limit.handle());
    let service = ServiceBuilder::new().layer(throttle).layer(limit).layer(shed).service_fn(halve);
    assert_eq!(service.clone().oneshot(6).await.unwrap(), 3);
    for _ in 0..3 {
        assert!(matches!(service.clone().oneshot(7).await, Err(Mine::Failed)));
    }
    let over = service.clone().oneshot(9).await;
    assert!(matches!(over, Err(Mine::Refused(over)) if over.layer() == "limit"));
    assert_eq!((tokens.remaining(&0), tokens.remaining(&1), places.snapshot().in_flight), (2, 0, 0));

    let queue = ShedLayer::new(Shed::fixed(1)).typed().backlog(Backlog::new(1).max_wait(HOUR).target(HOUR));
    let places = queue.handle();
    let hang = queue.layer(service_fn(|_: u32| std::future::pending::<Result<u32, Mine>>()));
    let mut held = [(); 3].map(|()| Box::pin(hang.clone().oneshot(6)));
    assert!(held[0].as_mut().now_or_never().is_none() && held[1].as_mut().now_or_never().is_none());
    assert_eq!((places.snapshot().in_flight, places.snapshot().queued), (1, 1));
    let full = held[2].as_mut().now_or_never();
    assert!(matches!(full, Some(Err(Mine::Refused(full))) if full.reason() == "queue full"));
    drop(held);
    assert_eq!((places.snapshot().in_flight, places.snapshot().queued), (0, 0));
}

#[tokio::test]
async fn typed_over_a_boxed_error() {
    let fail =
        service_fn(|fail: bool| async move { if fail { Err(BoxError::from("failed")) } else { Ok(()) } });
    let breaker = three_in_a_row();
    let handle = breaker.handle();
    let gauge = Gauge::new(1);
    let service = ServiceBuilder::new()
        .layer(breaker.typed())
        .layer(GuardLayer::new(gauge.clone()).typed())
        .layer(DeadlineLayer::new(HOUR).typed())
        .service(fail);

    // A refusal of the layer within is found by the one around it, and is no failure.
    let hang = service_fn(|()| std::future::pending::<Result<(), BoxError>>());
    let held = GuardLayer::new(gauge.clone()).typed().layer(hang);
    let mut held = Box::pin(held.oneshot(()));
    assert!(held.as_mut().now_or_never().is_none());
    for _ in 0..5 {
        let refused = service.clone().oneshot(false).await.unwrap_err();
        assert_eq!(find_cause::<Refused>(&*refused).unwrap().layer(), "gauge");
    }
    assert_eq!(handle.snapshot().failures, 0);
    drop(held);
    assert_eq!(gauge.in_flight(), 0);

    service.clone().oneshot(false).await.unwrap();
    for _ in 0..3 {
        assert_eq!(service.clone().oneshot(true).await.unwrap_err().to_string(), "failed");
    }
    let refused = service.oneshot(false).await.unwrap_err();
    assert_eq!(find_cause::<Refused>(&*refused).unwrap().layer(), "breaker");
}

#[tokio::test]
async fn typed_on_reqwests_own_client() {
    let gauge = Gauge::new(1);
    let service = ServiceBuilder::new()
        .layer(three_in_a_row().typed())
        .layer(GuardLayer::new(gauge.clone()).typed())
        .layer(DeadlineLayer::new(Duration::from_secs(10)).typed())
        .map_err(BoxError::from)
        .service(reqwest_client());
    let url = serve(Router::new().route("/", get(Player::new()))).await;
    let get = |url: &str| reqwest::Request::new(http::Method::GET, url.parse().unwrap());
    let answer = soon(service.clone().oneshot(get(&url))).await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "ok");
    let nowhere = nowhere().await;
    for _ in 0..3 {
        let error = soon(service.clone().oneshot(get(&nowhere))).await.unwrap_err();
        assert!(error.downcast_ref::<reqwest::Error>().unwrap().is_connect());
    }
    let refused = soon(service.oneshot(get(&url))).await.unwrap_err();
    assert_eq!(find_cause::<Refused>(&*refused).unwrap().layer(), "breaker");
    assert_eq!((gauge.in_flight(), gauge.peak()), (0, 1));
}

#[tokio::test]
async fn typed_on_a_bare_channel() {
    let (listener, address) = listen().await;
    drop(listener);
    let endpoint = tonic::transport::Endpoint::try_from(format!("http://{address}")).unwrap();
    let stack = |channel| {
        let layer = three_in_a_row();
        ServiceBuilder::new().layer(layer.typed()).map_err(BoxError::from).service(channel)
    };
    let mut nobody = EchoClient::new(stack(endpoint.connect_lazy()));
    for _ in 0..3 {
        let status = soon(nobody.unary("one")).await.unwrap_err();
        assert!(!status.message().contains("refused by"), "{status}");
    }
    let status = soon(nobody.unary("one")).await.unwrap_err();
    let told = format!("{} {:?}", status, find_cause::<Refused>(&status));
    assert!(told.contains("refused by breaker: open: failures in a row"), "{told}");

    let server = channel(|incoming| {
        let echo = EchoServer::new(stack::echo::Player);
        tonic::transport::Server::builder().add_service(echo).serve_with_incoming(incoming)
    });
    let mut somebody = EchoClient::new(stack(server.await));
    assert_eq!(soon(somebody.unary("one")).await.unwrap().into_inner().text, "one");
}

#[tokio::test]
async fn typed_takes_http_as_any_other_request() {
    let typed = ServiceBuilder::new()
        .layer(three_in_a_row().typed())
        .map_err(BoxError::from)
        .service(ReqwestService::new(reqwest_client()));
    let nowhere = nowhere().await;
    let request = || Request::get(&nowhere).body(Body::empty()).unwrap();
    for _ in 0..3 {
        assert!(soon(typed.clone().oneshot(request())).await.unwrap_err().is::<reqwest::Error>());
    }
    // No response is made up: the refusal is the error.
    assert!(soon(typed.oneshot(request())).await.unwrap_err().is::<Refused>());
}
