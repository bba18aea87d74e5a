//! Heartbeats: when who is asked, and what is told.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use bartizan_core::{Change, Health, Instant};
use bartizan_discover::{BoxError, Error, Fixed, Grpc, Heartbeats, Http, Payload, Probe, Tcp};
use futures_util::stream::{self, StreamExt};
use futures_util::{FutureExt, Stream};
use http::{Request, Response, Uri};
use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::server::health_reporter;
use tower::service_fn;

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// A stream that is sent its changes.
fn sent() -> (mpsc::UnboundedSender<Change<Uri>>, impl Stream<Item = Result<Change<Uri>, Error>> + Unpin) {
    let (send, mut receive) = mpsc::unbounded_channel();
    (send, stream::poll_fn(move |cx| receive.poll_recv(cx).map(|change| change.map(Ok))))
}

fn uri(uri: &'static str) -> Uri {
    Uri::from_static(uri)
}

/// The next health that is told, and how many whole seconds after `start`.
async fn health<S, E: std::fmt::Debug>(changes: &mut S, start: Instant) -> (u64, Health)
where
    S: Stream<Item = Result<Change<Uri>, E>> + Unpin,
{
    loop {
        if let Change::Health(_, health) = changes.next().await.unwrap().unwrap() {
            return ((Instant::now() - start).as_secs(), health);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn verdicts_follow_the_script() {
    let script = Arc::new(Mutex::new("SFFSFFFSSD".chars()));
    let probe = move |_: Uri| {
        let beat = script.lock().unwrap().next();
        async move {
            match beat {
                Some('S') => Ok(Health::Up),
                Some('F') => Err(io::Error::other("ill")),
                Some('D') => Ok(Health::Draining),
                _ => Ok(Health::Unknown),
            }
        }
    };
    let start = Instant::now();
    let mut changes =
        Heartbeats::new(probe).every(seconds(1.0)).jitter(0.0).watch(Fixed::new([uri("http://a")]));
    assert_eq!(changes.next().await, Some(Ok(Change::set([uri("http://a")]))));
    let mut told = Vec::new();
    for _ in 0..5 {
        told.push(health(&mut changes, start).await);
    }
    let expected =
        [(0, Health::Up), (3, Health::Up), (6, Health::Down), (8, Health::Up), (9, Health::Draining)];
    assert_eq!(told, expected);
    tokio::select! {
        _ = changes.next() => panic!("what says nothing is not told"),
        () = tokio::time::sleep(seconds(60.0)) => {}
    }
}

/// A probe that hangs, and counts how often it was asked, how often at the same time, and how often it was let go.
#[derive(Clone, Default)]
struct Hanging {
    now: Arc<AtomicU32>,
    most: Arc<AtomicU32>,
    asked: Arc<Mutex<Vec<Instant>>>,
}

struct Here(Arc<AtomicU32>);

impl Drop for Here {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Hanging {
    fn probe(&self) -> impl Probe {
        let this = self.clone();
        move |_: Uri| {
            let now = this.now.fetch_add(1, Ordering::Relaxed) + 1;
            this.most.fetch_max(now, Ordering::Relaxed);
            this.asked.lock().unwrap().push(Instant::now());
            let here = Here(this.now.clone());
            async move {
                let _here = here;
                std::future::pending::<Result<Health, Infallible>>().await
            }
        }
    }

    /// When it was asked, in tenths of a second.
    fn asked(&self, start: Instant) -> Vec<u128> {
        self.asked.lock().unwrap().iter().map(|at| (*at - start).as_millis() / 100).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_is_let_go_and_asked_again_on_schedule() {
    for (time_out, asked) in [(0.5, [0, 20, 40, 60]), (3.0, [0, 40, 80, 120])] {
        let (hanging, start) = (Hanging::default(), Instant::now());
        let mut changes = Heartbeats::new(hanging.probe())
            .every(seconds(2.0))
            .time_out(seconds(time_out))
            .jitter(0.0)
            .watch(Fixed::new([uri("http://a")]));
        for _ in 0..3 {
            assert_eq!(health(&mut changes, start).await.1, Health::Down);
        }
        assert!(changes.next().now_or_never().is_none());
        let until = start + seconds(12.5);
        let _ = tokio::time::timeout_at(until, async { while changes.next().await.is_some() {} }).await;
        assert_eq!(hanging.asked(start)[..4], asked);
        assert_eq!(hanging.most.load(Ordering::Relaxed), 1, "never two at a time");
        drop(changes);
        assert_eq!(hanging.now.load(Ordering::Relaxed), 0, "none is left behind");
    }
}

#[tokio::test(start_paused = true)]
async fn members_that_leave_are_let_go_and_those_that_stay_are_not_asked_anew() {
    let (hanging, start) = (Hanging::default(), Instant::now());
    let (send, members) = sent();
    let beats = Heartbeats::new(hanging.probe()).every(seconds(10.0)).time_out(seconds(5.0)).jitter(0.0);
    let mut changes = beats.watch(members);
    send.send(Change::set([uri("http://a"), uri("http://b")])).unwrap();
    assert!(changes.next().await.is_some());
    assert!(changes.next().now_or_never().is_none());
    assert_eq!(hanging.now.load(Ordering::Relaxed), 2);

    for change in [
        Change::set([uri("http://b"), uri("http://c")]),
        Change::Insert(uri("http://b").into()),
        Change::Insert(uri("http://d").into()),
        Change::Remove(uri("http://c")),
        Change::Remove(uri("http://nobody")),
    ] {
        send.send(change.clone()).unwrap();
        assert_eq!(changes.next().await.unwrap().unwrap(), change);
    }
    assert!(changes.next().now_or_never().is_none());
    assert_eq!(hanging.now.load(Ordering::Relaxed), 2, "b and d are being asked");
    assert_eq!(hanging.asked(start), [0, 0, 0], "a, b and d were; c left before its turn");
    // Only those who stayed are heard of.
    let told = [changes.next().await.unwrap().unwrap(), changes.next().await.unwrap().unwrap()];
    for key in ["http://b", "http://d"] {
        assert!(told.contains(&Change::Health(uri(key), Health::Down)), "{told:?}");
    }
    // The last words of the source: everybody leaves, and then nothing can come any more.
    send.send(Change::Set(Vec::new())).unwrap();
    drop(send);
    assert!(matches!(changes.next().await, Some(Ok(Change::Set(_)))));
    assert!(changes.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn members_are_watched_on_when_their_source_has_ended() {
    let members = stream::iter([Ok::<_, Infallible>(Change::set([uri("http://a")]))]);
    let probe = |_: Uri| async { Ok::<_, Infallible>(Health::Up) };
    let mut changes = Heartbeats::new(probe).jitter(0.0).watch(members);
    let start = Instant::now();
    assert_eq!(health(&mut changes, start).await, (0, Health::Up));
    assert_eq!(health(&mut changes, start).await, (2, Health::Up));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_panics_is_one_that_fails_and_the_others_are_asked_on() {
    let probe = |member: Uri| {
        assert_ne!(member.host(), Some("early"), "as told");
        async move {
            assert_ne!(member.host(), Some("late"), "as told");
            Ok::<_, Infallible>(Health::Up)
        }
    };
    let members = ["http://early", "http://late", "http://well"].map(uri);
    let mut changes = Heartbeats::new(probe).jitter(0.0).watch(Fixed::new(members));
    assert!(changes.next().await.is_some());
    for _ in 0..3 {
        let mut told = Vec::new();
        for _ in 0..3 {
            let Change::Health(member, health) = changes.next().await.unwrap().unwrap() else { panic!() };
            told.push((member.host().unwrap().to_owned(), health.as_str()));
        }
        told.sort();
        assert_eq!(
            told,
            [("early", "down"), ("late", "down"), ("well", "up")].map(|(a, b)| (a.to_owned(), b))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn jitter_spreads_the_heartbeats() {
    let uris = (0..100).map(|at| format!("http://m{at}").parse::<Uri>().unwrap());
    let asked = Arc::new(Mutex::new(HashMap::<Uri, Vec<Duration>>::new()));
    let (times, start) = (asked.clone(), Instant::now());
    let probe = move |member: Uri| {
        times.lock().unwrap().entry(member).or_default().push(Instant::now() - start);
        async { Ok::<_, Infallible>(Health::Up) }
    };
    let mut changes = Heartbeats::new(probe).every(seconds(1.0)).jitter(0.2).seed(7).watch(Fixed::new(uris));
    let _ = tokio::time::timeout(seconds(20.0), async { while changes.next().await.is_some() {} }).await;
    let asked = asked.lock().unwrap();
    let firsts: std::collections::HashSet<_> = asked.values().map(|times| times[0]).collect();
    assert!(firsts.len() > 50 && firsts.iter().all(|first| *first <= seconds(0.202)), "{firsts:?}");
    for times in asked.values() {
        assert!(times.len() > 15, "{times:?}");
        for pair in times.windows(2) {
            let pause = pair[1] - pair[0];
            assert!(pause >= seconds(0.798) && pause <= seconds(1.202), "{pause:?}");
        }
    }
}

/// Asks once, of a real server.
async fn once(probe: impl Probe, to: &str) -> Health {
    let members = Fixed::new([to.parse::<Uri>().unwrap()]);
    let mut changes = Heartbeats::new(probe).jitter(0.0).time_out(seconds(0.5)).watch(members);
    assert!(changes.next().await.is_some());
    match tokio::time::timeout(seconds(5.0), changes.next()).await {
        Ok(Some(Ok(Change::Health(_, health)))) => health,
        _ => Health::Unknown,
    }
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    at
}

/// A server that does this with each connection once it has read from it.
async fn raw<F, R>(answer: F) -> String
where
    F: Fn(tokio::net::TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
            answer(stream).await;
        }
    });
    at
}

/// Where nobody listens.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn http_is_judged_by_its_head() {
    let draining = || async { (StatusCode::SERVICE_UNAVAILABLE, [("x-endpoint-draining", "true")]) };
    let endless = || async { axum::body::Body::from_stream(stream::pending::<Result<String, Infallible>>()) };
    let router = Router::new()
        .route("/well", get(|headers: http::HeaderMap| async move { assert!(headers.contains_key("host")) }))
        .route("/moved", get(|| async { axum::response::Redirect::to("/ill") }))
        .route("/ill", get(|| async { StatusCode::INTERNAL_SERVER_ERROR }))
        .route("/busy", get(|| async { StatusCode::SERVICE_UNAVAILABLE }))
        .route("/draining", get(draining))
        .route("/endless", get(endless))
        .route("/hanging", get(std::future::pending::<()>));
    let at = serve(router).await;
    for (path, expected) in [
        ("/well", Health::Up),
        ("/moved", Health::Up),
        ("/endless", Health::Up),
        ("/ill", Health::Down),
        ("/busy", Health::Down),
        ("/nowhere", Health::Down),
        ("/hanging", Health::Down),
        ("/draining", Health::Draining),
    ] {
        assert_eq!(once(Http::path(path), &format!("{at}/base")).await, expected, "{path}");
    }
    assert_eq!(once(Http::path("/"), &nobody().await).await, Health::Down);
}

#[tokio::test]
async fn http_survives_what_is_no_http() {
    let nonsense = raw(async |mut stream| drop(stream.write_all(b"\x00\xffnonsense\r\n\r\n").await)).await;
    let closing = raw(async |_| ()).await;
    let endless = raw(async |mut stream| {
        // A head without an end, until the other side has had enough.
        while stream.write_all(b"HTTP/1.1 200 OK\r\nx: y\r\n").await.is_ok() {}
    })
    .await;
    for at in [nonsense, closing, endless] {
        assert_eq!(once(Http::path("/"), &at).await, Health::Down);
    }
}

#[tokio::test]
async fn http_goes_by_the_client_that_it_is_given() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let client = service_fn(move |request: Request<Payload>| {
        log.lock().unwrap().push(request.uri().to_string());
        async { Ok::<_, BoxError>(Response::new(String::new())) }
    });
    assert_eq!(once(Http::path("/healthz").client(client), "https://10.0.0.1:8443").await, Health::Up);
    assert_eq!(*seen.lock().unwrap(), ["https://10.0.0.1:8443/healthz"]);
}

#[tokio::test(start_paused = true)]
async fn what_would_need_tls_stays_unknown() {
    assert_eq!(once(Http::path("/healthz"), "https://10.0.0.1").await, Health::Unknown);
    assert_eq!(once(Grpc::service(""), "https://10.0.0.1").await, Health::Unknown);
}

#[tokio::test]
async fn tcp_is_well_where_somebody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    assert_eq!(once(Tcp::new(), &format!("http://127.0.0.1:{port}")).await, Health::Up);
    assert_eq!(once(Tcp::new(), &nobody().await).await, Health::Down);

    let members = Fixed::new([uri("http://127.0.0.1:1/base")]);
    let mut changes = Heartbeats::new(Tcp::new()).jitter(0.0).port(port).watch(members);
    let start = Instant::now();
    assert_eq!(health(&mut changes, start).await.1, Health::Up, "another port is asked");
}

async fn serve_grpc(routes: Routes) -> String {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let at = format!("http://{}", incoming.local_addr().unwrap());
    tokio::spawn(Server::builder().add_routes(routes).serve_with_incoming(incoming));
    at
}

#[tokio::test]
async fn grpc_is_asked_by_its_health_protocol() {
    let (reporter, service) = health_reporter();
    let at = serve_grpc(Routes::new(service)).await;
    reporter.set_service_status("shop.Payments", ServingStatus::Serving).await;
    assert_eq!(once(Grpc::service("shop.Payments"), &at).await, Health::Up);
    assert_eq!(once(Grpc::service(""), &at).await, Health::Up);
    assert_eq!(once(Grpc::service("shop.Nobody"), &at).await, Health::Down);
    reporter.set_service_status("shop.Payments", ServingStatus::NotServing).await;
    assert_eq!(once(Grpc::service("shop.Payments"), &at).await, Health::Draining);
    reporter.set_service_status("shop.Payments", ServingStatus::Unknown).await;
    assert_eq!(once(Grpc::service("shop.Payments"), &at).await, Health::Down);
}

#[tokio::test]
async fn grpc_survives_who_does_not_speak_it() {
    let without_health = serve_grpc(Routes::default()).await;
    assert_eq!(once(Grpc::service(""), &without_health).await, Health::Up, "UNIMPLEMENTED");
    let http = raw(async |mut stream| drop(stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await)).await;
    // Half of the settings, and silence.
    let silent = raw(async |mut stream| {
        let _ = stream.write_all(&[0, 0, 12, 4, 0, 0]).await;
        std::future::pending::<()>().await;
    })
    .await;
    for at in [http, silent, nobody().await] {
        assert_eq!(once(Grpc::service(""), &at).await, Health::Down);
    }
}
