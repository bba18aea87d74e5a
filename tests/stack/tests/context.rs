//! The context travels from hop to hop without a line of user code, and shrinks on the way.
#![allow(clippy::unwrap_used, reason = "what helps a test is one")]

use axum::Router;
use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::routing::get;
use bartizan_breaker::{Breaker, BreakerLayer};
use bartizan_client::{Boxed, Client, HyperService, ReqwestService};
use bartizan_core::{Context, Instant};
use bartizan_deadline::DeadlineLayer;
use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use stack::echo::{Answer, Echo, EchoClient, EchoServer, Player, Said, Words, channel, left, read};
use stack::{Gauge, Reach, Reached, serve, soon, until};
use std::convert::Infallible;
use std::time::Duration;
use tonic::service::LayerExt;
use tonic::transport::{Channel, Server};
use tonic::{Code, Status, Streaming};
use tower::{Layer, ServiceBuilder};

const HOUR: Duration = Duration::from_secs(3600);
/// What each hop takes at least, in milliseconds.
const WORK: u64 = 20;

/// The client that a handler uses: it knows nothing of the request that it is used for.
fn client(url: &str) -> Client {
    let layers = ServiceBuilder::new()
        .layer(BreakerLayer::new(Breaker::new()))
        .layer(DeadlineLayer::new(HOUR).outgoing());
    let reqwest = reqwest::Client::builder().no_proxy().build().unwrap();
    Client::new(Boxed::new(layers.service(ReqwestService::new(reqwest)))).base_url(url.parse().unwrap())
}

fn inbound() -> DeadlineLayer {
    DeadlineLayer::new(HOUR)
}

fn header(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).map_or("none", |value| value.to_str().unwrap()).to_owned()
}

/// Answers with the time that its caller left to it.
async fn leaf() -> String {
    let tell = |headers: HeaderMap| async move { header(&headers, "x-request-timeout-ms") };
    serve(Router::new().route("/", get(tell)).layer(inbound())).await
}

async fn work() {
    tokio::time::sleep(Duration::from_millis(WORK)).await;
}

async fn call(client: &Client) -> String {
    try_call(client).await.unwrap()
}

async fn try_call(client: &Client) -> Result<String, bartizan_client::Error> {
    client.get("").send().await?.text().await
}

/// Works, calls the next and passes its answer on, after the time that was left to itself.
async fn relay(next: String) -> String {
    let handler = |State(next): State<Client>, headers: HeaderMap| async move {
        work().await;
        let own = header(&headers, "x-request-timeout-ms");
        let rest = try_call(&next).await.map_err(|_| StatusCode::GATEWAY_TIMEOUT)?;
        Ok::<_, StatusCode>(format!("{own} {rest}"))
    };
    serve(Router::new().route("/", get(handler)).layer(inbound()).with_state(client(&next))).await
}

/// Asks with a time left, in milliseconds.
async fn ask_within(app: &Reached, millis: u64) -> http::Response<axum::body::Body> {
    let request = Request::get("/").header("x-request-timeout-ms", millis).body(()).unwrap();
    app.send(request).await
}

async fn text(answer: http::Response<axum::body::Body>) -> String {
    assert_eq!(answer.status(), StatusCode::OK);
    String::from_utf8(soon(answer.into_body().collect()).await.unwrap().to_bytes().to_vec()).unwrap()
}

/// Numbers that fall by at least the work between them.
fn assert_shrinks(told: &str, first: u64) {
    let numbers: Vec<u64> = told.split(' ').map(|number| number.parse().unwrap()).collect();
    assert_eq!(numbers[0], first);
    for pair in numbers.windows(2) {
        assert!(pair[1] <= pair[0] - WORK && pair[1] > 0, "{told}");
    }
}

#[tokio::test]
async fn the_time_left_shrinks_over_three_hops() {
    let url = relay(relay(leaf().await).await).await;
    let told = text(ask_within(&Reached::Connection(url), 30_000).await).await;
    assert_eq!(told.split(' ').count(), 3);
    assert_shrinks(&told, 30_000);
}

