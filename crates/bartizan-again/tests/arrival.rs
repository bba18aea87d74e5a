//! What proves that a request never arrived, as real clients report it.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_again::never_arrived;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const REFUSED_STREAM: u32 = 7;
const INTERNAL_ERROR: u32 = 2;
const NO_ERROR: u32 = 0;

/// A frame of HTTP/2 (RFC 9113 §4.1).
fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, 0]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

fn reset(reason: u32) -> Vec<u8> {
    frame(3, 1, &reason.to_be_bytes())
}

fn go_away(last: u32, reason: u32) -> Vec<u8> {
    frame(7, 0, &[last.to_be_bytes(), reason.to_be_bytes()].concat())
}

/// Reads the frames of a client until the headers of its first request.
async fn read_headers(stream: &mut TcpStream) -> io::Result<()> {
    stream.read_exact(&mut [0; 24]).await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut payload).await?;
        if head[3] == 1 {
            return Ok(());
        }
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// What a client says of one request to this address.
async fn fails(addr: SocketAddr, http2: bool) -> Box<dyn Error + Send + Sync> {
    let client = Client::builder(TokioExecutor::new()).http2_only(http2).build_http::<Empty<Bytes>>();
    client.get(format!("http://{addr}/").parse().unwrap()).await.expect_err("nobody answers").into()
}

/// What an HTTP/2 client says of a request that is answered with these frames, before the connection ends.
async fn answered(frames: Vec<u8>) -> Box<dyn Error + Send + Sync> {
    let (listener, addr) = listen().await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        stream.write_all(&frame(4, 0, &[])).await?;
        read_headers(&mut stream).await?;
        stream.write_all(&frames).await?;
        stream.shutdown().await?;
        // The client has had its answer when it hangs up; to hang up on it could take the answer away.
        stream.read_to_end(&mut Vec::new()).await
    });
    let error = fails(addr, true).await;
    server.await.unwrap().unwrap();
    error
}

#[tokio::test]
async fn a_closed_port_was_never_reached() {
    let (listener, addr) = listen().await;
    drop(listener);
    for http2 in [false, true] {
        let error = fails(addr, http2).await;
        assert!(never_arrived(&*error), "{error:?}");
        // An `io::Error` shows the sources of what it wraps, and not the wrapped error itself.
        assert!(never_arrived(&io::Error::other(io::Error::other(error))));
    }
}

#[tokio::test]
async fn a_refused_stream_was_not_begun_and_any_other_may_have_been() {
    let error = answered(reset(REFUSED_STREAM)).await;
    assert!(never_arrived(&*error), "{error:?}");
    let error = answered(reset(INTERNAL_ERROR)).await;
    assert!(!never_arrived(&*error), "{error:?}");
    let error = answered(reset(NO_ERROR)).await;
    assert!(!never_arrived(&*error), "{error:?}");
}

#[tokio::test]
async fn a_stream_that_a_server_leaves_out_as_it_goes_was_not_begun() {
    let error = answered(go_away(0, NO_ERROR)).await;
    assert!(never_arrived(&*error), "{error:?}");
    // One that it names may have been begun when the connection ends.
    for last in [1, 3, u32::MAX >> 1] {
        let error = answered(go_away(last, NO_ERROR)).await;
        assert!(!never_arrived(&*error), "{error:?}");
    }
    // One that goes for what went wrong promises less.
    let error = answered(go_away(0, INTERNAL_ERROR)).await;
    assert!(!never_arrived(&*error), "{error:?}");
}

#[tokio::test]
async fn a_request_that_was_read_may_have_been_begun() {
    let error = answered(Vec::new()).await;
    assert!(!never_arrived(&*error), "{error:?}");
    let (listener, addr) = listen().await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        stream.read(&mut [0; 1024]).await
    });
    let error = fails(addr, false).await;
    assert!(server.await.unwrap().unwrap() > 0);
    assert!(!never_arrived(&*error), "{error:?}");
}

