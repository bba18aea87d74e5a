//! Every layer in every place in which tonic takes one, as its real client sees it.
#![allow(clippy::unwrap_used, reason = "what helps a test is one")]

use bartizan_breaker::{Breaker, BreakerLayer, Consecutive};
use bartizan_client::AnyBody;
use bartizan_deadline::DeadlineLayer;
use bartizan_hedge::HedgeLayer;
use bartizan_limit::{Limit, LimitLayer, SharedLimitLayer, WaitingLayer};
use bartizan_retry::RetryLayer;
use bartizan_shed::{Backlog, BacklogLayer, Shed, ShedLayer, Throttle, ThrottleLayer};
use bartizan_trace::{Trace, TraceLayer};
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use http::{Request, Response};
use stack::echo::{EchoClient, EchoServer, Player, Said, channel, read};
use stack::{Fickle, Gauge, GaugeLayer, Refusal, Spans, pushback, serve, soon, until};
use std::convert::identity;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::service::{LayerExt, Routes};
use tonic::transport::{Channel, Server};
use tonic::{Code, Status};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, Service, ServiceBuilder};

const HOUR: Duration = Duration::from_secs(3600);

/// A client over any stack: places differ in their types.
type Client = EchoClient<BoxCloneSyncService<Request<Body>, Response<Body>, BoxError>>;

/// Makes one type of a stack around a channel.
fn client<S, B>(stack: S) -> Client
where
    S: Service<Request<Body>, Response = Response<B>, Error: Into<BoxError>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    B: http_body::Body<Data = bytes::Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let stack = ServiceBuilder::new()
        .map_response(|answer: Response<B>| answer.map(Body::new))
        .map_err(Into::into)
        .service(stack);
    EchoClient::new(BoxCloneSyncService::new(stack))
}

/// Lists a client for every place of a layer. A macro, as each place asks something else of the layer's type.
macro_rules! sites {
    ($sites:ident, $layer:ty, $channel:expr) => {
        async fn $sites(layer: impl Fn() -> $layer) -> Vec<(&'static str, Client)> {
            let bare = || async {
                let server = |incoming| Server::builder().add_service(echo()).serve_with_incoming(incoming);
                ($channel)(channel(server).await)
            };
            let on_server = layer();
            let server = channel(|incoming| {
                Server::builder().layer(on_server).add_service(echo()).serve_with_incoming(incoming)
            });
            let stacked = ServiceBuilder::new().layer(layer()).into_inner();
            let in_stack = channel(|incoming| {
                Server::builder().layer(stacked).add_service(echo()).serve_with_incoming(incoming)
            });
            let around = layer().named_layer(echo());
            let service =
                channel(|incoming| Server::builder().add_service(around).serve_with_incoming(incoming));
            let around = layer().named_layer(EchoServer::with_interceptor(Player, Ok));
            let intercepted =
                channel(|incoming| Server::builder().add_service(around).serve_with_incoming(incoming));
            let routes = serve(Routes::new(echo()).into_axum_router().layer(layer())).await;
            let routes = tonic::transport::Endpoint::try_from(routes).unwrap().connect_lazy();
            let lone = ServiceBuilder::new().layer(layer()).service(bare().await);
            let inside = tonic::service::interceptor::InterceptedService::new(
                ServiceBuilder::new().layer(layer()).service(bare().await),
                Ok::<tonic::Request<()>, Status>,
            );
            let outside = layer().layer(tonic::service::interceptor::InterceptedService::new(
                bare().await,
                Ok::<tonic::Request<()>, Status>,
            ));
            vec![
                ("Server::layer", client(server.await)),
                ("Server::layer of a stack", client(in_stack.await)),
                ("add_service", client(service.await)),
                ("add_service with an interceptor", client(intercepted.await)),
                ("Routes behind axum::serve", client(routes)),
                ("Channel", client(lone)),
                ("Channel, within an interceptor", client(inside)),
                ("Channel, around an interceptor", client(outside)),
            ]
        }
    };
}

