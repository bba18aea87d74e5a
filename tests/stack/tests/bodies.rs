//! What passes through all layers at once, on the server and around the client, unharmed: streams, events, uploads, `HEAD`,
//! `OPTIONS`, upgrades, trailers.
#![allow(clippy::unwrap_used, reason = "what helps a test is one")]

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{DefaultBodyLimit, Request};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use bartizan_breaker::{Breaker, BreakerLayer};
use bartizan_client::{Body, Boxed, Client, HyperService, ReqwestService};
use bartizan_core::Verdict;
use bartizan_deadline::{Deadline, DeadlineLayer};
use bartizan_limit::{Limit, LimitLayer};
use bartizan_shed::{Shed, ShedLayer};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, stream};
use http::{HeaderMap, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper_util::rt::TokioExecutor;
use stack::{Gauge, GaugeLayer, Player, Reach, Refusal, ask, listen, serve, soon, until};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_tungstenite::tungstenite;
use tower::layer::util::{Identity, Stack};
use tower::{Layer, ServiceBuilder, ServiceExt};
use tower_http::compression::CompressionLayer;

const HOUR: Duration = Duration::from_secs(3600);

/// All layers at once, the gauge innermost.
type All = Stack<
    GaugeLayer,
    Stack<BreakerLayer, Stack<ShedLayer, Stack<LimitLayer, Stack<DeadlineLayer, Identity>>>>,
>;

fn all(deadline: DeadlineLayer, gauge: &Gauge) -> All {
    let admission =
        ServiceBuilder::new().layer(deadline).layer(LimitLayer::new(Limit::per_second(1_000_000)));
    let admission = admission.layer(ShedLayer::new(Shed::new())).layer(BreakerLayer::new(Breaker::new()));
    admission.layer(gauge.layer()).into_inner()
}

/// An app behind all layers, and clients behind all layers.
struct House {
    url: String,
    gauge: Gauge,
}

impl House {
    async fn of(app: Router) -> Self {
        let gauge = Gauge::new(usize::MAX);
        let url = serve(app.layer(all(DeadlineLayer::new(HOUR), &gauge))).await;
        Self { url, gauge }
    }

    /// reqwest and hyper, each by HTTP/1 and HTTP/2.
    fn clients(&self) -> [(&'static str, Client); 4] {
        let reqwest = || reqwest::Client::builder().no_proxy();
        let hyper = || hyper_util::client::legacy::Client::builder(TokioExecutor::new());
        let layers = || all(DeadlineLayer::new(HOUR).outgoing(), &self.gauge);
        let over_reqwest = |client| Boxed::new(layers().layer(ReqwestService::new(client)));
        let over_hyper = |client| Boxed::new(layers().layer(HyperService::new(client)));
        [
            ("reqwest by h1", over_reqwest(reqwest().build().unwrap())),
            ("reqwest by h2", over_reqwest(reqwest().http2_prior_knowledge().build().unwrap())),
            ("hyper by h1", over_hyper(hyper().build_http())),
            ("hyper by h2", over_hyper(hyper().http2_only(true).build_http())),
        ]
        .map(|(name, stack)| (name, Client::new(stack).base_url(self.url.parse().unwrap())))
    }

    /// Waits until all was given back, on both sides.
    async fn settled(&self) -> Vec<Verdict> {
        until(|| self.gauge.in_flight() == 0).await;
        self.gauge.verdicts()
    }
}

const BOTH_GOOD: [Verdict; 2] = [Verdict::Success, Verdict::Success];

/// A body that is made as it is sent.
fn upload() -> (mpsc::Sender<&'static str>, Body) {
    let (sender, chunks) = mpsc::channel::<&str>(1);
    let frames =
        ReceiverStream::new(chunks).map(|chunk| Ok::<_, Infallible>(Frame::data(Bytes::from(chunk))));
    (sender, Body::new(StreamBody::new(frames)))
}

async fn echo(request: Request) -> Response {
    Response::new(request.into_body())
}

#[tokio::test]
async fn streams_both_ways_at_once() {
    let house = House::of(Router::new().route("/", post(echo))).await;
    for (name, client) in house.clients() {
        println!("{name}");
        let (say, said) = upload();
        say.send("first").await.unwrap();
        let mut answer = soon(client.post("").body(said).send()).await.unwrap();
        assert_eq!(soon(answer.chunk()).await.unwrap().unwrap(), "first");
        for _ in 0..20 {
            say.send("turn").await.unwrap();
            assert_eq!(soon(answer.chunk()).await.unwrap().unwrap(), "turn");
        }
        drop(say);
        assert_eq!(soon(answer.bytes()).await.unwrap(), "");
        assert_eq!(house.settled().await, BOTH_GOOD);
    }
}

#[tokio::test]
async fn events_arrive_one_by_one_and_outlive_the_deadline() {
    let gauge = Gauge::new(1);
    let (sender, receiver) = mpsc::channel::<&str>(1);
    let receiver = Arc::new(std::sync::Mutex::new(Some(receiver)));
    let events = move || {
        let events = ReceiverStream::new(receiver.lock().unwrap().take().unwrap());
        std::future::ready(Sse::new(events.map(|text| Ok::<_, Infallible>(Event::default().data(text)))))
    };
    let layers = all(DeadlineLayer::new(Duration::from_millis(200)), &gauge);
    let url = serve(Router::new().route("/", get(events)).layer(layers)).await;
    let mut stream = ask(&url).await.into_body().into_data_stream();
    sender.send("one").await.unwrap();
    assert_eq!(soon(stream.next()).await.unwrap().unwrap(), "data: one\n\n");
    tokio::time::sleep(Duration::from_millis(300)).await;
    sender.send("two").await.unwrap();
    assert_eq!(soon(stream.next()).await.unwrap().unwrap(), "data: two\n\n");
    assert_eq!((gauge.in_flight(), gauge.verdicts()), (1, vec![Verdict::Success]));
    drop(sender);
    assert!(soon(stream.next()).await.is_none());
    until(|| gauge.in_flight() == 0).await;
}

#[tokio::test]
async fn big_uploads_and_downloads_arrive() {
    let house = House::of(Router::new().route("/", post(echo))).await;
    let big: Bytes = (0..8 << 20).map(|i: u32| i.to_le_bytes()[1]).collect();
    for (name, client) in house.clients() {
        println!("{name}");
        let answer = soon(client.post("").body(big.clone()).send()).await.unwrap();
        assert!(soon(answer.bytes()).await.unwrap() == big);
        let chunks = stream::iter(big.chunks(100_000).map(|chunk| Ok::<_, Infallible>(big.slice_ref(chunk))))
            .map(|chunk| chunk.map(Frame::data))
            .collect::<Vec<_>>()
            .await;
        let streamed = Body::new(StreamBody::new(stream::iter(chunks)));
        let answer = soon(client.post("").body(streamed).send()).await.unwrap();
        assert!(soon(answer.bytes()).await.unwrap() == big);
        assert_eq!(house.settled().await, [BOTH_GOOD, BOTH_GOOD].concat());
    }
}

#[tokio::test]
async fn an_upload_that_is_refused_is_not_read() {
    let app = || Router::new().route("/", post(Player::new()));
    let open = BreakerLayer::new(Breaker::new());
    open.handle().force_open();
    unread(app().layer(open), "breaker").await;

    let spent = LimitLayer::new(Limit::per(1, HOUR));
    spent.handle().drain();
    unread(app().layer(spent), "limit").await;

    // One is inside, and does not leave.
    let app = app().route("/hang", get(std::future::pending::<()>)).layer(ShedLayer::new(Shed::fixed(1)));
    let inside = tokio::spawn(
        app.clone().oneshot(http::Request::get("/hang").body(axum::body::Body::empty()).unwrap()),
    );
    tokio::task::yield_now().await;
    unread(app, "shed").await;
    inside.abort();
}

/// Whoever uploads to this app is refused by a layer, and nothing of what is uploaded is read.
async fn unread(app: Router, layer: &str) {
    let read = Arc::new(AtomicBool::new(false));
    let seen = read.clone();
    let body = axum::body::Body::from_stream(stream::poll_fn(move |_| {
        seen.store(true, Ordering::Relaxed);
        std::task::Poll::Ready(None::<Result<Bytes, Infallible>>)
    }));
    let answer = app.clone().oneshot(http::Request::post("/").body(body).unwrap()).await.unwrap();
    assert_eq!(Refusal::of(answer).await.layer, layer);
    assert!(!read.load(Ordering::Relaxed));

    // The answer is there while the client still has to say the rest, be it much or little.
    let house = House::of(app).await;
    for (name, client) in house.clients() {
        println!("{layer}, {name}");
        let (say, said) = upload();
        say.send("first").await.unwrap();
        let answer = soon(client.post("").body(said).send()).await.unwrap();
        assert_eq!(Refusal::of(http::Response::<Body>::from(answer)).await.layer, layer);
        drop(say);
        house.settled().await;
    }
    for (name, client) in house.clients() {
        println!("{layer}, {name}, 10 MB");
        let chunk = Bytes::from(vec![7; 100_000]);
        let chunks = stream::iter(0..100).map(move |_| Ok::<_, Infallible>(Frame::data(chunk.clone())));
        match soon(client.post("").body(Body::new(StreamBody::new(chunks))).send()).await {
            Ok(answer) => {
                assert_eq!(Refusal::of(http::Response::<Body>::from(answer)).await.layer, layer);
            }
            // A server that closes while it is spoken to may be heard of as a break, where a connection is one request.
            Err(error) => assert!(name.ends_with("h1"), "{error:?}"),
        }
        house.settled().await;
    }
}

#[tokio::test]
async fn an_upload_that_stands_still_is_ended() {
    let bounded = Deadline::new(HOUR).idle_timeout(Duration::from_millis(50));
    let gauge = Gauge::new(1);
    let layers = ServiceBuilder::new().layer(gauge.layer()).layer(DeadlineLayer::new(bounded).uploads());
    let read = |request: Request| async { request.into_body().collect().await.unwrap().to_bytes() };
    let house = House::of(Router::new().route("/", post(read)).layer(layers)).await;
    for (name, client) in house.clients() {
        println!("{name}");
        assert_eq!(soon(client.post("").body("whole").send()).await.unwrap().text().await.unwrap(), "whole");
        let (say, said) = upload();
        say.send("first").await.unwrap();
        let answer = soon(client.post("").body(said).send()).await.unwrap();
        let ought = Refusal::new(504, "deadline", "upload stood still", None);
        assert_eq!(Refusal::of(http::Response::<Body>::from(answer)).await, ought);
        drop(say);
        until(|| gauge.in_flight() == 0).await;
    }
}

#[tokio::test]
async fn head_and_options_are_answered_as_without_layers() {
    let routes = || {
        Router::new()
            .route("/", get(|| async { "12345" }))
            .route("/empty", get(|| async { StatusCode::NO_CONTENT }))
            .route("/unchanged", get(|| async { StatusCode::NOT_MODIFIED }))
            .route("/options", any(|| async { [("allow", "GET")] }))
            .layer(DefaultBodyLimit::disable())
    };
    let layered = serve(routes().layer(all(DeadlineLayer::new(HOUR), &Gauge::new(1)))).await;
    let bare = serve(routes()).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for method in ["HEAD", "OPTIONS", "GET", "POST", "DELETE"] {
        for path in ["/", "/empty", "/unchanged", "/options", "/nowhere"] {
            let answer = async |base: &str| {
                let method = http::Method::from_bytes(method.as_bytes()).unwrap();
                let answer = soon(client.request(method, format!("{base}{path}")).send()).await.unwrap();
                let mut headers: HeaderMap = answer.headers().clone();
                headers.remove("date");
                (answer.status(), headers, soon(answer.bytes()).await.unwrap())
            };
            assert_eq!(answer(&layered).await, answer(&bare).await, "{method} {path}");
        }
    }
}

/// Around an application, where axum does not take the body away: over HTTP/2 it would be a protocol error.
#[tokio::test]
async fn a_refused_head_has_no_body() {
    let open = BreakerLayer::new(Breaker::new());
    open.handle().force_open();
    let late = || DeadlineLayer::new(Duration::ZERO);
    let app = || Router::new().route("/", get(Player::new()));
    let urls = [
        serve(app().layer(open.clone())).await,
        serve(app().layer(late())).await,
        serve_around(open.layer(app())).await,
        serve_around(late().layer(app())).await,
    ];
    for (n, url) in urls.iter().enumerate() {
        for http2 in [false, true] {
            for _ in 0..2 {
                let req = http::Request::head(url).body(reqwest::Body::default()).unwrap();
                let answer = soon(stack::reqwest(http2).oneshot(req)).await.unwrap();
                let ought = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT][n % 2];
                assert_eq!(answer.status(), ought);
                assert_eq!(answer.headers()["content-type"], "application/problem+json");
                assert!(soon(answer.into_body().collect()).await.unwrap().to_bytes().is_empty());
            }
        }
    }
}

async fn serve_around<S, B>(service: S) -> String
where
    S: tower::Service<Request, Response = http::Response<B>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes, Error: Into<axum::BoxError>> + Send + 'static,
{
    let service = service.map_response(|answer| answer.map(axum::body::Body::new));
    let (listener, address) = listen().await;
    tokio::spawn(async move { axum::serve(listener, tower::make::Shared::new(service)).await });
    format!("http://{address}/")
}

#[tokio::test]
async fn compression_works_outside_and_inside() {
    let text = "a text that is long enough to be compressed. ".repeat(100);
    let player = || get(|| async { "a text that is long enough to be compressed. ".repeat(100) });
    let gauge = Gauge::new(1);
    let layers = || all(DeadlineLayer::new(HOUR), &gauge);
    let outside = ServiceBuilder::new().layer(CompressionLayer::new()).layer(layers());
    let inside = ServiceBuilder::new().layer(layers()).layer(CompressionLayer::new());
    let app =
        Router::new().route("/outside", player().layer(outside)).route("/inside", player().layer(inside));
    for reach in Reach::ALL {
        let app = reach.reach(app.clone()).await;
        for path in ["/outside", "/inside"] {
            let asked = http::Request::get(path).header("accept-encoding", "gzip").body(()).unwrap();
            let answer = app.send(asked).await;
            assert_eq!(answer.headers()["content-encoding"], "gzip");
            let packed = soon(answer.into_body().collect()).await.unwrap().to_bytes();
            assert!(packed.starts_with(&[0x1f, 0x8b]) && packed.len() < text.len() / 2);
            until(|| gauge.in_flight() == 0).await;
            let answer = app.ask(path).await;
            assert_eq!(answer.headers().get("content-encoding"), None);
            assert_eq!(soon(answer.into_body().collect()).await.unwrap().to_bytes(), text);
            until(|| gauge.in_flight() == 0).await;
        }
    }
}

async fn talk(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if let Message::Text(text) = message {
            socket.send(Message::Text(text)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_web_socket_outlives_the_deadline() {
    let gauge = Gauge::new(1);
    let upgrade = |upgrade: WebSocketUpgrade| async { upgrade.on_upgrade(talk) };
    let layers = all(DeadlineLayer::new(Duration::from_millis(200)), &gauge);
    let (listener, address) = listen().await;
    let app = Router::new().route("/", get(upgrade)).layer(layers);
    tokio::spawn(async move { axum::serve(listener, app).await });

    let stream = TcpStream::connect(address).await.unwrap();
    let url = format!("ws://{address}/");
    let (mut socket, answer) = soon(tokio_tungstenite::client_async(url, stream)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
    for pause in [0, 300] {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        soon(socket.send(tungstenite::Message::text("word"))).await.unwrap();
        let echoed = soon(socket.next()).await.unwrap().unwrap();
        assert_eq!(echoed, tungstenite::Message::text("word"));
    }
    assert_eq!(gauge.verdicts(), [Verdict::Success]);
    soon(socket.close(None)).await.unwrap();
    until(|| gauge.in_flight() == 0).await;
}

#[tokio::test]
async fn a_web_socket_is_refused_by_a_response() {
    let open = BreakerLayer::new(Breaker::new());
    open.handle().force_open();
    let (listener, address) = listen().await;
    let upgrade = |upgrade: WebSocketUpgrade| async { upgrade.on_upgrade(talk) };
    let app = Router::new().route("/", get(upgrade)).layer(open);
    tokio::spawn(async move { axum::serve(listener, app).await });
    let stream = TcpStream::connect(address).await.unwrap();
    let refused = soon(tokio_tungstenite::client_async(format!("ws://{address}/"), stream)).await;
    let Err(tungstenite::Error::Http(answer)) = refused else { panic!("{refused:?}") };
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
}

#[tokio::test]
async fn an_upgrade_passes_the_layers_of_a_client() {
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let upgrade = |upgrade: WebSocketUpgrade| async { upgrade.on_upgrade(talk) };
    let house = House::of(Router::new().route("/", get(upgrade))).await;
    for (name, client) in house.clients().into_iter().filter(|(name, _)| name.ends_with("h1")) {
        println!("{name}");
        let asked = client
            .get("")
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let answer: http::Response<Body> = soon(asked.send()).await.unwrap().into();
        assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
        let mut socket = TokioIo::new(soon(hyper::upgrade::on(answer)).await.unwrap());
        // A text frame of one letter, masked by zeros; it comes back without a mask (RFC 6455 §5.2).
        soon(socket.write_all(&[0x81, 0x81, 0, 0, 0, 0, b'a'])).await.unwrap();
        let mut echoed = [0; 3];
        soon(socket.read_exact(&mut echoed)).await.unwrap();
        assert_eq!(echoed, [0x81, 1, b'a']);
        assert_eq!(house.settled().await, BOTH_GOOD);
    }
}

#[tokio::test]
async fn trailers_arrive_both_ways() {
    let house = House::of(Router::new().route("/", post(with_trailers))).await;
    for (name, client) in house.clients() {
        println!("{name}");
        let frames =
            [Ok::<_, Infallible>(Frame::data(Bytes::from("body"))), Ok(Frame::trailers(trailer("asked")))];
        let body = Body::new(StreamBody::new(stream::iter(frames)));
        let asked = client.post("").header("te", "trailers").header("trailer", "x-end").body(body);
        let answer: http::Response<Body> = soon(asked.send()).await.unwrap().into();
        let answer = soon(answer.into_body().collect()).await.unwrap();
        assert_eq!(answer.trailers(), Some(&trailer("asked and answered")));
        assert_eq!(answer.to_bytes(), "body");
        assert_eq!(house.settled().await, BOTH_GOOD);
    }
}

/// Answers with what it was sent, body and trailer, and adds to the trailer.
async fn with_trailers(request: Request) -> impl IntoResponse {
    let asked = request.into_body().collect().await.unwrap();
    let end = asked.trailers().map_or("nothing", |end| end["x-end"].to_str().unwrap()).to_owned();
    let frames = [
        Ok::<_, Infallible>(Frame::data(asked.to_bytes())),
        Ok(Frame::trailers(trailer(&format!("{end} and answered")))),
    ];
    ([("trailer", "x-end")], axum::body::Body::new(StreamBody::new(stream::iter(frames))))
}

fn trailer(value: &str) -> HeaderMap {
    [(http::HeaderName::from_static("x-end"), value.parse().unwrap())].into_iter().collect()
}

#[tokio::test]
async fn a_body_that_breaks_off_breaks_off() {
    let house = House::of(Router::new().route("/", get(Player::new()))).await;
    for (name, client) in house.clients() {
        for part in ["tear", "burst"] {
            println!("{name} {part}");
            let answer = soon(client.get(format!("?{part}")).send()).await.unwrap();
            soon(answer.bytes()).await.unwrap_err();
            assert_eq!(house.settled().await, [Verdict::Failure, Verdict::Failure]);
        }
    }
}
