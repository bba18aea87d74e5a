//! reqwest's and hyper's client as services. What holds of both is tested over both.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

mod common;

use axum::Router;
use axum::routing::{any, get, post};
use bartizan_client::{AnyBody, Body, Client, HyperService, Redirected};
use bytes::Bytes;
use common::{reqwest_service, serve, soon};
use futures_util::stream;
use http::{Request, StatusCode, Version};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::cell::Cell;
use std::convert::Infallible;
use std::error::Error;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tower::ServiceExt;

macro_rules! over_both {
    ($($name:ident),* $(,)?) => {
        mod over_reqwest {
            use super::*;
            $(#[tokio::test] async fn $name() { soon(super::$name(Client::new(reqwest_service()).boxed())).await; })*
        }
        mod over_hyper {
            use super::*;
            $(#[tokio::test] async fn $name() { soon(super::$name(Client::new(HyperService::default()).boxed())).await; })*
        }
    };
}

over_both!(
    streams_an_upload_as_it_comes,
    carries_what_is_big_both_ways,
    answers_head_without_a_body,
    sends_on_what_came_by_any_version,
    gives_the_request_up_when_it_is_dropped,
    tells_the_length_of_a_body_that_is_at_hand,
    lets_a_connection_be_upgraded,
);

async fn echo(request: axum::extract::Request) -> axum::body::Body {
    request.into_body()
}

/// A body that comes frame by frame, as the sender says.
fn channel() -> (mpsc::Sender<&'static str>, Body) {
    let (sender, mut receiver) = mpsc::channel::<&str>(1);
    let frames = stream::poll_fn(move |cx| {
        receiver
            .poll_recv(cx)
            .map(|text| text.map(|text| Ok::<_, Infallible>(Frame::data(Bytes::from(text)))))
    });
    (sender, Body::new(StreamBody::new(frames)))
}

async fn streams_an_upload_as_it_comes(client: Client) {
    let url = serve(Router::new().route("/", post(echo))).await;
    let (upload, body) = channel();
    upload.send("first").await.unwrap();
    // The answer and its first chunk are here before the second chunk of the request exists.
    let mut answer = client.post(&url).body(body).send().await.unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "first");
    upload.send("second").await.unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "second");
    drop(upload);
    assert_eq!(answer.chunk().await.unwrap(), None);
}

async fn carries_what_is_big_both_ways(client: Client) {
    let url = serve(Router::new().route("/", post(echo))).await;
    let big: Bytes = (0..8 << 20).map(|i: u32| i.to_le_bytes()[1]).collect();
    let echoed = client.post(&url).body(big.clone()).send().await.unwrap().bytes().await.unwrap();
    assert!(echoed == big);
    let streamed = stream::iter(
        big.chunks(100_000)
            .map(|piece| Ok::<_, Infallible>(Frame::data(big.slice_ref(piece))))
            .collect::<Vec<_>>(),
    );
    let echoed = client
        .post(&url)
        .body(Body::new(StreamBody::new(streamed)))
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    assert!(echoed == big);
}

async fn answers_head_without_a_body(client: Client) {
    let url = serve(Router::new().route("/", get(|| async { "12345" }))).await;
    let answer = client.head(&url).send().await.unwrap();
    assert_eq!(answer.headers()["content-length"], "5");
    assert_eq!(answer.bytes().await.unwrap(), "");
}

async fn sends_on_what_came_by_any_version(client: Client) {
    let version = |request: axum::extract::Request| async move { format!("{:?}", request.version()) };
    let url = serve(Router::new().route("/", get(version))).await;
    for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
        let request = Request::get(&url).version(version).body(Body::empty()).unwrap();
        assert_eq!(client.execute(request).await.unwrap().text().await.unwrap(), "HTTP/1.1");
    }
}

