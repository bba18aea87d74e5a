//! Spans and trace context in their places: before axum and tonic, around reqwest, hyper and channels, among the layers that send again.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, State};
use axum::routing::{any, get};
use bartizan_balance::{Balance, BalanceLayer, Choice};
use bartizan_breaker::{Breaker, BreakerLayer};
use bartizan_client::Client;
use bartizan_core::Refused;
use bartizan_deadline::DeadlineLayer;
use bartizan_hedge::HedgeLayer;
use bartizan_limit::{Limit, LimitLayer};
use bartizan_retry::RetryLayer;
use bartizan_trace::{Job, Trace, TraceContext, TraceLayer};
use futures_util::future::join_all;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use stack::echo::{EchoClient, EchoServer, channel, read};
use stack::{Ledger, Mood, Player, Reach, Replica, Seen, Spans};
use stack::{ask, boxed, clients, echo, hedge, reqwest, retry, serve, soon, until};
use std::collections::HashSet;
use std::time::Duration;
use tonic::transport::Server;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn inbound() -> TraceLayer {
    TraceLayer::new(Trace::new())
}

fn outgoing() -> TraceLayer {
    TraceLayer::new(Trace::new()).outgoing()
}

fn around() -> TraceLayer {
    TraceLayer::new(Trace::new()).around()
}

/// Answers with what it was told of its caller's span.
async fn told(headers: HeaderMap) -> String {
    let all = |name| headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned());
    all("traceparent").chain(all("tracestate")).collect::<Vec<_>>().join(" ")
}

fn client(url: &str) -> Client {
    Client::new(boxed!(&outgoing(), reqwest(false))).base_url(url.parse().unwrap())
}

/// Calls the next and passes its answer on.
async fn relay(next: &str) -> String {
    let pass =
        |State(next): State<Client>| async move { next.get("").send().await.unwrap().text().await.unwrap() };
    serve(Router::new().route("/", get(pass)).layer(inbound()).with_state(client(next))).await
}