#[tokio::test]
async fn callers_at_once_do_not_see_each_others_time() {
    let app = Reached::Connection(relay(leaf().await).await);
    let asked = (1..=20).map(|at| {
        let (app, millis) = (&app, at * 10_000);
        async move { (millis, text(ask_within(app, millis).await).await) }
    });
    for (millis, told) in join_all(asked).await {
        assert_shrinks(&told, millis);
        let last: u64 = told.rsplit(' ').next().unwrap().parse().unwrap();
        assert!(last + 10_000 > millis, "{told}");
    }
    assert_eq!(Context::current(), None);
}

#[tokio::test]
async fn without_a_deadline_layer_nothing_is_inherited() {
    let client = client(&leaf().await);
    let bare = Router::new().route("/", get(async move || call(&client).await));
    let told = text(ask_within(&Reach::Connection.reach(bare).await, 30_000).await).await;
    // The client's own hour.
    assert!(told.parse::<u64>().unwrap() > 30_000, "{told}");
}

#[tokio::test]
async fn what_runs_within_a_handler_inherits_and_what_is_spawned_needs_a_scope() {
    let client = client(&leaf().await);
    let handler = async move || {
        let (first, second) = tokio::join!(call(&client), async {
            work().await;
            call(&client).await
        });
        let third = tokio::select! { told = call(&client) => told };
        let spawned = |client: Client| async move { call(&client).await };
        let context = Context::current().unwrap();
        let scoped = tokio::spawn(context.scope(spawned(client.clone()))).await.unwrap();
        let bare = tokio::spawn(spawned(client.clone())).await.unwrap();
        [first, second, third, scoped, bare].join(" ")
    };
    let app = Reach::Connection.reach(Router::new().route("/", get(handler)).layer(inbound())).await;
    let told = text(ask_within(&app, 30_000).await).await;
    let told: Vec<u64> = told.split(' ').map(|told| told.parse().unwrap()).collect();
    let (bare, inherited) = told.split_last().unwrap();
    assert!(inherited.iter().all(|told| (1..=30_000).contains(told)), "{told:?}");
    assert!(*bare > 30_000, "{told:?}");
}

#[tokio::test]
async fn a_body_inherits_while_it_streams() {
    let client = client(&leaf().await);
    let handler = async move || {
        let lines = stream::unfold((client.clone(), 0), |(client, turn)| async move {
            if turn == 3 {
                return None;
            }
            work().await;
            let told = format!(" {}", call(&client).await);
            Some((Ok::<_, Infallible>(Bytes::from(told)), (client, turn + 1)))
        });
        axum::body::Body::from_stream(lines)
    };
    let app = Reach::Connection.reach(Router::new().route("/", get(handler)).layer(inbound())).await;
    let told = text(ask_within(&app, 30_000).await).await;
    assert_shrinks(&format!("30000{told}"), 30_000);
}

#[tokio::test]
async fn events_keep_all_but_the_deadline() {
    let tell = |headers: HeaderMap| async move {
        let header = |name| header(&headers, name);
        format!("{} {}", header("x-request-timeout-ms"), header("x-request-attempt"))
    };
    let leaf = serve(Router::new().route("/", get(tell))).await;
    let client = client(&leaf);
    let handler = async move || {
        let client = client.clone();
        Sse::new(stream::once(async move { Ok::<_, Infallible>(Event::default().data(call(&client).await)) }))
    };
    let app = Reach::Connection.reach(Router::new().route("/", get(handler)).layer(inbound())).await;
    let request = Request::get("/")
        .header("x-request-timeout-ms", "30000")
        .header("x-request-attempt", "2")
        .body(())
        .unwrap();
    let told = text(app.send(request).await).await;
    let (left, attempt) = told.trim().strip_prefix("data: ").unwrap().split_once(' ').unwrap();
    assert!(left.parse::<u64>().unwrap() > 30_000, "{told}");
    assert_eq!(attempt, "2");
}

