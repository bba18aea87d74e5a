//! The request builder and the response, over stacks of all kinds.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

mod common;

use axum::Router;
use axum::routing::{any, get};
use bartizan_client::{Body, Client, Error, Response};
use bartizan_core::{
    Admit, Context, Instant, Kind, Permit, Priority, Reason, Refused, Refusing, Verdict, find_cause,
};
use bartizan_guard::GuardLayer;
use bytes::Bytes;
use common::{reqwest_service, serve, soon};
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use std::collections::HashMap;
use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{self, Poll};
use std::time::Duration;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, service_fn};

/// A stack that answers with the request line, the headers and the body of the request.
fn mirror() -> impl Service<
    Request<Body>,
    Response = http::Response<String>,
    Error = BoxError,
    Future = impl Future<Output = Result<http::Response<String>, BoxError>> + Send + 'static,
> + Clone {
    service_fn(|request: Request<Body>| async {
        let (head, body) = request.into_parts();
        let mut text = format!("{} {}\n", head.method, head.uri);
        for (name, value) in &head.headers {
            text += &format!("{name}: {}\n", value.to_str()?);
        }
        let body = body.collect().await?.to_bytes();
        Ok::<_, BoxError>(http::Response::new(text + "\n" + std::str::from_utf8(&body)?))
    })
}