sites!(breaker_sites, BreakerLayer, identity);
sites!(deadline_sites, DeadlineLayer, identity);
sites!(gauge_sites, GaugeLayer, identity);
sites!(trace_sites, TraceLayer, identity);
sites!(shed_sites, ShedLayer, identity);
sites!(limit_sites, LimitLayer, identity);
sites!(throttle_sites, ThrottleLayer, identity);
sites!(backlog_sites, BacklogLayer, identity);
sites!(waiting_sites, WaitingLayer, identity);
sites!(shared_sites, SharedLimitLayer, identity);
// These change the request body, of which the channel takes one type.
sites!(retry_sites, RetryLayer, |channel| AnyBody::new(channel, Body::new));
sites!(hedge_sites, HedgeLayer, |channel| AnyBody::new(channel, Body::new));

fn echo() -> EchoServer<Player> {
    EchoServer::new(Player)
}

fn words(all: &'static [&str]) -> impl stream::Stream<Item = Said> + Send + 'static {
    stream::iter(all.iter().map(|word| Said::from(*word)))
}

/// All four kinds of method, well.
async fn assert_well(client: &mut Client) {
    assert_eq!(soon(client.unary("one")).await.unwrap().into_inner().text, "one");
    let answers = soon(client.server_stream("one two")).await.unwrap().into_inner();
    assert!(matches!(read(answers).await, (all, None) if all == "one two"));
    let answer = soon(client.client_stream(words(&["one", "two"]))).await.unwrap();
    assert_eq!(answer.into_inner().text, "one two");
    let answers = soon(client.both_stream(words(&["one", "two"]))).await.unwrap().into_inner();
    assert!(matches!(read(answers).await, (all, None) if all == "one two"));
}

/// All four kinds of method, refused.
async fn assert_refused(
    client: &mut Client,
    code: Code,
    message: &str,
    within: std::ops::RangeInclusive<u128>,
) {
    for status in [
        soon(client.unary("one")).await.unwrap_err(),
        soon(client.server_stream("one two")).await.unwrap_err(),
        soon(client.client_stream(words(&["one", "two"]))).await.unwrap_err(),
        soon(client.both_stream(words(&["one", "two"]))).await.unwrap_err(),
    ] {
        assert_eq!((status.code(), status.message()), (code, message));
        let wait = pushback(&status).unwrap().as_millis();
        assert!(within.contains(&wait), "{wait}");
    }
}

#[tokio::test]
async fn a_breaker_counts_and_refuses() {
    let four = Breaker::new().without_evidence().consecutive(Consecutive::new(4)).open_for(HOUR);
    for (site, mut client) in breaker_sites(|| BreakerLayer::new(four)).await {
        println!("{site}");
        assert_well(&mut client).await;
        // Told in the head, in the trailers of a stream, in the head, in the trailers of a stream.
        assert_eq!(soon(client.unary("fail")).await.unwrap_err().message(), "played");
        let answers = soon(client.server_stream("one fail")).await.unwrap().into_inner();
        assert!(
            matches!(read(answers).await, (all, Some(told)) if all == "one" && told.message() == "played")
        );
        assert_eq!(soon(client.client_stream(words(&["fail"]))).await.unwrap_err().message(), "played");
        let answers = soon(client.both_stream(words(&["one", "fail"]))).await.unwrap().into_inner();
        assert!(
            matches!(read(answers).await, (all, Some(told)) if all == "one" && told.message() == "played")
        );

        let message = "refused by breaker: open: failures in a row";
        assert_refused(&mut client, Code::Unavailable, message, 2_800_000..=3_600_000).await;
    }
}

/// All four kinds of method, ended by a deadline; a stream that has begun is ended by trailers.
async fn assert_ended(site: &'static str, mut client: Client) {
    println!("{site}");
    let passed = |status: Status| {
        assert_eq!(status.code(), Code::DeadlineExceeded, "{site}");
        assert_eq!(status.message(), "refused by deadline: deadline passed", "{site}");
    };
    passed(soon(client.unary("hang")).await.unwrap_err());
    passed(soon(client.client_stream(words(&["hang"]))).await.unwrap_err());
    let answers = soon(client.server_stream("one two hang")).await.unwrap().into_inner();
    let (all, ended) = read(answers).await;
    assert_eq!(all, "one two", "{site}");
    passed(ended.unwrap());
    let answers = soon(client.both_stream(words(&["one", "hang"]))).await.unwrap().into_inner();
    let (all, ended) = read(answers).await;
    assert_eq!(all, "one", "{site}");
    passed(ended.unwrap());
}

#[tokio::test]
async fn a_deadline_ends_and_refuses() {
    // All at once, as each takes its time four times.
    let soon_over = deadline_sites(|| DeadlineLayer::new(Duration::from_millis(400))).await;
    join_all(soon_over.into_iter().map(|(site, client)| assert_ended(site, client))).await;
    for (site, mut client) in deadline_sites(|| DeadlineLayer::new(HOUR)).await {
        println!("{site}");
        assert_well(&mut client).await;
    }
    for (site, mut client) in deadline_sites(|| DeadlineLayer::new(Duration::ZERO)).await {
        println!("{site}");
        let status = soon(client.unary("one")).await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded);
        assert_eq!(status.message(), "refused by deadline: expired on arrival");
        assert_eq!(pushback(&status), None);
    }
}