#[tokio::test]
async fn priority_and_attempt_travel_and_are_not_widened() {
    let tell = |headers: HeaderMap| async move {
        let header = |name| header(&headers, name);
        format!("{} {}", header("x-request-priority"), header("x-request-attempt"))
    };
    let leaf = serve(Router::new().route("/", get(tell))).await;
    let middle = |next: &str| {
        let client = client(next);
        Router::new().route("/", get(async move || call(&client).await)).layer(inbound())
    };
    let app = Reach::Connection.reach(middle(&serve(middle(&leaf)).await)).await;
    for (priority, attempt, ought) in [
        (Some("sheddable"), Some("2"), ["255", "2"]),
        (Some("critical"), None, ["none", "none"]),
        (Some("200"), Some("junk"), ["200", "none"]),
        (None, Some("1"), ["none", "1"]),
    ] {
        let mut request = Request::get("/");
        if let Some(priority) = priority {
            request = request.header("x-request-priority", priority);
        }
        if let Some(attempt) = attempt {
            request = request.header("x-request-attempt", attempt);
        }
        let told = text(app.send(request.body(()).unwrap()).await).await;
        let (priority, attempt) = told.split_once(' ').unwrap();
        // What is normal may be said or not.
        assert_eq!([if priority == "128" { "none" } else { priority }, attempt], ought);
    }
}

#[tokio::test]
async fn a_deadline_that_passes_ends_all_hops() {
    let gauge = Gauge::new(usize::MAX);
    let leaf =
        Router::new().route("/", get(std::future::pending::<()>)).layer(gauge.layer()).layer(inbound());
    let app = Reached::Connection(relay(relay(serve(leaf).await).await).await);
    let asked = ask_within(&app, 500);
    let reached = until(|| gauge.in_flight() == 1);
    let (answer, ()) = tokio::join!(asked, reached);
    assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
    until(|| gauge.in_flight() == 0).await;
}

// gRPC.

/// The same over gRPC: it works, asks the next how much time is left, and says so after what was left to itself.
struct Relay<T>(EchoClient<T>);

type Layered = bartizan_deadline::DeadlineService<Channel>;

#[tonic::async_trait]
impl Echo for Relay<Layered> {
    async fn unary(&self, request: tonic::Request<Said>) -> Answer<Said> {
        let own = left();
        work().await;
        let rest = self.0.clone().unary(request.into_inner()).await?.into_inner().text;
        Ok(tonic::Response::new(format!("{own} {rest}").as_str().into()))
    }

    type ServerStreamStream = Words;

    async fn server_stream(&self, request: tonic::Request<Said>) -> Answer<Words> {
        let client = self.0.clone();
        let answers = stream::iter(0..3).then(move |_| {
            let (mut client, said) = (client.clone(), request.get_ref().clone());
            async move {
                work().await;
                Ok(client.unary(said).await?.into_inner())
            }
        });
        Ok(tonic::Response::new(Box::pin(answers)))
    }

    async fn client_stream(&self, request: tonic::Request<Streaming<Said>>) -> Answer<Said> {
        let mut words = request.into_inner();
        let mut all = Vec::new();
        while let Some(said) = words.message().await? {
            work().await;
            all.push(self.0.clone().unary(said).await?.into_inner().text);
        }
        Ok(tonic::Response::new(all.join(" ").as_str().into()))
    }

    type BothStreamStream = Words;

    async fn both_stream(&self, request: tonic::Request<Streaming<Said>>) -> Answer<Words> {
        let client = self.0.clone();
        let answers = request.into_inner().then(move |said| {
            let mut client = client.clone();
            async move {
                work().await;
                Ok(client.unary(said?).await?.into_inner())
            }
        });
        Ok(tonic::Response::new(Box::pin(answers)))
    }
}

async fn grpc_leaf() -> Channel {
    channel(|incoming| {
        let echo = inbound().named_layer(EchoServer::new(Player));
        Server::builder().add_service(echo).serve_with_incoming(incoming)
    })
    .await
}

async fn grpc_relay(next: Channel) -> Channel {
    let relay = Relay(EchoClient::new(DeadlineLayer::new(HOUR).outgoing().layer(next)));
    channel(|incoming| {
        Server::builder().layer(inbound()).add_service(EchoServer::new(relay)).serve_with_incoming(incoming)
    })
    .await
}

/// Asks with half a minute left, in a word that is passed on to the leaf.
fn within_30_s<T>(said: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(said);
    request.set_timeout(Duration::from_secs(30));
    request
}

/// Numbers below half a minute, each less than that before by at least the work.
fn assert_shrinks_from_30_s(told: &str, count: usize) {
    assert_eq!(told.split(' ').count(), count, "{told}");
    let first: u64 = told.split(' ').next().unwrap().parse().unwrap();
    assert!(first <= 30_000, "{told}");
    // Each hop rounds down to a millisecond what it tells.
    let numbers: Vec<u64> = told.split(' ').map(|number| number.parse().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] < pair[0] && pair[1] > 0), "{told}");
}

