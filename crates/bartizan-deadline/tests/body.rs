//! The deadline within a response body, and the ambient context around it.
#![allow(clippy::unwrap_used, reason = "what helps a test is one")]

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use bartizan_core::{Context, Instant, Refused, find_cause};
use bartizan_deadline::{Deadline, DeadlineBody, DeadlineLayer, Upload};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};
use tokio_test::task;
use tower::{Layer, ServiceExt, service_fn};

const S: Duration = Duration::from_secs(1);

/// A body of frames, each after its pause; it ends with trailers, and knows its length.
struct Drip {
    pauses: VecDeque<Duration>,
    sleep: Option<Pin<Box<Sleep>>>,
    trailers: Option<HeaderMap>,
}

fn drip(pauses: &[u64]) -> Drip {
    let pauses = pauses.iter().map(|&seconds| Duration::from_secs(seconds)).collect();
    let trailers = [("grpc-status".parse().unwrap(), 0.into())].into_iter().collect();
    Drip { pauses, sleep: None, trailers: Some(trailers) }
}

impl Body for Drip {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(&pause) = self.pauses.front() else {
            return Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
        };
        if !pause.is_zero() {
            ready!(self.sleep.get_or_insert_with(|| Box::pin(sleep(pause))).as_mut().poll(cx));
        }
        self.sleep = None;
        self.pauses.pop_front();
        let context =
            format!("{:?}", Context::current().and_then(|context| context.remaining(Instant::now())));
        Poll::Ready(Some(Ok(Frame::data(context.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.pauses.is_empty() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.pauses.len() as u64)
    }
}

async fn answered(
    value: impl Into<Deadline>,
    kind: &'static str,
    pauses: &'static [u64],
) -> DeadlineBody<Drip> {
    let inner =
        service_fn(move |_: Request<()>| async move { Ok::<_, Infallible>(Response::new(drip(pauses))) });
    let req = Request::builder().header("content-type", kind).body(()).unwrap();
    DeadlineLayer::new(value).layer(inner).oneshot(req).await.unwrap().into_body()
}

/// The data frames, the trailers' status, and the reason of the error that ended it.
async fn read(body: DeadlineBody<Drip>) -> (Vec<String>, Option<String>, Option<&'static str>) {
    let (mut body, mut data, mut status) = (Box::pin(body), Vec::new(), None);
    while let Some(frame) = body.frame().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(bytes)) => data.push(String::from_utf8(bytes.to_vec()).unwrap()),
            Ok(Err(trailers)) => {
                status = Some(trailers.into_trailers().unwrap()["grpc-status"].to_str().unwrap().to_owned());
            }
            Err(error) => {
                let refused = find_cause::<Refused>(&*error).unwrap();
                assert!(refused.reached() && body.is_end_stream());
                return (data, status, Some(refused.reason()));
            }
        }
    }
    (data, status, None)
}