#[tokio::test]
async fn a_policy_of_ones_own_refuses_while_a_stream_is_held() {
    let gauge = Gauge::new(1);
    for (site, mut client) in gauge_sites(|| gauge.layer()).await {
        println!("{site}");
        assert_well(&mut client).await;
        until(|| gauge.in_flight() == 0).await;
        let mut held = soon(client.server_stream("one hang")).await.unwrap().into_inner();
        assert_eq!(soon(held.message()).await.unwrap().unwrap().text, "one");
        assert_refused(&mut client, Code::ResourceExhausted, "refused by gauge: full", 1500..=1500).await;
        drop(held);
        until(|| gauge.in_flight() == 0).await;
        assert_well(&mut client).await;
        until(|| gauge.in_flight() == 0).await;
    }
}

#[tokio::test]
async fn a_trace_has_a_span_of_each_call_and_its_code() {
    let (spans, _guard) = Spans::listen();
    for (site, mut client) in trace_sites(|| TraceLayer::new(Trace::new())).await {
        println!("{site}");
        let before = spans.all().len();
        assert_well(&mut client).await;
        assert_eq!(soon(client.unary("fail")).await.unwrap_err().code(), Code::Unavailable);
        until(|| spans.all().iter().all(|span| !span.open)).await;
        let codes: Vec<_> =
            spans.all()[before..].iter().map(|span| span.get("rpc.grpc.status_code").to_owned()).collect();
        assert_eq!(codes, ["0", "0", "0", "0", "14"]);
    }
}

#[tokio::test]
async fn a_shed_refuses_while_a_stream_is_held() {
    let layer = ShedLayer::new(Shed::fixed(1));
    let handle = layer.handle();
    let is_idle = || handle.snapshot().in_flight == 0;
    for (site, mut client) in shed_sites(|| layer.clone()).await {
        println!("{site}");
        assert_well(&mut client).await;
        until(is_idle).await;
        let mut held = soon(client.server_stream("one hang")).await.unwrap().into_inner();
        assert_eq!(soon(held.message()).await.unwrap().unwrap().text, "one");
        assert_refused(&mut client, Code::Unavailable, "refused by shed: over the limit", 1000..=2000).await;
        drop(held);
        until(is_idle).await;

        // Nor is a stream over while only the caller has said all.
        let mut held = soon(client.both_stream(words(&["one", "hang"]))).await.unwrap().into_inner();
        assert_eq!(soon(held.message()).await.unwrap().unwrap().text, "one");
        assert_refused(&mut client, Code::Unavailable, "refused by shed: over the limit", 1000..=2000).await;
        drop(held);
        until(is_idle).await;
        assert_well(&mut client).await;
        until(is_idle).await;
    }
}

#[tokio::test]
async fn a_limit_counts_calls_and_refuses() {
    let four = || LimitLayer::new(Limit::per(4, 4 * HOUR));
    for (site, mut client) in limit_sites(four).await {
        println!("{site}");
        assert_well(&mut client).await;
        let message = "refused by limit: over the limit";
        assert_refused(&mut client, Code::ResourceExhausted, message, 3_500_000..=3_600_000).await;
    }
}

#[tokio::test]
async fn a_throttle_hears_refusals_and_refuses() {
    let layer = ThrottleLayer::new(Throttle::new().seed(7));
    let handle = layer.handle();
    for (site, mut client) in throttle_sites(|| layer.clone()).await {
        println!("{site}");
        handle.reset();
        assert_well(&mut client).await;
        let before = handle.snapshot().refused;
        let mut rejected = 0;
        for n in 0..60 {
            let status = if n % 2 == 0 {
                soon(client.unary("fail")).await.unwrap_err()
            } else {
                let answers = soon(client.server_stream("fail")).await;
                match answers {
                    Ok(answers) => read(answers.into_inner()).await.1.unwrap(),
                    Err(status) => status,
                }
            };
            assert_eq!(status.code(), Code::Unavailable);
            rejected += u64::from(status.message().starts_with("refused by throttle"));
        }
        assert!(rejected > 20, "{rejected}");
        assert_eq!(handle.snapshot().refused - before, rejected);
    }
}