/// Connects, and lets the server write something first.
async fn connect(first: &'static str) -> (TokioIo<TcpStream>, tokio::task::JoinHandle<io::Result<usize>>) {
    let (listener, addr) = listen().await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        stream.write_all(first.as_bytes()).await?;
        stream.read_to_end(&mut Vec::new()).await
    });
    let stream = TcpStream::connect(addr).await.unwrap();
    if !first.is_empty() {
        stream.readable().await.unwrap();
    }
    (TokioIo::new(stream), server)
}

#[tokio::test]
async fn a_request_that_hyper_never_took_was_never_sent() {
    // The connection is gone.
    let (io, server) = connect("").await;
    let (mut sender, connection) = http1::handshake(io).await.unwrap();
    drop(connection);
    let error = sender.send_request(Request::new(Empty::<Bytes>::new())).await.unwrap_err();
    assert!(error.is_canceled() && never_arrived(&error), "{error:?}");
    assert_eq!(server.await.unwrap().unwrap(), 0);

    // It goes while the request is queued.
    let (io, server) = connect("").await;
    let (mut sender, connection) = http1::handshake(io).await.unwrap();
    let queued = sender.send_request(Request::new(Empty::<Bytes>::new()));
    drop(connection);
    let error = queued.await.unwrap_err();
    assert!(error.is_canceled() && never_arrived(&error), "{error:?}");
    assert_eq!(server.await.unwrap().unwrap(), 0);

    // It breaks while the request is queued.
    let (io, server) = connect("nonsense").await;
    let (mut sender, connection) = http1::handshake(io).await.unwrap();
    let queued = sender.send_request(Request::new(Empty::<Bytes>::new()));
    drop(connection.await);
    let error = queued.await.unwrap_err();
    assert!(error.is_canceled() && error.source().is_some_and(<dyn Error>::is::<hyper::Error>), "{error:?}");
    assert!(never_arrived(&error), "{error:?}");
    assert_eq!(server.await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn an_upgrade_that_came_to_nothing_was_sent() {
    let (mut client, server) = tokio::io::duplex(1024);
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\nupgrade: x\r\nconnection: upgrade, close\r\n\r\n")
        .await
        .unwrap();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let service = hyper::service::service_fn(|request| {
        tell.send(hyper::upgrade::on(request)).unwrap();
        std::future::pending::<Result<Response<Empty<Bytes>>, Infallible>>()
    });
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(server), service);
    let upgrade = tokio::select! {
        upgrade = told.recv() => upgrade.unwrap(),
        ended = connection.with_upgrades() => panic!("{ended:?}"),
    };
    let error = upgrade.await.unwrap_err();
    assert!(error.is_canceled(), "{error:?}");
    assert!(!never_arrived(&error), "{error:?}");
}

/// The body of a proxy, say, whose own source could not be reached.
#[derive(Default)]
struct Torn {
    polled: bool,
}

impl Body for Torn {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if !std::mem::replace(&mut self.polled, true) {
            // The head goes out meanwhile.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(io::ErrorKind::ConnectionRefused.into())))
    }
}

#[tokio::test]
async fn an_error_of_the_own_body_says_nothing_of_the_server() {
    let (io, server) = connect("").await;
    let (mut sender, connection) = http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let torn = Request::post("/").body(Torn::default()).unwrap();
    let error = sender.send_request(torn).await.unwrap_err();
    assert!(bartizan_core::find_cause::<io::Error>(&error).is_some(), "{error:?}");
    assert!(!never_arrived(&error), "{error:?}");
    drop(sender);
    assert!(server.await.unwrap().unwrap() > 0);
}

#[test]
fn nothing_else_proves_anything() {
    for kind in [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe, io::ErrorKind::TimedOut] {
        assert!(!never_arrived(&io::Error::from(kind)), "{kind}");
    }
    // A refusal that this side made up.
    assert!(!never_arrived(&h2::Error::from(h2::Reason::REFUSED_STREAM)));
}