async fn text(answer: http::Response<Body>) -> String {
    String::from_utf8(soon(answer.into_body().collect()).await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn one_trace_over_three_services() {
    let (spans, _guard) = Spans::listen();
    let leaf = serve(Router::new().route("/", get(told)).layer(inbound())).await;
    let url = relay(&relay(&leaf).await).await;
    let request = Request::get("/").header("traceparent", CALLER).header("tracestate", "a=1,b=2").body(());
    let said = text(stack::Reached::Connection(url).send(request.unwrap()).await).await;

    let (servers, clients) = (spans.of_kind("server"), spans.of_kind("client"));
    assert_eq!((servers.len(), clients.len()), (3, 2));
    assert_eq!(
        said,
        format!("{} a=1,b=2", clients[1].traceparent()),
        "the last server is told of the last client"
    );
    for span in servers.iter().chain(&clients) {
        assert_eq!(span.get("trace_id"), TRACE_ID);
        assert!(!span.open, "{span:?}");
        assert_eq!(span.each(["http.request.method", "http.response.status_code"]), ["GET", "200"]);
        assert_eq!(span.each(["error.type", "otel.status_code", "url.path", "http.route"]), [""; 4]);
    }
    let ids: HashSet<_> = servers.iter().chain(&clients).map(|span| span.get("span_id")).collect();
    assert_eq!(ids.len(), 5);
    let all = spans.all();
    assert_eq!(all[clients[0].parent.unwrap()].traceparent(), servers[0].traceparent());
    assert_eq!(all[clients[1].parent.unwrap()].traceparent(), servers[1].traceparent());
}

#[tokio::test]
async fn callers_at_once_do_not_see_each_others_trace() {
    let leaf = serve(Router::new().route("/", get(told)).layer(inbound())).await;
    let url = &relay(&leaf).await;
    // With somebody who listens, and without, as far as other tests let it be.
    for listens in [true, false] {
        let listening = listens.then(Spans::listen);
        let asked = (1..=20).map(|n| async move {
            let parent = format!("00-{n:032x}-{n:016x}-0{}", n % 2);
            let request = Request::get("/").header("traceparent", &parent).body(()).unwrap();
            (parent, text(stack::Reached::Connection(url.clone()).send(request).await).await)
        });
        for (parent, said) in join_all(asked).await {
            assert_eq!((&said[..36], &said[52..]), (&parent[..36], &parent[52..]));
            assert!(!listens || said != parent, "who has a span is the caller of the next: {said}");
        }
        drop(listening);
    }
    assert_eq!(TraceContext::current(), None);
}

#[tokio::test]
async fn what_breaks_the_grammar_begins_a_trace() {
    for reach in Reach::ALL {
        let layer = inbound().named("edge");
        let own = || async { TraceContext::current().unwrap().to_string() };
        let app = reach.reach(Router::new().route("/", get(own)).layer(layer.clone())).await;
        let upper = CALLER.to_uppercase();
        let several = [CALLER, CALLER];
        let odd: [&[&str]; 5] =
            [&["odd"], &[&CALLER[..54]], &[&upper], &[&CALLER.replace("00f0", "00g0")], &several];
        let mut seen = HashSet::new();
        for headers in odd {
            let mut request = Request::get("/").header("tracestate", "a=1").body(()).unwrap();
            for header in headers {
                request.headers_mut().append("traceparent", header.parse().unwrap());
            }
            let own = text(app.send(request).await).await;
            assert!(own.parse::<TraceContext>().unwrap().is_sampled() && !own.contains(TRACE_ID), "{own}");
            assert!(seen.insert(own));
        }
        assert_eq!(layer.handle().snapshot().malformed, odd.len() as u64);
        let request = Request::get("/").header("traceparent", CALLER.replace("00-4", "cc-4") + "-more");
        assert_eq!(text(app.send(request.body(()).unwrap()).await).await[..36], CALLER[..36]);
    }
}

#[tokio::test]
async fn an_edge_may_leave_the_caller_unread_and_a_layer_can_be_off() {
    let own = || async { TraceContext::current().map(|own| own.to_string()).unwrap_or_default() };
    let request = || Request::get("/").header("traceparent", CALLER).body(Body::empty()).unwrap();
    for (value, ours, sampled) in [
        (Trace::new(), false, "01"),
        (Trace::new().restart(true), true, "01"),
        (Trace::new().restart(true).sampled(false), true, "00"),
    ] {
        let app = Router::new().route("/", get(own)).layer(TraceLayer::new(value));
        let said = text(app.oneshot(request()).await.unwrap()).await;
        assert_eq!((!said.contains(TRACE_ID), &said[53..]), (ours, sampled));
    }
    let (spans, _guard) = Spans::listen();
    let (server, client) = (inbound(), outgoing());
    let told = ServiceBuilder::new().layer(client.clone()).service(Router::new().route("/", get(told)));
    let app = Router::new().fallback_service(told).layer(server.clone());
    server.handle().update(Trace::new().enabled(false));
    client.handle().update(Trace::new().enabled(false));
    assert_eq!(text(app.clone().oneshot(request()).await.unwrap()).await, CALLER);
    assert_eq!(spans.all().len(), 0);
    server.handle().update(Trace::new());
    client.handle().update(Trace::new());
    assert_eq!(text(app.oneshot(request()).await.unwrap()).await, spans.only("client").traceparent());
}

#[tokio::test]
async fn a_span_is_called_by_its_route_and_has_no_path_unless_asked() {
    let route =
        |layer: TraceLayer| layer.route(|head| head.extensions.get::<MatchedPath>().map(MatchedPath::as_str));
    for (value, path) in [(Trace::new(), ""), (Trace::new().paths(true), "/orders/7")] {
        let (spans, _guard) = Spans::listen();
        let orders = Router::new().route("/orders/{id}", any(|| async { StatusCode::NOT_FOUND }));
        let url = serve(orders.layer(route(TraceLayer::new(value)))).await;
        assert_eq!(ask(&format!("{url}/orders/7?user=ada")).await.status(), 404);
        let span = spans.only("server");
        assert_eq!(span.title, "request");
        assert_eq!(
            span.each(["otel.name", "http.route", "url.path", "http.response.status_code", "error.type"]),
            ["GET /orders/{id}", "/orders/{id}", path, "404", ""]
        );
    }
}

#[tokio::test]
async fn nothing_of_headers_query_body_or_user_is_in_a_span() {
    let (spans, _guard) = Spans::listen();
    let app = Router::new().fallback(any(|body: String| async move { (StatusCode::BAD_REQUEST, body) }));
    let url = serve(app.layer(inbound())).await;
    let client = Client::new(boxed!(&outgoing(), reqwest(false)));
    let post = client.post(format!("{url}/secret?secret=secret")).header("authorization", "secret");
    let answer = soon(post.header("tracestate", "secret=secret").body("secret").send()).await.unwrap();
    assert_eq!(soon(answer.text()).await.unwrap(), "secret");
    assert_eq!(spans.all().len(), 2);
    assert!(!format!("{:?}", spans.all()).contains("secret"), "{:#?}", spans.all());
}

#[tokio::test]
async fn through_every_client_and_its_errors() {
    let url = serve(Router::new().route("/", get(Player::new())).layer(inbound())).await;
    let gone = "http://127.0.0.1:1";
    for (name, client) in clients!(outgoing().named("player")) {
        println!("{name}");
        let (spans, _guard) = Spans::listen();
        let answer = soon(client.get(format!("{url}/?fail")).send()).await.unwrap();
        assert_eq!(answer.status(), 500);
        drop(answer);
        let (server, call) = (spans.only("server"), spans.only("client"));
        let port = url.rsplit(':').next().unwrap();
        assert_eq!(
            call.each(["name", "otel.name", "server.address", "server.port", "endpoint", "attempt", "hedge"]),
            ["player", "GET", "127.0.0.1", port, &format!("127.0.0.1:{port}"), "0", ""]
        );
        for span in [&server, &call] {
            assert_eq!(span.each(["error.type", "otel.status_code"]), ["500", "ERROR"]);
        }
        assert_eq!(server.get("trace_id"), call.get("trace_id"));
        assert!(soon(client.get(gone).send()).await.is_err());
        let failed = spans.of_kind("client").pop().unwrap();
        assert_eq!(failed.get("otel.status_code"), "ERROR");
        assert!(failed.get("error.type").contains("Error"), "{failed:?}");
        assert!(!failed.open);
    }
}

#[tokio::test]
async fn grpc_by_name_and_code() {
    let (spans, _guard) = Spans::listen();
    let server = inbound();
    let channel = channel(|incoming| {
        Server::builder()
            .layer(server)
            .add_service(EchoServer::new(echo::Player))
            .serve_with_incoming(incoming)
    });
    let mut client = EchoClient::new(outgoing().named("echo/one").layer(channel.await));
    assert_eq!(soon(client.unary("hello")).await.unwrap().into_inner().text, "hello");
    assert!(soon(client.unary("fail")).await.is_err());
    let words = soon(client.server_stream("a b fail")).await.unwrap().into_inner();
    assert_eq!(read(words).await.1.unwrap().code(), tonic::Code::Unavailable);

    let (servers, calls) = (spans.of_kind("server"), spans.of_kind("client"));
    for ((server, call), (method, code)) in
        servers.iter().zip(&calls).zip([("Unary", "0"), ("Unary", "14"), ("ServerStream", "14")])
    {
        let error = if code == "0" { "" } else { "ERROR" };
        for span in [server, call] {
            assert_eq!(
                span.each(["rpc.system", "rpc.method", "rpc.grpc.status_code", "otel.status_code"]),
                ["grpc", method, code, error],
                "{span:#?}"
            );
            assert_eq!(span.get("otel.name"), format!("{}/{method}", span.get("rpc.service")));
            assert_eq!(span.get("http.response.status_code"), "200");
            assert!(!span.open);
        }
        assert_eq!(server.get("trace_id"), call.get("trace_id"));
        assert_eq!(call.get("endpoint"), "one");
    }
}

/// A call of a path of one's own, said to be gRPC.
fn made_up() -> Request<Body> {
    let request = Request::post("/made.Up/Name").header("content-type", "application/grpc");
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_caller_who_says_grpc_makes_no_names() {
    let hello = Router::new().route("/made.Up/{method}", any(|| async { "hello" }));
    let refused = Router::new().fallback(any(|| async { "hello" })).layer(
        ServiceBuilder::new()
            .layer(inbound())
            .layer(LimitLayer::new(Limit::per(1, Duration::from_secs(3600)))),
    );
    let routed = inbound().route(|head| head.extensions.get::<MatchedPath>().map(MatchedPath::as_str));
    let unknown = tonic::service::Routes::new(EchoServer::new(echo::Player)).into_axum_router();
    for (app, name, system) in [
        (hello.layer(routed), "POST /made.Up/{method}", ""),
        (Router::new().layer(inbound()), "POST", ""),
        (unknown.layer(inbound()), "POST", "grpc"),
        (refused, "POST", "grpc"),
    ] {
        let (spans, _guard) = Spans::listen();
        // Of the limit's, the second is refused.
        for _ in 0..2 {
            soon(app.clone().oneshot(made_up()).await.unwrap().into_body().collect()).await.unwrap();
        }
        let span = spans.of_kind("server").pop().unwrap();
        assert_eq!(
            span.each(["otel.name", "rpc.system", "rpc.service", "rpc.method"]),
            [name, system, "", ""],
            "{span:#?}"
        );
        if system.is_empty() {
            assert_eq!(span.each(["error.type", "otel.status_code", "rpc.grpc.status_code"]), ["", "", ""]);
        }
    }
}

#[tokio::test]
async fn attempts_of_a_retry_are_siblings() {
    let (spans, _guard) = Spans::listen();
    let ledger = Ledger::new();
    let url = serve(ledger.app()).await;
    let stack =
        ServiceBuilder::new().layer(around().named("call")).layer(RetryLayer::new(retry())).layer(outgoing());
    let client = Client::new(stack.service(reqwest(false)));
    let answer =
        soon(client.get(format!("{url}/?503-503-ok")).header("x-request-id", "a").send()).await.unwrap();
    assert_eq!(answer.status(), 200);
    drop(answer);
    let (all, call) = (spans.all(), spans.only("internal"));
    let attempts = spans.of_kind("client");
    let seen: Vec<_> =
        attempts.iter().map(|span| span.each(["attempt", "hedge", "http.response.status_code"])).collect();
    assert_eq!(seen, [["0", "", "503"], ["1", "", "503"], ["2", "", "200"]]);
    for attempt in &attempts {
        assert_eq!(all[attempt.parent.unwrap()].traceparent(), call.traceparent());
        assert_eq!(attempt.get("trace_id"), call.get("trace_id"));
    }
    assert_eq!(
        call.each(["name", "attempt", "http.response.status_code", "error.type"]),
        ["call", "", "200", ""]
    );
    assert_eq!(attempts.iter().map(|span| span.get("span_id")).collect::<HashSet<_>>().len(), 3);
}

#[tokio::test]
async fn copies_of_a_hedge_say_so_and_the_loser_is_cancelled() {
    let (spans, _guard) = Spans::listen();
    let ledger = Ledger::new();
    let url = serve(ledger.app()).await;
    let stack = ServiceBuilder::new().layer(around()).layer(HedgeLayer::new(hedge())).layer(outgoing());
    let client = Client::new(stack.service(reqwest(false)));
    let answer =
        soon(client.get(format!("{url}/?hang-ok")).header("x-request-id", "a").send()).await.unwrap();
    assert_eq!(soon(answer.text()).await.unwrap(), "ok");
    let (all, call) = (spans.all(), spans.only("internal"));
    let copies = spans.of_kind("client");
    let seen: Vec<_> = copies
        .iter()
        .map(|span| span.each(["attempt", "hedge", "http.response.status_code", "error.type"]))
        .collect();
    assert_eq!(seen, [["0", "", "", "cancelled"], ["1", "1", "200", ""]]);
    for copy in &copies {
        assert_eq!(all[copy.parent.unwrap()].traceparent(), call.traceparent());
        assert_eq!(copy.get("otel.status_code"), "");
        assert!(!copy.open);
    }
}

#[tokio::test]
async fn each_endpoint_of_a_balancer() {
    let (spans, _guard) = Spans::listen();
    let fleet = Replica::several(2).await;
    fleet[0].behave(Mood::Ill);
    let uris: Vec<_> = fleet.iter().map(Replica::uri).collect();
    let balance = BalanceLayer::new(Balance::new().choice(Choice::round_robin())).members(uris);
    let stack = ServiceBuilder::new().layer(RetryLayer::new(retry())).layer(balance).layer(outgoing());
    let client = Client::new(stack.service(reqwest(false)));
    for _ in 0..4 {
        let answer = soon(client.get("http://fleet").send()).await.unwrap();
        assert_eq!(soon(answer.text()).await.unwrap(), fleet[1].uri().authority().unwrap().as_str());
    }
    for replica in &fleet {
        let uri = replica.uri();
        let of = |span: &&Seen| span.get("endpoint") == uri.authority().unwrap().as_str();
        assert_eq!(spans.of_kind("client").iter().filter(of).count(), replica.calls());
    }
}

#[tokio::test]
async fn who_refused_and_why() {
    let (spans, _guard) = Spans::listen();
    let breaker = BreakerLayer::new(Breaker::new()).named("stock");
    breaker.handle().force_open();
    let client =
        Client::new(ServiceBuilder::new().layer(outgoing()).layer(breaker.clone()).service(reqwest(false)));
    assert!(soon(client.get("http://stock").send()).await.is_err());
    let said =
        ["refused.layer", "refused.name", "refused.reason", "http.response.status_code", "otel.status_code"];
    let call = spans.only("client");
    assert_eq!((call.each(said)[0], call.each(said)[1], call.each(said)[3]), ("breaker", "stock", "503"));
    assert_eq!(call.get("otel.status_code"), "ERROR");
    assert!(!call.get("refused.reason").is_empty());

    // A body that a layer inside cuts off.
    let deadline = DeadlineLayer::new(Duration::from_millis(50)).named("late");
    let stack = ServiceBuilder::new().layer(inbound()).layer(deadline);
    let url = serve(Router::new().route("/", get(Player::new())).layer(stack)).await;
    assert!(ask(&format!("{url}/?drip")).await.into_body().collect().await.is_err());
    until(|| !spans.only("server").open).await;
    assert_eq!(spans.only("server").each(said), ["deadline", "late", "deadline passed", "200", "ERROR"]);

    // The typed flavour.
    let stack = ServiceBuilder::new()
        .layer(outgoing().named("typed").typed())
        .layer(breaker.typed())
        .service(service_fn(|(): ()| async { Ok::<_, Refused>(()) }));
    assert!(stack.oneshot(()).await.is_err());
    let call = spans.of_kind("client").pop().unwrap();
    assert_eq!(call.each(["otel.name", "refused.layer", "error.type"]), ["typed", "breaker", "unavailable"]);
}

#[tokio::test]
async fn a_span_ends_with_the_body_and_with_whoever_leaves() {
    let (spans, _guard) = Spans::listen();
    let url = serve(Router::new().route("/", get(Player::new())).layer(inbound())).await;
    let client = client(&url);
    let mut answer = soon(client.get("?drip").send()).await.unwrap();
    assert!(spans.only("client").open && spans.only("server").open);
    assert!(soon(answer.chunk()).await.unwrap().is_some());
    assert!(spans.only("client").open);
    drop(answer);
    assert!(!spans.only("client").open);
    until(|| !spans.only("server").open).await;
    assert_eq!((spans.only("client").get("error.type"), spans.only("server").get("error.type")), ("", ""));

    // A body that is empty is at its end with the head.
    let empty = inbound().layer(Router::new().route("/", get(|| async {})));
    let answer = empty.oneshot(Request::new(Body::empty())).await.unwrap();
    assert!(!spans.of_kind("server")[1].open);
    drop(answer);

    let hanging = client.get("?hang").send();
    assert!(tokio::time::timeout(Duration::from_millis(50), hanging).await.is_err());
    assert_eq!(spans.of_kind("client")[1].get("error.type"), "cancelled");
    until(|| spans.all().iter().all(|span| !span.open)).await;
    assert_eq!(spans.of_kind("server")[2].get("error.type"), "cancelled");

    assert!(soon(client.get("?panic").send()).await.is_err());
    assert_eq!(spans.of_kind("server")[3].each(["error.type", "otel.status_code"]), ["panic", "ERROR"]);
    // Who panics while it waits has left.
    let waiting = client.get("?hang").send();
    let panics = tokio::spawn(async move {
        let mut waiting = Box::pin(waiting);
        assert!(futures_util::poll!(waiting.as_mut()).is_ready(), "panics, while it holds the call");
    });
    assert!(panics.await.is_err());
    assert_eq!(spans.of_kind("client")[3].get("error.type"), "cancelled");
    until(|| spans.all().iter().all(|span| !span.open)).await;

    assert!(soon(client.get("?tear").send()).await.unwrap().text().await.is_err());
    until(|| spans.all().iter().all(|span| !span.open)).await;
    for kind in ["server", "client"] {
        let torn = spans.of_kind(kind).pop().unwrap();
        assert_eq!(
            (torn.get("otel.status_code"), torn.get("error.type").is_empty()),
            ("ERROR", false),
            "{torn:?}"
        );
    }
}

#[tokio::test]
async fn a_message_carries_the_trace_and_a_job_goes_on_with_it() {
    let (spans, _guard) = Spans::listen();
    let url = serve(Router::new().route("/", get(told)).layer(inbound())).await;
    let mail = client(&url);
    // A handler that queues a message, and a task that is spawned.
    let (queue, mut queued) = tokio::sync::mpsc::channel(1);
    let queueing = move || async move {
        let sent = TraceContext::current().unwrap();
        queue.send(sent.to_string()).await.unwrap();
        tokio::spawn(sent.scope(async { TraceContext::current().unwrap().to_string() })).await.unwrap()
    };
    let app = Router::new().route("/", get(queueing)).layer(inbound());
    let spawned = text(app.oneshot(Request::new(Body::empty())).await.unwrap()).await;
    let sent = soon(queued.recv()).await.unwrap();
    assert_eq!((&spawned, &sent), (&sent, &spans.only("server").traceparent()));

    let job = Job::new("mail").sent_by(sent.parse().ok());
    let said = job.run(async { soon(mail.get("").send()).await.unwrap().text().await.unwrap() }).await;
    let (job, call) = (spans.only("consumer"), spans.only("client"));
    assert_eq!((job.title, job.get("otel.name"), job.open), ("job", "mail", false));
    assert_eq!(said, call.traceparent());
    assert_eq!((job.get("trace_id"), call.get("trace_id")), (&sent[3..35], &sent[3..35]));
    assert_eq!(spans.all()[call.parent.unwrap()].get("span_id"), job.get("span_id"));

    let alone = Job::new("sweep").run(async { TraceContext::current().unwrap() }).await;
    assert_eq!(alone.to_string(), spans.only("internal").traceparent());
    let breaker = BreakerLayer::new(Breaker::new()).named("shut");
    breaker.handle().force_open();
    let refused = breaker.typed().layer(service_fn(|(): ()| async { Ok::<_, Refused>(()) })).oneshot(());
    assert!(Job::new("refused").try_run(refused).await.is_err());
    assert!(Job::new("failed").try_run(async { Err::<(), _>(std::fmt::Error) }).await.is_err());
    let [refused, failed] = [1, 2].map(|n| spans.of_kind("internal")[n].clone());
    let said = ["otel.name", "refused.name", "error.type", "otel.status_code"];
    assert_eq!(refused.each(said), ["refused", "shut", "unavailable", "ERROR"]);
    assert_eq!(failed.each(said), ["failed", "", "core::fmt::Error", "ERROR"]);

    drop(Job::new("dropped").run(std::future::pending::<()>()));
    assert_eq!(spans.of_kind("internal")[3].each(["otel.name", "error.type"]), ["dropped", "cancelled"]);
}
