//! Servers and callers that do not behave: floods, giant fields, answers that break off or lie, and readers that do not read.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use axum::Router;
use axum::extract::RawQuery;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bartizan_client::Client;
use bartizan_fallback::{Stale, StaleLayer};
use futures_util::future::join_all;
use http_body_util::BodyExt;
use stack::{ask, boxed, listen, serve, soon, until};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const HOUR: Duration = Duration::from_secs(3600);
const KEPT: Stale = Stale::new().if_error(HOUR).refresh_backoff(Duration::ZERO, Duration::ZERO);

/// A server that writes these bytes in answer to its n-th connection, and closes it. The last goes on.
async fn scripted(answers: Vec<Vec<u8>>) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        for n in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = answers[n.min(answers.len() - 1)].clone();
            tokio::spawn(async move {
                let mut read = Vec::new();
                while !read.ends_with(b"\r\n\r\n") {
                    if stream.read_buf(&mut read).await.unwrap_or_default() == 0 {
                        return;
                    }
                }
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    address
}

#[tokio::test]
async fn answers_that_break_off_or_lie_are_not_kept() {
    for (answer, is_kept) in [
        (&b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood"[..], true),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\ngood", true),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n", true),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\ngood", false),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ngood\r\n", false),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ngood\r\nzz\r\n", false),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\nx-sum: 1\r\n\r\n", false),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncache-control: max-age=9, x=\", private\r\n\r\ngood", false),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncache-control: max-age=9\r\ncache-control: private\r\n\r\ngood", false),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncache-control: s-maxage=9, max-age=\xff\r\n\r\ngood", false),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nvary: *, accept\r\n\r\ngood", false),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nvary: \xff\r\n\r\ngood", false),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nage: -7\r\nage: x\r\ndate: never\r\nexpires: 0\r\n\r\ngood", true),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nage: 99999999999999999999999999999\r\n\r\ngood", false),
        (b"HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\n\r\n", false),
        (b"HTTP/1.1 206 Partial Content\r\ncontent-length: 4\r\n\r\ngood", false),
    ] {
        let text = String::from_utf8_lossy(answer);
        let down = b"HTTP/1.1 503 Down\r\ncontent-length: 0\r\n\r\n".to_vec();
        let address = scripted(vec![answer.to_vec(), down]).await;
        let layer = StaleLayer::new(KEPT);
        let client = Client::new(boxed!(&layer, stack::reqwest(false)));
        let get = || async {
            let answer = client.get(format!("http://{address}/")).send().await.ok()?;
            Some((answer.status().as_u16(), answer.text().await.ok()?))
        };
        let _ = soon(get()).await;
        let second = soon(get()).await;
        let is_served = second == Some((200, "good".to_owned()));
        assert_eq!(is_served, is_kept, "{text} gave {second:?}");
        let seen = layer.handle().snapshot();
        assert_eq!((seen.in_flight, seen.recording), (0, 0), "{text}");
    }
}

#[tokio::test]
async fn a_flood_of_urls_and_giant_fields_stays_within_bounds() {
    async fn giant(RawQuery(query): RawQuery) -> Response {
        let size: usize = query.unwrap().split('-').next().unwrap().parse().unwrap();
        let mut answer = "x".repeat(size).into_response();
        for n in 0..20 {
            let name: http::HeaderName = format!("x-{n}").parse().unwrap();
            answer.headers_mut().insert(name, "y".repeat(size).parse().unwrap());
        }
        answer.headers_mut().insert("vary", "x-tag".parse().unwrap());
        answer
    }
    let value = KEPT.max_entries(50).max_bytes(200_000).max_body(5000);
    let layer = StaleLayer::new(value);
    let handle = layer.handle();
    let url = serve(Router::new().route("/", get(giant)).layer(layer)).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for n in (0..500_usize).step_by(10) {
        let reads = (n..n + 10).map(|n| {
            let tag = "t".repeat(n);
            let read = client.get(format!("{url}/?{}-{}", n % 100 * 10, n % 400)).header("x-tag", tag).send();
            async move { soon(read).await.unwrap().bytes().await.unwrap() }
        });
        join_all(reads).await;
        let seen = handle.snapshot();
        assert!(seen.entries <= 50 && seen.bytes <= 200_000, "{seen:?}");
    }
    until(|| handle.snapshot().in_flight == 0).await;
    let seen = handle.snapshot();
    assert!(seen.entries > 0 && seen.stored >= 400, "{seen:?}");
}

#[tokio::test]
async fn a_leader_that_does_not_read_holds_nobody_up_for_long() {
    const SIZE: usize = 8 << 20;
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let large = move || {
        count.fetch_add(1, SeqCst);
        // In parts that do not all come at once.
        async {
            let parts = futures_util::stream::unfold(0, |n| async move {
                tokio::task::yield_now().await;
                (n < SIZE).then(|| {
                    (Ok::<_, std::io::Error>(bytes::Bytes::from(vec![b'x'; 64 << 10])), n + (64 << 10))
                })
            });
            axum::body::Body::from_stream(parts)
        }
    };
    let value =
        Stale::new().coalesce(true).max_body(2 * SIZE).max_bytes(8 * SIZE).lease(Duration::from_millis(200));
    let layer = StaleLayer::new(value);
    let handle = layer.handle();
    let url = serve(Router::new().route("/", get(large)).layer(layer)).await;
    let address = url.strip_prefix("http://").unwrap().to_owned();
    let mut leader = TcpStream::connect(&address).await.unwrap();
    leader.write_all(format!("GET / HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes()).await.unwrap();
    until(|| calls.load(SeqCst) == 1).await;
    let reads =
        (0..20).map(|_| async { ask(&url).await.into_body().collect().await.unwrap().to_bytes().len() });
    let sizes = soon(join_all(reads)).await;
    assert!(sizes.into_iter().all(|size| size == SIZE));
    drop(leader);
    until(|| handle.snapshot().in_flight == 0).await;
    let seen = handle.snapshot();
    assert_eq!((seen.waiting, seen.recording), (0, 0), "{seen:?}");
}

#[tokio::test]
async fn hosts_of_one_server_are_kept_apart() {
    async fn host(headers: http::HeaderMap) -> Response {
        let host = headers["host"].to_str().unwrap();
        if headers.contains_key("x-down") {
            return http::StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        host.to_owned().into_response()
    }
    let url = serve(Router::new().route("/", get(host)).layer(StaleLayer::new(KEPT))).await;
    let address = url.strip_prefix("http://").unwrap();
    let raw = |target: &'static str, host: &'static str, more: &'static str| async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let said = format!("GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{more}\r\n");
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut read = String::new();
        soon(stream.read_to_string(&mut read)).await.unwrap();
        (read.split(' ').nth(1).unwrap().to_owned(), read.split("\r\n\r\n").nth(1).unwrap().to_owned())
    };
    assert_eq!(raw("/", "a", "").await.1, "a");
    assert_eq!(raw("/", "b", "x-down: 1\r\n").await.0, "500", "b is not a");
    assert_eq!(raw("/", "A", "x-down: 1\r\n").await.1, "a");
    // The target decides where it names a host itself (RFC 9112 §3.2.2).
    assert_eq!(raw("http://b/", "a", "x-down: 1\r\n").await.0, "500");
    // This handler does not know, and nobody else gets what it makes of that.
    assert_eq!(raw("http://b/", "evil", "").await.1, "evil");
    assert_eq!(raw("http://b/", "b", "x-down: 1\r\n").await.0, "500");
}