#[tokio::test]
async fn the_time_left_shrinks_over_three_hops_of_grpc() {
    let mut client = EchoClient::new(grpc_relay(grpc_relay(grpc_leaf().await).await).await);
    let told = soon(client.unary(within_30_s("left".into()))).await.unwrap().into_inner().text;
    assert_shrinks_from_30_s(&told, 3);
}

#[tokio::test]
async fn streams_of_grpc_inherit_while_they_run() {
    let mut client = EchoClient::new(grpc_relay(grpc_leaf().await).await);
    let thrice = || within_30_s(stream::iter(["left"; 3].map(Said::from)));
    let told = soon(client.server_stream(within_30_s("left".into()))).await.unwrap().into_inner();
    assert_shrinks_from_30_s(&read(told).await.0, 3);
    let told = soon(client.client_stream(thrice())).await.unwrap().into_inner();
    assert_shrinks_from_30_s(&told.text, 3);
    let told = soon(client.both_stream(thrice())).await.unwrap().into_inner();
    assert_shrinks_from_30_s(&read(told).await.0, 3);
}

#[tokio::test]
async fn the_time_left_crosses_from_http_to_grpc_and_back() {
    // HTTP, gRPC, HTTP: an axum handler calls a tonic service, which calls axum.
    struct Back(Client);

    #[tonic::async_trait]
    impl Echo for Back {
        async fn unary(&self, _: tonic::Request<Said>) -> Answer<Said> {
            let own = left();
            work().await;
            Ok(tonic::Response::new(format!("{own} {}", call(&self.0).await).as_str().into()))
        }
        type ServerStreamStream = Words;
        async fn server_stream(&self, _: tonic::Request<Said>) -> Answer<Words> {
            Err(Status::new(Code::Unimplemented, ""))
        }
        async fn client_stream(&self, _: tonic::Request<Streaming<Said>>) -> Answer<Said> {
            Err(Status::new(Code::Unimplemented, ""))
        }
        type BothStreamStream = Words;
        async fn both_stream(&self, _: tonic::Request<Streaming<Said>>) -> Answer<Words> {
            Err(Status::new(Code::Unimplemented, ""))
        }
    }

    let back = Back(client(&leaf().await));
    let middle = channel(|incoming| {
        Server::builder().layer(inbound()).add_service(EchoServer::new(back)).serve_with_incoming(incoming)
    });
    let middle = EchoClient::new(DeadlineLayer::new(HOUR).outgoing().layer(middle.await));
    let handler = async move || {
        work().await;
        middle.clone().unary("").await.unwrap().into_inner().text
    };
    let app = Reach::Connection.reach(Router::new().route("/", get(handler)).layer(inbound())).await;
    let told = text(ask_within(&app, 30_000).await).await;
    assert_shrinks_from_30_s(&format!("30000 {told}"), 3);
}

#[tokio::test]
async fn what_a_request_carries_wins_over_what_is_ambient() {
    let leaf = leaf().await;
    let hyper =
        ServiceBuilder::new().layer(DeadlineLayer::new(HOUR).outgoing()).service(HyperService::default());
    let after = |seconds| Instant::now() + Duration::from_secs(seconds);
    let ambient = Context::new().with_deadline(after(30));
    for client in [client(&leaf), Client::new(Boxed::new(hyper)).base_url(leaf.parse().unwrap())] {
        let told = ambient.scope(async {
            let sent = [
                client.get(""),
                client.get("").deadline(after(20)),
                client.get("").deadline(after(100)),
                client.get("").extension(Context::new().with_deadline(after(100))),
            ]
            .map(|request| async { soon(request.send()).await.unwrap().text().await.unwrap() });
            join_all(sent).await
        });
        let told: Vec<u64> = told.await.iter().map(|told| told.parse().unwrap()).collect();
        assert!((20_001..=30_000).contains(&told[0]), "inherited: {told:?}");
        assert!((1..=20_000).contains(&told[1]), "shortened: {told:?}");
        assert!((20_001..=30_000).contains(&told[2]), "not widened: {told:?}");
        assert!((30_001..=100_000).contains(&told[3]), "replaced: {told:?}");
    }
}