async fn seen(response: Result<Response, Error>) -> String {
    response.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn builds_what_reqwest_builds() {
    let client = Client::new(mirror()).base_url("http://host/api".parse().unwrap());

    for (builder, ought) in [
        (client.get("a"), "GET http://host/api/a\n\n"),
        (client.post("a"), "POST http://host/api/a\n\n"),
        (client.put("a"), "PUT http://host/api/a\n\n"),
        (client.patch("a"), "PATCH http://host/api/a\n\n"),
        (client.delete("a"), "DELETE http://host/api/a\n\n"),
        (client.head("a"), "HEAD http://host/api/a\n\n"),
        (client.request(Method::TRACE, "http://b/"), "TRACE http://b/\n\n"),
        (client.get("a?x=0").query(&[("y", "ä &=")]), "GET http://host/api/a?x=0&y=%C3%A4+%26%3D\n\n"),
        (client.get("a").query::<[(&str, &str)]>(&[]), "GET http://host/api/a\n\n"),
        (client.get("a").header("x-a", "1").header("x-a", 2), "GET http://host/api/a\nx-a: 1\nx-a: 2\n\n"),
        (
            client.get("a").header("x-a", "1").headers(HeaderMap::from_iter([(
                http::HeaderName::from_static("x-a"),
                HeaderValue::from_static("3"),
            )])),
            "GET http://host/api/a\nx-a: 3\n\n",
        ),
        (client.get("a").bearer_auth("token"), "GET http://host/api/a\nauthorization: Bearer token\n\n"),
        (
            client.get("a").basic_auth("Aladdin", Some("open sesame")),
            "GET http://host/api/a\nauthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\n\n",
        ),
        (
            client.get("a").basic_auth("user", None::<&str>),
            "GET http://host/api/a\nauthorization: Basic dXNlcjo=\n\n",
        ),
        (
            client.post("a").json(&HashMap::from([("n", [1, 2])])),
            "POST http://host/api/a\ncontent-type: application/json\n\n{\"n\":[1,2]}",
        ),
        (
            client.post("a").header("content-type", "application/merge-patch+json").json(&()),
            "POST http://host/api/a\ncontent-type: application/merge-patch+json\n\nnull",
        ),
        (
            client.post("a").form(&[("x", "1 2"), ("y", "&")]),
            "POST http://host/api/a\ncontent-type: application/x-www-form-urlencoded\n\nx=1+2&y=%26",
        ),
        (client.post("a").body("text"), "POST http://host/api/a\n\ntext"),
    ] {
        assert_eq!(seen(builder.send().await).await, ought);
    }
}

#[tokio::test]
async fn what_is_wrong_is_told_by_send_and_precisely() {
    struct Unserializable;
    impl serde::Serialize for Unserializable {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("not today"))
        }
    }
    let never = service_fn(|_: Request<Body>| async {
        panic!("what cannot be built is not sent");
        #[expect(unreachable_code, reason = "it gives the closure its type")]
        Ok::<http::Response<String>, Infallible>(http::Response::default())
    });
    let client = Client::new(never);
    let ok = || client.get("http://host/");
    const RELATIVE: &str = "it is relative, and there is no full `base_url` for it to be below";
    for (builder, ought) in [
        (client.get("host"), ("url", RELATIVE)),
        (client.get("ftp://host"), ("url", "its scheme is neither http nor https")),
        (ok().header("a b", "1"), ("header name", "invalid HTTP header name")),
        (ok().header("x-a", "a\r\nx-evil: 1"), ("value of header x-a", "failed to parse header value")),
        (ok().bearer_auth("a\nb"), ("value of header authorization", "failed to parse header value")),
        (
            (0..40_000).fold(ok(), |builder, n| builder.header(format!("x-{n}"), "")),
            ("headers", "max size reached"),
        ),
        (ok().query(&1), ("query", "top-level serializer supports only maps and structs")),
        (ok().form(&[1]), ("form", "unsupported pair")),
        (ok().json(&Unserializable), ("json", "not today")),
        // The first thing that is wrong is the one that is told.
        (client.get("").header("a b", "1").json(&Unserializable), ("url", RELATIVE)),
    ] {
        match builder.send().await.unwrap_err() {
            Error::Invalid { part, source } => assert_eq!((&*part, &*source.to_string()), ought),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn secrets_are_not_shown() {
    let builder =
        Client::new(()).get("http://host/").bearer_auth("secret").basic_auth("user", Some("secret"));
    assert!(!format!("{builder:?}").contains("secret"));
}

/// Refuses all, and counts the permits that are out.
#[derive(Clone, Default)]
struct Gate {
    refuse: bool,
    out: Arc<AtomicUsize>,
}

struct Out(Arc<AtomicUsize>);

impl Permit for Out {
    fn record(&mut self, _: Verdict) {}
}

impl Drop for Out {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl<Req> Admit<Req> for Gate {
    type Permit = Out;

    fn admit(&self, _: &Req) -> Result<Out, Refusing> {
        if self.refuse {
            return Err(Refusing::default());
        }
        self.out.fetch_add(1, Ordering::SeqCst);
        Ok(Out(self.out.clone()))
    }

    fn refuse(&self, _: Refusing) -> Refused {
        Refused::new(const { &Reason::new("gate", Kind::Unavailable, "shut") })
    }
}

#[tokio::test]
async fn a_layers_no_is_told_from_the_servers() {
    let url = serve(Router::new().route("/", get(|| async { StatusCode::SERVICE_UNAVAILABLE }))).await;
    let client =
        Client::new(ServiceBuilder::new().layer(GuardLayer::new(Gate::default())).service(reqwest_service()));
    let answer = client.get(&url).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(matches!(
        answer.error_for_status(),
        Err(Error::Status { status: StatusCode::SERVICE_UNAVAILABLE, uri }) if uri.to_string() == format!("{url}/")
    ));

    // The HTTP flavour answers with a response, the typed flavour with an error: both are the same no.
    let shut = || GuardLayer::new(Gate { refuse: true, ..Gate::default() });
    let http = ServiceBuilder::new().layer(shut()).service(reqwest_service());
    let typed =
        ServiceBuilder::new().layer(shut().typed()).map_err(BoxError::from).service(reqwest_service());
    for refused in [Client::new(http).get(&url).send().await, Client::new(typed).get(&url).send().await] {
        let error = refused.unwrap_err();
        assert!(matches!(&error, Error::Refused(refused) if refused.reason() == "shut"), "{error:?}");
        assert_eq!(find_cause::<Refused>(&error).unwrap().layer(), "gate");
    }
}

#[tokio::test]
async fn a_refusal_of_a_server_that_runs_the_layers_is_the_servers() {
    let shut = GuardLayer::new(Gate { refuse: true, ..Gate::default() });
    let url = serve(Router::new().route("/", get(|| async {})).layer(shut)).await;
    let answer = Client::new(reqwest_service()).get(&url).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
}

/// A stack whose answers have this body.
fn answering<T, E>(frames: impl Fn() -> Vec<Result<T, E>> + Clone + Send + Sync + 'static) -> Client
where
    T: Send + 'static,
    E: Into<BoxError> + Send + 'static,
    Bytes: From<T>,
{
    let answer = move |_: Request<Body>| {
        let frames = frames().into_iter().map(|piece| piece.map(|piece| Frame::data(Bytes::from(piece))));
        ready(Ok::<_, Infallible>(http::Response::new(StreamBody::new(stream::iter(frames)))))
    };
    Client::new(service_fn(answer)).boxed()
}

#[tokio::test]
async fn a_refusal_in_mid_body_is_told_from_a_torn_body() {
    let late = || {
        std::io::Error::other(Refused::new(
            const { &Reason::new("deadline", Kind::DeadlineExceeded, "late").reached() },
        ))
    };
    let client = answering(move || vec![Ok("first"), Err(late())]);
    let mut answer = client.get("http://host/").send().await.unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "first");
    assert!(matches!(answer.chunk().await, Err(Error::Refused(refused)) if refused.layer() == "deadline"));
    let all = client.get("http://host/").send().await.unwrap().bytes().await;
    assert!(matches!(all, Err(Error::Refused(refused)) if refused.reached()));

    let torn = answering(|| vec![Ok("first"), Err(std::io::Error::other("torn"))]);
    let all = torn.get("http://host/").send().await.unwrap().text().await;
    assert!(matches!(all, Err(Error::Body(error)) if error.to_string() == "torn"));
}

#[tokio::test]
async fn a_body_that_a_server_breaks_off_is_an_error() {
    let broken = || async {
        let frames = [Ok("first"), Err(std::io::Error::other("crashed"))];
        axum::body::Body::from_stream(stream::iter(frames))
    };
    let url = serve(Router::new().route("/", get(broken))).await;
    let answer = Client::new(reqwest_service()).get(&url).send().await;
    let read = async { answer?.bytes().await };
    let error = soon(read).await.unwrap_err();
    assert!(matches!(error, Error::Body(_) | Error::Unanswered(_)), "{error:?}");
}

#[tokio::test]
async fn no_answer_is_an_error_with_its_cause() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let error = Client::new(reqwest_service()).get(&nobody).send().await.unwrap_err();
    assert_eq!(error.to_string(), "no answer");
    assert!(find_cause::<reqwest::Error>(&error).unwrap().is_connect());
    let io = find_cause::<std::io::Error>(&error).unwrap();
    assert_eq!(io.kind(), std::io::ErrorKind::ConnectionRefused);
    assert!(error.source().unwrap().is::<reqwest::Error>());
}

#[tokio::test]
async fn reads_no_more_than_it_may() {
    let pieces = || vec![Ok::<_, Infallible>("12345"), Ok("67890")];
    let limited = |limit| answering(pieces).max_body(limit).get("http://host/").send();
    assert_eq!(limited(10).await.unwrap().bytes().await.unwrap(), "1234567890");
    for limit in [0, 4, 9] {
        let error = limited(limit).await.unwrap().bytes().await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { max_body } if max_body == limit));
    }
    let mut answer = limited(1).await.unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "12345");

    // Where the size is told, nothing is read.
    let url = serve(Router::new().route("/", get(|| async { "12345" }))).await;
    let answer = Client::new(reqwest_service()).max_body(4).get(&url).send().await.unwrap();
    assert_eq!(answer.content_length(), Some(5));
    assert!(matches!(answer.text().await, Err(Error::TooLarge { max_body: 4 })));
}