#[tokio::test]
async fn a_backlog_lets_wait_and_refuses() {
    let layer = ShedLayer::new(Shed::fixed(1)).backlog(Backlog::new(1).max_wait(HOUR).target(HOUR));
    let handle = layer.handle();
    let is_idle = || (handle.snapshot().in_flight, handle.snapshot().queued) == (0, 0);
    for (site, mut client) in backlog_sites(|| layer.clone()).await {
        println!("{site}");
        assert_well(&mut client).await;
        until(is_idle).await;
        let mut held = soon(client.server_stream("one hang")).await.unwrap().into_inner();
        assert_eq!(soon(held.message()).await.unwrap().unwrap().text, "one");
        let mut other = client.clone();
        let mut waits = Box::pin(other.both_stream(words(&["one", "two"])));
        tokio::select! {
            answer = &mut waits => panic!("{answer:?}"),
            () = until(|| handle.snapshot().queued == 1) => {}
        }
        assert_refused(&mut client, Code::Unavailable, "refused by shed: queue full", 1000..=2000).await;
        drop(held);
        let answers = soon(waits).await.unwrap().into_inner();
        assert!(matches!(read(answers).await, (all, None) if all == "one two"));
        until(is_idle).await;
    }
}

#[tokio::test]
async fn a_limit_lets_wait_and_asks_its_store() {
    let layer = LimitLayer::new(Limit::per(4, 4 * HOUR)).waiting(2 * HOUR, 1);
    let handle = layer.handle();
    for (site, mut client) in waiting_sites(|| layer.clone()).await {
        println!("{site}");
        handle.reset();
        assert_well(&mut client).await;
        let mut other = client.clone();
        let mut waits = Box::pin(other.unary("one"));
        tokio::select! {
            answer = &mut waits => panic!("{answer:?}"),
            () = until(|| handle.snapshot().waiting == 1) => {}
        }
        let crowded = soon(client.unary("one")).await.unwrap_err();
        assert_eq!(crowded.message(), "refused by limit: too many waiting");
        handle.reset();
        assert_eq!(soon(waits).await.unwrap().into_inner().text, "one");
    }

    let store = Fickle::new();
    let layer = LimitLayer::new(Limit::per(100, 100 * HOUR)).store(store.clone());
    for (site, mut client) in shared_sites(|| layer.clone()).await {
        println!("{site}");
        assert_well(&mut client).await;
    }
    store.close();
    let message = "refused by limit: over the limit";
    for (site, mut client) in shared_sites(|| layer.clone()).await {
        println!("{site}");
        let refused = soon(client.unary("one")).await.unwrap_err();
        assert_eq!((refused.code(), refused.message()), (Code::ResourceExhausted, message));
        assert!(pushback(&refused).unwrap() > HOUR / 2);
    }
}

#[tokio::test]
async fn a_retry_asks_again() {
    // Of those that have no place in the request for a mark.
    let retry = || RetryLayer::new(stack::retry()).repeat(|_| true);
    for (site, mut client) in retry_sites(retry).await {
        println!("{site}");
        assert_well(&mut client).await;
        assert_eq!(soon(client.unary("moody")).await.unwrap().into_inner().text, "moody");
        let answers = soon(client.server_stream("moody one")).await.unwrap().into_inner();
        assert!(matches!(read(answers).await, (all, None) if all == "moody one"));
        let answer = soon(client.client_stream(words(&["moody", "one"]))).await.unwrap();
        assert_eq!(answer.into_inner().text, "moody one");
        assert_eq!(soon(client.unary("fail")).await.unwrap_err().message(), "played");
    }
}

