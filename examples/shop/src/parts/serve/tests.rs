use super::{Limits, Stop, serve};
use axum::Router;
use axum::extract::Request;
use axum::routing::{get, post};
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tower::util::MapRequestLayer;

/// Long enough for every machine; no test waits for it unless it fails.
const LONG: Duration = Duration::from_secs(20);

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n";

struct Server {
    address: SocketAddr,
    stop: watch::Sender<Stop>,
    served: JoinHandle<()>,
    /// Requests that were handed to the routes.
    asked: Arc<AtomicU32>,
}

/// Limits of which none is met by chance.
fn patient() -> Limits {
    let long = LONG * 9;
    Limits {
        connections: 8,
        first_byte: long,
        header: long,
        body: long,
        ahead: 1024,
        room: 1024,
        between: long,
        unread: long,
        idle: long,
    }
}

const SHORT: Duration = Duration::from_millis(60);

async fn server(limits: Limits) -> Server {
    let routes = Router::new()
        .route("/", get(async || "open"))
        .route("/slow", get(async || sleep(SHORT * 4).await))
        .route(
            "/late",
            post(async |body: Bytes| {
                sleep(SHORT * 4).await;
                body.len().to_string()
            }),
        )
        .route("/flood", get(async || vec![b'x'; 64 * 1024 * 1024]))
        .route("/upload", post(async |body: Bytes| body.len().to_string()));
    let asked = Arc::new(AtomicU32::new(0));
    let counter = asked.clone();
    let routes = routes.layer(MapRequestLayer::new(move |request: Request| {
        counter.fetch_add(1, Ordering::Relaxed);
        request
    }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(Stop::Not);
    let served = tokio::spawn(serve(listener, None, routes, limits, stopped));
    Server { address, stop, served, asked }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

async fn answer(stream: &mut TcpStream) -> String {
    let mut buffer = [0; 1024];
    let read = timeout(LONG, stream.read(&mut buffer)).await.expect("an answer").unwrap();
    String::from_utf8_lossy(&buffer[..read]).into_owned()
}

/// Waits until the server has closed the connection, and returns what it sent before.
async fn closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut sent = Vec::new();
    let end = timeout(LONG, stream.read_to_end(&mut sent)).await.expect("the server closes the connection");
    assert!(end.is_ok() || end.unwrap_err().kind() == std::io::ErrorKind::ConnectionReset);
    sent
}

#[tokio::test]
async fn a_silent_connection_is_closed() {
    let server = server(Limits { first_byte: SHORT, ..patient() }).await;
    assert_eq!(closed(&mut server.connect().await).await, b"");
}

#[tokio::test]
async fn a_half_open_head_is_closed() {
    let server = server(Limits { header: SHORT, ..patient() }).await;
    for half in [&REQUEST[..20], b"PRI * HT", b"\x00"] {
        let mut stream = server.connect().await;
        stream.write_all(half).await.unwrap();
        closed(&mut stream).await;
    }
}

#[tokio::test]
async fn a_dripping_head_is_closed() {
    let server = server(Limits { header: SHORT, ..patient() }).await;
    let (mut reads, mut writes) = server.connect().await.into_split();
    let drip = tokio::spawn(async move {
        for byte in REQUEST.iter().take(REQUEST.len() - 1).cycle() {
            if writes.write_all(&[*byte]).await.is_err() {
                return;
            }
            sleep(SHORT / 6).await;
        }
    });
    let mut sent = Vec::new();
    let end = timeout(LONG, reads.read_to_end(&mut sent)).await;
    assert!(end.is_ok(), "the drip never stops, the connection does");
    drip.abort();
}

#[tokio::test]
async fn a_connection_without_a_next_request_is_closed() {
    let server = server(Limits { between: SHORT, ..patient() }).await;
    let mut stream = server.connect().await;
    stream.write_all(REQUEST).await.unwrap();
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"));
    assert_eq!(closed(&mut stream).await, b"");
}

#[tokio::test]
async fn the_second_head_has_its_limit_too() {
    let server = server(Limits { header: SHORT, ..patient() }).await;
    let mut stream = server.connect().await;
    stream.write_all(REQUEST).await.unwrap();
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"));
    stream.write_all(&REQUEST[..5]).await.unwrap();
    closed(&mut stream).await;
}

#[tokio::test]
async fn a_reader_that_stopped_is_closed() {
    let server = server(Limits { unread: SHORT * 2, connections: 1, ..patient() }).await;
    let mut stuck = server.connect().await;
    stuck.write_all(b"GET /flood HTTP/1.1\r\nhost: shop\r\n\r\n").await.unwrap();
    assert!(answer(&mut stuck).await.starts_with("HTTP/1.1 200"));
    let mut next = server.connect().await;
    next.write_all(REQUEST).await.unwrap();
    assert!(answer(&mut next).await.starts_with("HTTP/1.1 200"), "the one place is free again");
}

const UPLOAD: &[u8] = b"POST /upload HTTP/1.1\r\nhost: shop\r\ncontent-length: 100\r\n\r\nhalf";

/// Writes a byte again and again, until it is told that nobody listens.
fn drip(mut writes: OwnedWriteHalf, drop: &'static [u8]) -> JoinHandle<()> {
    tokio::spawn(async move {
        while writes.write_all(drop).await.is_ok() {
            sleep(SHORT / 6).await;
        }
    })
}

#[tokio::test]
async fn a_dripping_body_is_closed() {
    let server = server(Limits { body: SHORT * 2, ..patient() }).await;
    let (mut reads, mut writes) = server.connect().await.into_split();
    // So long that no drip comes to its end.
    let head = b"POST /upload HTTP/1.1\r\nhost: shop\r\ncontent-length: 1000000\r\n\r\n";
    writes.write_all(head).await.unwrap();
    let drip = drip(writes, b".");
    let end = timeout(LONG, reads.read_to_end(&mut Vec::new())).await;
    assert!(end.is_ok(), "the drip never stops, the connection does");
    drip.abort();
}

#[tokio::test]
async fn a_dripping_body_of_http_2_is_closed() {
    const DROP: &[u8] = &[0, 0, 1, 0, 0, 0, 0, 0, 1, b'.'];
    let server = server(Limits { body: SHORT * 2, ..patient() }).await;
    let (mut reads, mut writes) = server.connect().await.into_split();
    writes.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    writes.write_all(&frame(4, 0, 0, &[])).await.unwrap();
    // POST http://shop/upload
    let head = [&[0x83, 0x86, 0x44, 7][..], b"/upload", &[0x41, 4], b"shop"].concat();
    writes.write_all(&frame(1, 4, 1, &head)).await.unwrap();
    let drip = drip(writes, DROP);
    let end = timeout(LONG, reads.read_to_end(&mut Vec::new())).await;
    assert!(end.is_ok(), "the drip never stops, the connection does");
    drip.abort();
}

/// Neither by HTTP/1 nor by HTTP/2.
#[tokio::test]
async fn a_body_that_drips_is_not_served_before_it_has_come() {
    let server = server(patient()).await;
    let mut plain = server.connect().await;
    plain.write_all(UPLOAD).await.unwrap();
    let mut second = server.connect().await;
    second.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    second.write_all(&frame(4, 0, 0, &[])).await.unwrap();
    // POST http://shop/upload
    let head = [&[0x83, 0x86, 0x44, 7][..], b"/upload", &[0x41, 4], b"shop"].concat();
    second.write_all(&frame(1, 4, 1, &head)).await.unwrap();
    for _ in 0..5 {
        plain.write_all(b".").await.unwrap();
        second.write_all(&frame(0, 0, 1, b".")).await.unwrap();
        sleep(SHORT / 6).await;
    }
    let mut other = server.connect().await;
    other.write_all(REQUEST).await.unwrap();
    assert!(answer(&mut other).await.starts_with("HTTP/1.1 200"));
    assert_eq!(server.asked.load(Ordering::Relaxed), 1, "nobody but who has said all");
}

/// The time for a body is over with the body, however long the answer takes.
#[tokio::test]
async fn a_body_that_has_come_has_no_limit_any_more() {
    let server = server(Limits { body: SHORT, ..patient() }).await;
    let mut stream = server.connect().await;
    stream.write_all(b"POST /late HTTP/1.1\r\nhost: shop\r\ncontent-length: 4\r\n\r\nbody").await.unwrap();
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"));
}

/// Each costs the server something, and the one that sends them nothing.
#[tokio::test]
async fn requests_that_are_taken_back_at_once_end_the_connection() {
    let server = server(patient()).await;
    let (mut reads, mut writes) = server.connect().await.into_split();
    writes.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    writes.write_all(&frame(4, 0, 0, &[])).await.unwrap();
    let head = [&[0x82, 0x86, 0x84, 0x41, 4][..], b"shop"].concat();
    let flood = async {
        for begin in (1..).step_by(1000) {
            let pair = |stream| [frame(1, 5, stream, &head), frame(3, 0, stream, &[0, 0, 0, 8])].concat();
            let burst: Vec<_> = (begin..begin + 1000).step_by(2).flat_map(pair).collect();
            if writes.write_all(&burst).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let end = async { while reads.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {} };
    let ended = timeout(LONG, async { tokio::join!(flood, end) }).await;
    assert!(ended.is_ok(), "it is sent away");
    let mut next = server.connect().await;
    next.write_all(REQUEST).await.unwrap();
    assert!(answer(&mut next).await.starts_with("HTTP/1.1 200"), "others are served");
}

#[tokio::test]
async fn a_body_that_stopped_is_closed() {
    let server = server(Limits { idle: SHORT, ..patient() }).await;
    let mut stream = server.connect().await;
    stream.write_all(UPLOAD).await.unwrap();
    closed(&mut stream).await;
}

#[tokio::test]
async fn slow_work_is_not_idle_when_the_limit_is_longer() {
    let limits = Limits { first_byte: SHORT, header: SHORT, ..patient() };
    let server = server(limits).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /slow HTTP/1.1\r\nhost: shop\r\n\r\n").await.unwrap();
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"), "it took longer than both, and ended");
}

#[tokio::test]
async fn connections_over_the_cap_wait_their_turn() {
    let server = server(Limits { connections: 2, first_byte: SHORT * 4, ..patient() }).await;
    let (_first, _second) = (server.connect().await, server.connect().await);
    let mut third = server.connect().await;
    third.write_all(REQUEST).await.unwrap();
    let mut buffer = [0; 1];
    assert!(timeout(SHORT, third.read(&mut buffer)).await.is_err(), "both places are taken by the silent");
    assert!(answer(&mut third).await.starts_with("HTTP/1.1 200"), "and free again when their time is over");
}

#[tokio::test]
async fn told_to_stop_it_answers_what_is_under_way() {
    let server = server(patient()).await;
    let (mut busy, mut idle) = (server.connect().await, server.connect().await);
    idle.write_all(REQUEST).await.unwrap();
    assert!(answer(&mut idle).await.starts_with("HTTP/1.1 200"));
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: shop\r\n\r\n").await.unwrap();
    sleep(SHORT).await;
    server.stop.send(Stop::Now).unwrap();
    assert!(answer(&mut busy).await.starts_with("HTTP/1.1 200"));
    assert_eq!(closed(&mut idle).await, b"");
    timeout(LONG, server.served).await.expect("the loop ends").unwrap();
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn told_to_hand_over_it_still_answers_who_asks_and_sends_them_away() {
    let server = server(patient()).await;
    let (mut asks, mut idle) = (server.connect().await, server.connect().await);
    for stream in [&mut asks, &mut idle] {
        stream.write_all(REQUEST).await.unwrap();
        assert!(!answer(stream).await.contains("connection: close"));
    }
    server.stop.send(Stop::Handover).unwrap();
    sleep(SHORT).await;
    asks.write_all(REQUEST).await.unwrap();
    let said = answer(&mut asks).await;
    assert!(said.starts_with("HTTP/1.1 200") && said.contains("connection: close"), "{said}");
    assert_eq!(closed(&mut asks).await, b"");
    assert_eq!(closed(&mut idle).await, b"", "whoever asks nothing is let go");
    timeout(LONG, server.served).await.expect("the loop ends").unwrap();
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = &(payload.len() as u32).to_be_bytes()[1..];
    [length, &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Asked without a pause, it would never be left alone.
#[tokio::test]
async fn told_to_hand_over_it_sends_away_who_speaks_http_2_and_has_not_asked_yet() {
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const GOAWAY: u8 = 7;
    let server = server(patient()).await;
    let (mut reads, mut writes) = server.connect().await.into_split();
    writes.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    writes.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    // Its settings come when it has taken the connection.
    assert!(reads.readable().await.is_ok());
    server.stop.send(Stop::Handover).unwrap();
    let answers = AtomicU32::new(0);
    let ask = async {
        for stream in (1..).step_by(2) {
            // GET http://shop/
            let head = [&[0x82, 0x86, 0x84, 0x41, 4][..], b"shop"].concat();
            let _ = writes.write_all(&frame(HEADERS, 5, stream, &head)).await;
            sleep(SHORT / 6).await;
        }
    };
    let sent_away = async {
        loop {
            let mut head = [0; 9];
            reads.read_exact(&mut head).await.unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            reads.read_exact(&mut payload).await.unwrap();
            match head[3] {
                HEADERS => drop(answers.fetch_add(1, Ordering::Relaxed)),
                GOAWAY => return,
                _ => {}
            }
        }
    };
    tokio::select! {
        () = ask => {}
        gone = timeout(LONG, sent_away) => gone.expect("it says that it goes away"),
    }
    assert!(answers.into_inner() > 0, "who asked was answered");
}