#[tokio::test(start_paused = true)]
async fn http_fails_and_grpc_ends_with_trailers() {
    let (data, status, reason) = read(answered(3 * S, "text/plain", &[1, 1, 60]).await).await;
    assert_eq!(data, ["Some(2s)", "Some(1s)"], "the context is around every poll");
    assert_eq!((status, reason), (None, Some("deadline passed")));

    let (data, status, reason) = read(answered(3 * S, "application/grpc", &[1, 1, 60]).await).await;
    assert_eq!((data.len(), status.as_deref(), reason), (2, Some("4"), None));

    for kind in ["text/plain", "application/grpc"] {
        let (data, status, reason) = read(answered(3 * S, kind, &[1, 1]).await).await;
        assert_eq!((data.len(), status.as_deref(), reason), (2, Some("0"), None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_does_not_outlive_the_deadline() {
    let mut body = Box::pin(answered(3 * S, "text/plain", &[0, 0, 0, 0]).await);
    assert!(body.frame().await.unwrap().is_ok());
    sleep(3 * S).await;
    assert!(body.frame().await.unwrap().is_ok(), "what is there at the deadline is yielded");
    sleep(S).await;
    assert!(body.frame().await.unwrap().is_err());
    assert!(body.frame().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn who_reads_too_late_is_told_from_a_service_that_takes_too_long() {
    for (pauses, reads_at, ought) in [
        ([0, 0, 0], 4, ("read too late", false)),
        ([0, 60, 0], 4, ("read too late", false)),
        ([0, 60, 0], 0, ("deadline passed", true)),
        ([0, 1, 60], 1, ("deadline passed", true)),
    ] {
        let mut body = Box::pin(answered(3 * S, "text/plain", Vec::from(pauses).leak()).await);
        assert!(body.frame().await.unwrap().is_ok());
        sleep(reads_at * S).await;
        let error = loop {
            if let Err(error) = body.frame().await.unwrap() {
                break error;
            }
        };
        let refused = find_cause::<Refused>(&*error).unwrap();
        assert_eq!((refused.reason(), refused.is_verdict()), ought, "{pauses:?} {reads_at}");
        assert!(refused.reached());
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_is_yielded_however_late() {
    let mut body = Box::pin(answered(3 * S, "text/plain", &[0, 0]).await);
    sleep(60 * S).await;
    assert!(body.frame().await.unwrap().unwrap().is_data(), "nor is the first frame ever too late");
    let mut body = Box::pin(answered(3 * S, "text/plain", &[0, 0]).await);
    for _ in 0..2 {
        assert!(body.frame().await.unwrap().unwrap().is_data());
    }
    sleep(60 * S).await;
    assert!(body.frame().await.unwrap().unwrap().is_trailers());
    assert!(body.frame().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn it_tells_its_size_and_end_as_they_are() {
    let body = answered(3 * S, "text/plain", &[1, 1]).await;
    assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(2), false));
    let body = answered(3 * S, "application/grpc", &[1, 1]).await;
    assert_eq!((body.size_hint().lower(), body.size_hint().upper()), (0, Some(2)), "it may end early");

    let empty = DeadlineBody::<Drip>::default();
    assert_eq!((empty.size_hint().exact(), empty.is_end_stream()), (Some(0), true));
    let refused = answered(Duration::ZERO, "text/plain", &[]).await;
    assert!(!refused.is_end_stream());
    let told = refused.size_hint().exact().unwrap();
    assert_eq!(refused.collect().await.unwrap().to_bytes().len() as u64, told);
}

#[tokio::test(start_paused = true)]
async fn a_stream_inherits_no_deadline() {
    let value = Deadline::new(3 * S).stream(true).idle_timeout(10 * S);
    let (data, _, reason) = read(answered(value, "text/plain", &[9, 9, 9, 11]).await).await;
    assert_eq!((data, reason), (vec!["None".to_owned(); 3], Some("body stood still")));
}

#[tokio::test(start_paused = true)]
async fn upgrades_pass() {
    for (method, status) in [("GET", 101), ("CONNECT", 200)] {
        let inner = service_fn(move |_: Request<()>| async move {
            Ok::<_, Infallible>(Response::builder().status(status).body(drip(&[60])).unwrap())
        });
        let req = Request::builder().method(method).body(()).unwrap();
        let response = DeadlineLayer::new(S).layer(inner).oneshot(req).await.unwrap();
        assert_eq!(read(response.into_body()).await.2, None, "{method}");
    }
}

/// An axum application: the handler and its streamed body see the context without a line of user code.
#[tokio::test(start_paused = true)]
async fn context_reaches_handlers_and_streamed_bodies() {
    let left = || format!("{:?}", Context::current().and_then(|context| context.remaining(Instant::now())));
    let handler = move || async move {
        sleep(S).await;
        left()
    };
    let streamed = || async { Response::new(axum::body::Body::new(drip(&[1, 1]))) };
    let events = || async {
        let mut response = axum::body::Body::new(drip(&[2, 2])).into_response();
        response.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
        response
    };
    let app: Router = Router::new()
        .route("/handler", get(handler))
        .route("/streamed", get(streamed))
        .route("/events", get(events))
        .layer(DeadlineLayer::new(3 * S));
    let ask = async |path: &str| {
        let req = Request::get(path).body(axum::body::Body::empty()).unwrap();
        let body = app.clone().oneshot(req).await.unwrap().into_body();
        String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
    };
    assert_eq!(ask("/handler").await, "Some(2s)");
    assert_eq!(ask("/streamed").await, "Some(2s)Some(1s)");
    assert_eq!(ask("/events").await, "NoneNone");
}

/// A router is layered anew for every request that reaches it as a service; the counts go on.
#[tokio::test(start_paused = true)]
async fn fits_every_place_of_axum() {
    use axum::handler::Handler;
    let layer = DeadlineLayer::new(S);
    let handle = layer.handle();
    let hang = || std::future::pending::<()>();
    let app: Router = Router::new()
        .route("/router", get(hang))
        .route_layer(layer.clone())
        .route("/method", get(hang).layer(layer.clone()))
        .route("/handler", get(hang.layer(layer.clone())))
        .merge(Router::new().route("/uploads", get(hang)).layer(DeadlineLayer::new(S).uploads()));
    for path in ["/router", "/method", "/handler", "/uploads"] {
        let req = Request::get(path).body(axum::body::Body::new(Full::<Bytes>::default())).unwrap();
        assert_eq!(app.clone().oneshot(req).await.unwrap().status(), 504, "{path}");
    }
    assert_eq!(handle.snapshot().timed_out, 3);
}

/// The head's time runs from the end of an upload; one that was empty, or is not read, is no excuse.
#[tokio::test(start_paused = true)]
async fn an_empty_upload_takes_no_time() {
    let hang = service_fn(|req: Request<Upload<Full<Bytes>>>| async move {
        std::future::pending::<()>().await;
        drop(req);
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let layer = DeadlineLayer::new(Deadline::new(60 * S).head_timeout(S)).uploads();
    let start = Instant::now();
    let response = layer.layer(hang).oneshot(Request::new(Full::<Bytes>::default())).await.unwrap();
    assert_eq!((response.status().as_u16(), Instant::now() - start), (504, S));
}

/// What the future of the call sees by itself need not wake it.
#[tokio::test(start_paused = true)]
async fn an_upload_read_by_the_handler_wakes_nobody() {
    let reads = service_fn(|req: Request<Upload<Drip>>| async {
        req.into_body().collect().await?;
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let layer = DeadlineLayer::new(Deadline::new(60 * S).idle_timeout(5 * S)).uploads();
    let mut call = task::spawn(layer.layer(reads).oneshot(Request::new(drip(&[1, 1]))));
    for _ in 0..2 {
        assert!(call.poll().is_pending() && !call.is_woken());
        tokio::time::advance(S).await;
        assert!(call.is_woken());
    }
    assert!(call.poll().is_ready());
}