#[tokio::test]
async fn a_hedge_asks_twice_what_does_not_answer() {
    let hedge = || HedgeLayer::new(stack::hedge()).repeat(|_| true);
    for (site, mut client) in hedge_sites(hedge).await {
        println!("{site}");
        assert_well(&mut client).await;
        assert_eq!(soon(client.unary("shy")).await.unwrap().into_inner().text, "shy");
        let answers = soon(client.server_stream("shy one")).await.unwrap().into_inner();
        assert!(matches!(read(answers).await, (all, None) if all == "shy one"));
        let answer = soon(client.client_stream(words(&["shy", "one"]))).await.unwrap();
        assert_eq!(answer.into_inner().text, "shy one");
        assert_eq!(soon(client.unary("fail")).await.unwrap_err().message(), "played");
    }
}

#[tokio::test]
async fn the_callers_deadline_is_kept_to() {
    let server = channel(|incoming| {
        Server::builder().layer(DeadlineLayer::new(HOUR)).add_service(echo()).serve_with_incoming(incoming)
    });
    let mut client = EchoClient::new(server.await);
    let mut request = tonic::Request::new(Said::from("left"));
    request.set_timeout(Duration::from_secs(30));
    let left: u64 = soon(client.unary(request)).await.unwrap().into_inner().text.parse().unwrap();
    assert!((1..=30_000).contains(&left), "{left}");
    let left: u64 = soon(client.unary("left")).await.unwrap().into_inner().text.parse().unwrap();
    assert!((30_000..=3_600_000).contains(&left), "{left}");
}

/// A bidirectional stream on which each side waits for the other.
async fn talk(client: &mut Client) {
    let (say, said) = mpsc::channel(1);
    say.send("first".into()).await.unwrap();
    let mut answers = soon(client.both_stream(ReceiverStream::new(said))).await.unwrap().into_inner();
    assert_eq!(soon(answers.message()).await.unwrap().unwrap().text, "first");
    for turn in 0..100 {
        let word = format!("turn {turn}");
        say.send(word.as_str().into()).await.unwrap();
        assert_eq!(soon(answers.message()).await.unwrap().unwrap().text, word);
    }
    drop(say);
    assert_eq!(soon(answers.message()).await.unwrap(), None);
}

#[tokio::test]
async fn both_sides_of_a_stream_wait_for_each_other_without_deadlock() {
    let all = || {
        ServiceBuilder::new()
            .layer(DeadlineLayer::new(HOUR))
            .layer(BreakerLayer::new(Breaker::new()))
            .layer(Gauge::new(1).layer())
            .into_inner()
    };
    let layers = all();
    let server = channel(|incoming| {
        Server::builder().layer(layers).add_service(all().named_layer(echo())).serve_with_incoming(incoming)
    });
    let outgoing = ServiceBuilder::new()
        .layer(DeadlineLayer::new(HOUR).outgoing())
        .layer(BreakerLayer::new(Breaker::new()))
        .layer(Gauge::new(1).layer());
    talk(&mut client(outgoing.service(server.await))).await;
}

#[tokio::test]
async fn a_stream_that_is_dropped_is_no_failure() {
    for on_server in [true, false] {
        println!("on the server: {on_server}");
        let breaker = BreakerLayer::new(Breaker::new().without_evidence().consecutive(Consecutive::new(1)));
        let gauge = Gauge::new(1);
        let handle = breaker.handle();
        let layers = ServiceBuilder::new().layer(breaker).layer(gauge.layer()).into_inner();
        let mut client = if on_server {
            let server = channel(|incoming| {
                Server::builder().layer(layers).add_service(echo()).serve_with_incoming(incoming)
            });
            client(server.await)
        } else {
            let bare =
                channel(|incoming| Server::builder().add_service(echo()).serve_with_incoming(incoming));
            client(layers.layer(bare.await))
        };
        for _ in 0..5 {
            let mut answers = soon(client.server_stream("one hang")).await.unwrap().into_inner();
            assert_eq!(soon(answers.message()).await.unwrap().unwrap().text, "one");
            drop(answers);
            until(|| gauge.in_flight() == 0).await;
        }
        // A call that is dropped before its head came.
        let mut hanging = client.clone();
        tokio::select! {
            answer = hanging.unary("hang") => panic!("{answer:?}"),
            () = until(|| gauge.in_flight() == 1) => {}
        }
        until(|| gauge.in_flight() == 0).await;

        assert_eq!(handle.snapshot().failures, 0);
        soon(client.unary("one")).await.unwrap();
        let answers = soon(client.server_stream("one fail")).await.unwrap().into_inner();
        assert!(read(answers).await.1.is_some());
        let refused = soon(client.unary("one")).await.unwrap_err();
        assert_eq!(refused.message(), "refused by breaker: open: failures in a row");
    }
}