#[tokio::test]
async fn text_and_json_take_what_comes() {
    let odd = answering(|| vec![Ok::<_, Infallible>(&b"a\xff"[..]), Ok(b"z")]);
    let answer = || odd.get("http://host/").send();
    assert_eq!(answer().await.unwrap().text().await.unwrap(), "a\u{fffd}z");
    let error = answer().await.unwrap().json::<u32>().await.unwrap_err();
    assert!(
        matches!(&error, Error::Malformed(cause) if cause.to_string() == "expected value at line 1 column 1")
    );
    let good = answering(|| vec![Ok::<_, Infallible>("[1,"), Ok("2]")]);
    assert_eq!(good.get("http://host/").send().await.unwrap().json::<Vec<u32>>().await.unwrap(), [1, 2]);
}

#[tokio::test]
async fn statuses_below_400_are_no_errors() {
    for (status, bad) in [(200, false), (304, false), (399, false), (400, true), (500, true), (599, true)] {
        let answer = move |_: Request<Body>| {
            ready(Ok::<_, Infallible>(http::Response::builder().status(status).body(String::new()).unwrap()))
        };
        let answer = Client::new(service_fn(answer)).get("http://host/").send().await.unwrap();
        assert_eq!(answer.error_for_status().is_err(), bad, "{status}");
    }
}