async fn gives_the_request_up_when_it_is_dropped(client: Client) {
    struct Tell(Option<oneshot::Sender<()>>);
    impl Drop for Tell {
        fn drop(&mut self) {
            let _ = self.0.take().unwrap().send(());
        }
    }
    let (began, mut beginning) = mpsc::channel(1);
    let (ended, end) = oneshot::channel();
    let tell = Arc::new(Mutex::new(Some(Tell(Some(ended)))));
    let hang = move || async move {
        let _tell = tell.lock().unwrap().take();
        began.send(()).await.unwrap();
        std::future::pending::<()>().await;
    };
    let url = serve(Router::new().route("/", get(hang))).await;
    let sending = tokio::spawn(client.get(&url).send());
    beginning.recv().await.unwrap();
    sending.abort();
    end.await.unwrap();
}

async fn tells_the_length_of_a_body_that_is_at_hand(client: Client) {
    let length = |request: axum::extract::Request| async move {
        request.headers().get("content-length").map_or("none", |length| length.to_str().unwrap()).to_owned()
    };
    let url = serve(Router::new().route("/", any(length))).await;
    for (body, ought) in [(Body::from("12345"), "5"), (Body::new(Full::new(Bytes::from("1234"))), "4")] {
        assert_eq!(client.post(&url).body(body).send().await.unwrap().text().await.unwrap(), ought);
    }
    let (upload, body) = channel();
    drop(upload);
    assert_eq!(client.post(&url).body(body).send().await.unwrap().text().await.unwrap(), "none");
}

async fn lets_a_connection_be_upgraded(client: Client) {
    let upgrade = |request: axum::extract::Request| async {
        tokio::spawn(async {
            let mut socket = TokioIo::new(hyper::upgrade::on(request).await.unwrap());
            let mut word = [0; 4];
            socket.read_exact(&mut word).await.unwrap();
            socket.write_all(&word).await.unwrap();
        });
        (StatusCode::SWITCHING_PROTOCOLS, [("connection", "upgrade"), ("upgrade", "echo")])
    };
    let url = serve(Router::new().route("/", get(upgrade))).await;
    let asked = client.get(&url).header("connection", "upgrade").header("upgrade", "echo");
    let answer: http::Response<Body> = asked.send().await.unwrap().into();
    assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
    let mut socket = TokioIo::new(hyper::upgrade::on(answer).await.unwrap());
    socket.write_all(b"echo").await.unwrap();
    let mut word = [0; 4];
    socket.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"echo");
}

/// A body that is `Send` and not `Sync`.
fn not_sync(text: &'static str) -> impl http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static {
    let frame = Cell::new(Some(Frame::data(Bytes::from_static(text.as_bytes()))));
    StreamBody::new(stream::poll_fn(move |_| Poll::Ready(frame.take().map(Ok))))
}

#[tokio::test]
async fn any_body_goes_into_either() {
    let url = serve(Router::new().route("/", post(echo))).await;
    let read = async |body: reqwest::Body| body.collect().await.unwrap().to_bytes();
    let service = reqwest_service();
    let request = Request::post(&url).body(axum::body::Body::from("axum's")).unwrap();
    assert_eq!(read(service.clone().oneshot(request).await.unwrap().into_body()).await, "axum's");
    let request = Request::post(&url).body(not_sync("not sync")).unwrap();
    assert_eq!(read(service.oneshot(request).await.unwrap().into_body()).await, "not sync");

    let service = HyperService::default();
    let request = Request::post(&url).body(axum::body::Body::from("axum's")).unwrap();
    let answer = service.clone().oneshot(request).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "axum's");
    let request = Request::post(&url).body(not_sync("not sync")).unwrap();
    let answer = service.oneshot(request).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "not sync");
}

#[tokio::test]
async fn any_body_goes_into_a_client_that_takes_one() {
    let url = serve(Router::new().route("/", post(echo))).await;
    let picky =
        hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http::<axum::body::Body>();
    let service = AnyBody::new(picky, axum::body::Body::new);
    let request = Request::post(&url).body(not_sync("not sync")).unwrap();
    let answer = service.oneshot(request).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "not sync");
}