#[tokio::test]
async fn a_panic_on_the_server_is_a_failure_and_gives_back() {
    let breaker = BreakerLayer::new(Breaker::new().without_evidence().consecutive(Consecutive::new(3)));
    let gauge = Gauge::new(1);
    let layers = ServiceBuilder::new().layer(breaker).layer(gauge.layer()).into_inner();
    let server =
        channel(|incoming| Server::builder().layer(layers).add_service(echo()).serve_with_incoming(incoming));
    let mut client = EchoClient::new(server.await);
    for part in ["panic", "one panic", "panic"] {
        let told =
            soon(async { read(client.server_stream(part).await?.into_inner()).await.1.map_or(Ok(()), Err) });
        told.await.unwrap_err();
        until(|| gauge.in_flight() == 0).await;
    }
    let refused = soon(client.unary("one")).await.unwrap_err();
    assert_eq!(refused.message(), "refused by breaker: open: failures in a row");
}

#[tokio::test]
async fn grpc_web_is_http() {
    let layer = BreakerLayer::new(Breaker::new());
    layer.handle().force_open();
    let url = serve(Routes::new(echo()).into_axum_router().layer(layer)).await;
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let post = |kind| client.post(format!("{url}/stack.Echo/Unary")).header("content-type", kind);
    for kind in [
        "application/grpc-web",
        "application/grpc-web+proto",
        "application/grpc-web-text",
        "application/json",
    ] {
        let answer = Response::from(soon(post(kind).send()).await.unwrap());
        assert_eq!(Refusal::of(answer).await, Refusal::new(503, "breaker", "forced open", None), "{kind}");
    }
    for kind in ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"] {
        let answer = soon(post(kind).send()).await.unwrap();
        assert_eq!(answer.status(), 200, "{kind}");
        assert_eq!(answer.headers()["grpc-status"], "14");
        assert_eq!(answer.headers()["content-type"], "application/grpc");
        assert_eq!(soon(answer.bytes()).await.unwrap(), "");
    }
}

#[tokio::test]
async fn a_refusal_is_no_verdict_on_who_is_behind_it() {
    let breaker = BreakerLayer::new(Breaker::new().without_evidence().consecutive(Consecutive::new(1)));
    let handle = breaker.handle();
    let bare = channel(|incoming| Server::builder().add_service(echo()).serve_with_incoming(incoming));
    let stack = ServiceBuilder::new().layer(breaker).layer(Gauge::new(0).layer()).service(bare.await);
    let mut client = EchoClient::new(stack);
    for _ in 0..5 {
        assert_eq!(soon(client.unary("one")).await.unwrap_err().code(), Code::ResourceExhausted);
    }
    assert_eq!((handle.snapshot().failures, handle.snapshot().throttled), (0, 0));
}

#[tokio::test]
async fn who_is_not_there_is_a_failure() {
    let breaker = BreakerLayer::new(Breaker::new().without_evidence().consecutive(Consecutive::new(3)));
    let (listener, address) = stack::listen().await;
    drop(listener);
    let nobody = Channel::builder(format!("http://{address}").parse().unwrap()).connect_lazy();
    let mut client = EchoClient::new(ServiceBuilder::new().layer(breaker).service(nobody));
    for _ in 0..3 {
        let status = soon(client.unary("one")).await.unwrap_err();
        assert!(!status.message().contains("refused by"), "{status}");
    }
    let refused = soon(client.unary("one")).await.unwrap_err();
    assert_eq!(refused.message(), "refused by breaker: open: failures in a row");
}

#[tokio::test]
async fn a_bare_call_is_answered_by_trailers_only() {
    use tower::ServiceExt;
    let layer = BreakerLayer::new(Breaker::new());
    layer.handle().force_open();
    let request = Request::post("/stack.Echo/Unary")
        .header("content-type", "application/grpc")
        .body(Body::empty())
        .unwrap();
    let answer = layer.layer(echo()).oneshot(request).await.unwrap();
    assert_eq!(answer.headers()["grpc-status"], "14");
    assert!(http_body::Body::is_end_stream(answer.body()));
    let frames: Vec<_> = http_body_util::BodyStream::new(answer.into_body()).collect().await;
    assert!(frames.is_empty());
}