#[tokio::test]
async fn a_request_that_is_dropped_gives_its_permit_back() {
    let gate = Gate::default();
    let hang =
        service_fn(|_: Request<Body>| std::future::pending::<Result<http::Response<String>, Infallible>>());
    let client = Client::new(ServiceBuilder::new().layer(GuardLayer::new(gate.clone())).service(hang));
    let mut sending = Box::pin(client.get("http://host/").send());
    let polled = std::future::poll_fn(|cx| Poll::Ready(sending.as_mut().poll(cx).is_pending())).await;
    assert!(polled);
    assert_eq!(gate.out.load(Ordering::SeqCst), 1);
    drop(sending);
    assert_eq!(gate.out.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_answer_that_is_dropped_gives_its_permit_back() {
    let gate = Gate::default();
    let url = serve(Router::new().route("/", get(|| async { "body" }))).await;
    let stack = ServiceBuilder::new().layer(GuardLayer::new(gate.clone())).service(reqwest_service());
    let answer = Client::new(stack).get(&url).send().await.unwrap();
    assert_eq!(gate.out.load(Ordering::SeqCst), 1);
    drop(answer);
    assert_eq!(gate.out.load(Ordering::SeqCst), 0);
}

/// Answers only where the same instance was made ready before.
#[derive(Default)]
struct Strict {
    ready: bool,
    error: Option<&'static str>,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { ready: false, error: self.error }
    }
}

impl Service<Request<Body>> for Strict {
    type Response = http::Response<String>;
    type Error = BoxError;
    type Future = Ready<Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), BoxError>> {
        if let Some(error) = self.error {
            return Poll::Ready(Err(error.into()));
        }
        if std::mem::replace(&mut self.ready, true) {
            return Poll::Ready(Ok(()));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called before it was ready");
        ready(Ok(http::Response::new("ready".into())))
    }
}

#[tokio::test]
async fn the_instance_that_was_made_ready_is_called() {
    let client = Client::new(Strict::default());
    for _ in 0..2 {
        assert_eq!(seen(client.get("http://host/").send().await).await, "ready");
        assert_eq!(seen(client.clone().boxed().get("http://host/").send().await).await, "ready");
    }
    let client = Client::new(Strict { error: Some("closed"), ..Strict::default() });
    let error = client.get("http://host/").send().await.unwrap_err();
    assert!(matches!(error, Error::Unanswered(cause) if cause.to_string() == "closed"));
}

#[tokio::test(start_paused = true)]
async fn deadlines_are_marked_and_never_widened() {
    let marked = |builder: bartizan_client::RequestBuilder<()>| {
        builder.build().unwrap().extensions().get::<Context>().copied().unwrap()
    };
    let client = Client::new(());
    let (now, second) = (Instant::now(), Duration::from_secs(1));
    let plain = marked(client.get("http://host/").deadline(now + second));
    assert_eq!(plain.deadline(), Some(now + second));

    let ambient =
        Context::new().with_deadline(now + second).with_priority(Priority::CRITICAL).with_attempt(1);
    ambient.enter(|| {
        assert_eq!(marked(client.get("http://host/").deadline(now + 2 * second)), ambient);
        let sooner = marked(client.get("http://host/").deadline(now + second / 2));
        assert_eq!(sooner, ambient.with_deadline(now + second / 2));
    });
    let own = marked(client.get("http://host/").extension(ambient).deadline(now + 2 * second));
    assert_eq!(own, ambient);
}

#[tokio::test]
async fn a_stack_sees_the_ambient_context_and_an_axum_router_is_a_stack() {
    let context = Context::new().with_attempt(3);
    let attempt =
        || async { Context::current().map_or("none".into(), |context| context.attempt().to_string()) };
    let router = Router::new().route("/", any(attempt));
    let stack = router.map_request(|request: Request<Body>| request.map(axum::body::Body::new));
    let client = Client::new(stack);
    assert_eq!(seen(context.scope(client.get("http://host/").send()).await).await, "3");
    assert_eq!(seen(client.get("http://host/").send().await).await, "none");
}

#[tokio::test]
async fn a_response_turns_into_that_of_the_http_crate() {
    let url = serve(Router::new().route("/", get(|| async { ([("x-a", "1")], "body") }))).await;
    let answer: http::Response<Body> = Client::new(reqwest_service()).get(&url).send().await.unwrap().into();
    assert_eq!(answer.headers()["x-a"], "1");
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "body");
}

#[tokio::test]
async fn send_runs_in_a_task_and_a_boxed_client_in_a_struct() {
    struct Users {
        client: Client,
    }
    impl Users {
        async fn name(&self) -> Result<String, Error> {
            self.client.get("users/1").send().await?.error_for_status()?.text().await
        }
    }
    let url = serve(Router::new().route("/users/1", get(|| async { "Ada" }))).await;
    let stack = ServiceBuilder::new().layer(GuardLayer::new(Gate::default())).service(reqwest_service());
    let users = Arc::new(Users { client: Client::new(stack).base_url(url.parse().unwrap()).boxed() });
    let asked = tokio::spawn({
        let users = users.clone();
        async move { users.name().await }
    });
    assert_eq!(asked.await.unwrap().unwrap(), "Ada");
}
