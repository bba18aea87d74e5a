use super::{Limits, Stop, serve};
use axum::Router;
use axum::routing::{get, post};
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Long enough for every machine; no test waits for it unless it fails.
const LONG: Duration = Duration::from_secs(20);

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n";

struct Server {
    address: SocketAddr,
    stop: watch::Sender<Stop>,
    served: JoinHandle<()>,
}

/// Limits of which none is met by chance.
fn patient() -> Limits {
    Limits { connections: 8, first_byte: LONG * 9, header: LONG * 9, idle: LONG * 9 }
}

const SHORT: Duration = Duration::from_millis(60);

async fn server(limits: Limits) -> Server {
    let routes = Router::new()
        .route("/", get(async || "open"))
        .route("/slow", get(async || sleep(SHORT * 4).await))
        .route("/flood", get(async || vec![b'x'; 64 * 1024 * 1024]))
        .route("/upload", post(async |body: Bytes| body.len().to_string()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(Stop::Not);
    let served = tokio::spawn(serve(listener, None, routes, limits, stopped));
    Server { address, stop, served }
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
    let server = server(Limits { idle: SHORT, ..patient() }).await;
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
    let server = server(Limits { idle: SHORT * 2, connections: 1, ..patient() }).await;
    let mut stuck = server.connect().await;
    stuck.write_all(b"GET /flood HTTP/1.1\r\nhost: shop\r\n\r\n").await.unwrap();
    assert!(answer(&mut stuck).await.starts_with("HTTP/1.1 200"));
    let mut next = server.connect().await;
    next.write_all(REQUEST).await.unwrap();
    assert!(answer(&mut next).await.starts_with("HTTP/1.1 200"), "the one place is free again");
}

#[tokio::test]
async fn a_body_that_stopped_is_closed() {
    let server = server(Limits { idle: SHORT, ..patient() }).await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"POST /upload HTTP/1.1\r\nhost: shop\r\ncontent-length: 100\r\n\r\nhalf")
        .await
        .unwrap();
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