#[tokio::test]
async fn hypers_client_may_be_any() {
    let url = serve(Router::new().route("/", post(echo))).await;
    let http2 =
        hyper_util::client::legacy::Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let answer = Client::new(HyperService::new(http2)).post(&url).body("by h2").send().await.unwrap();
    assert_eq!(answer.version(), Version::HTTP_2);
    assert_eq!(answer.text().await.unwrap(), "by h2");
}

#[tokio::test]
async fn redirects_are_followed_as_reqwest_does() {
    let to = |status: StatusCode| move || async move { (status, [("location", "/end?x=1")]) };
    let end = |request: axum::extract::Request| async move {
        let method = request.method().clone();
        format!("{method} {:?}", request.into_body().collect().await.unwrap().to_bytes())
    };
    let app = Router::new()
        .route("/303", post(to(StatusCode::SEE_OTHER)))
        .route("/307", post(to(StatusCode::TEMPORARY_REDIRECT)))
        .route("/end", any(end));
    let base = serve(app).await;
    let client = Client::new(reqwest_service()).base_url(base.parse().unwrap());

    let answer = client.post("303").body("lost").send().await.unwrap();
    assert_eq!((answer.uri().path(), answer.uri().query()), ("/end", Some("x=1")));
    assert_eq!(answer.text().await.unwrap(), r#"GET b"""#);

    let answer = client.post("307").body(Body::new(Full::new(Bytes::from("kept")))).send().await.unwrap();
    assert_eq!(answer.extensions().get::<Redirected>().unwrap().0, *answer.uri());
    assert_eq!(answer.text().await.unwrap(), r#"POST b"kept""#);

    // A url that is only written otherwise leads nowhere else.
    let odd =
        format!("{}/./a/../end?x='", base.replace("http://", "HTTP://")).replace("127.0.0.1", "LOCALHOST");
    let answer = client.execute(Request::get(odd).body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.extensions().get::<Redirected>(), None);

    // What was streamed is gone and cannot be sent again.
    let (upload, body) = channel();
    drop(upload);
    let answer = client.post("307").body(body).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(answer.extensions().get::<Redirected>(), None);
    assert_eq!(answer.uri().path(), "/307");
}

#[tokio::test]
async fn errors_of_the_client_come_out_unchanged() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);

    let service = reqwest_service();
    let error =
        service.clone().oneshot(Request::get(&nobody).body(Body::empty()).unwrap()).await.unwrap_err();
    assert!(error.is_connect(), "{error:?}");
    let error = service.oneshot(Request::get("/path").body(Body::empty()).unwrap()).await.unwrap_err();
    assert!(error.is_builder(), "{error:?}");
    assert_eq!(error.source().unwrap().to_string(), "relative URL without a base");

    let service = HyperService::default();
    let error = service.oneshot(Request::get(&nobody).body(Body::empty()).unwrap()).await.unwrap_err();
    assert!(error.is_connect(), "{error:?}");
}

#[tokio::test]
async fn an_upload_that_fails_fails_the_request() {
    let url = serve(Router::new().route("/", post(echo))).await;
    let torn = stream::iter([Ok(Frame::data(Bytes::from("a"))), Err(std::io::Error::other("torn"))]);
    let request = Request::post(&url).body(StreamBody::new(torn)).unwrap();
    let read = async {
        let answer = reqwest_service().oneshot(request).await?;
        answer.into_body().collect().await
    };
    soon(read).await.unwrap_err();
}

#[test]
fn services_and_futures_are_send_and_sync() {
    fn send<T: Send>() {}
    fn shared<T: Clone + Send + Sync + 'static>() {}
    shared::<bartizan_client::ReqwestService>();
    shared::<HyperService>();
    shared::<Client>();
    send::<bartizan_client::future::ReqwestFuture>();
    send::<bartizan_client::RequestBuilder<HyperService>>();
}
