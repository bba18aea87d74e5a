//! What each fault does to a call.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

#[path = "common/frames.rs"]
mod frames;
#[path = "common/request.rs"]
mod request;

use bartizan_core::{Kind, Refused};
use bartizan_fault::{Fault, FaultLayer, Faults, Snapshot};
use bytes::Bytes;
use frames::Frames;
use http::header::CONTENT_TYPE;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use request::request;
use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready, assert_ready_ok};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

const S: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86400);

/// A layer in which each of these is done to every call.
fn layer<const N: usize>(faults: [Fault; N]) -> FaultLayer {
    FaultLayer::new(faults.into_iter().fold(Faults::new().enabled(true), Faults::with))
}

fn grpc() -> Request<()> {
    request(&[(CONTENT_TYPE, "application/grpc+proto")])
}

/// The answer to a call that must not reach the service.
async fn answered(fault: Fault, req: Request<()>) -> Response<Bytes> {
    let inner = service_fn(|_: Request<()>| async {
        Err::<Response<Full<Bytes>>, BoxError>("the service was called".into())
    });
    let (head, body) = layer([fault]).layer(inner).oneshot(req).await.unwrap().into_parts();
    assert!(head.extensions.get::<Refused>().is_none(), "it is an error of the service to all others");
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

/// A reply that knows whether it was read to its end, after which it panics.
struct Reply {
    frames: Frames,
    ended: Arc<AtomicUsize>,
}

impl Body for Reply {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = Pin::new(&mut self.frames).poll_frame(cx);
        if let Poll::Ready(None | Some(Err(_))) = frame {
            self.ended.fetch_add(1, Ordering::Relaxed);
        }
        frame
    }
}

#[tokio::test]
async fn an_error_a_status_and_a_code_are_answered() {
    let status = |status: u16| StatusCode::from_u16(status).unwrap();
    let codes = [200, 500, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];
    let by_code = (0_u16..).zip(codes).map(|(code, status)| (Fault::grpc(code), status));
    for (fault, ought) in
        [(Fault::error(), 500), (Fault::status(status(418)), 418)].into_iter().chain(by_code)
    {
        let answer = answered(fault.clone(), request(&[])).await;
        assert_eq!(answer.status(), ought, "{fault:?}");
        assert_eq!(answer.headers()[CONTENT_TYPE], "application/problem+json");
        let title = status(ought).canonical_reason().unwrap();
        let problem = format!(r#"{{"title":"{title}","status":{ought},"detail":"injected fault"}}"#);
        assert_eq!(answer.body(), &problem);
    }
    for bodiless in [204, 205, 304] {
        let answer = answered(Fault::status(status(bodiless)), request(&[])).await;
        assert_eq!((answer.status().as_u16(), answer.body().len(), answer.headers().len()), (bodiless, 0, 0));
    }
}

#[tokio::test]
async fn grpc_is_answered_by_trailers_alone() {
    for (fault, code) in (0..=16).map(|code| (Fault::grpc(code), code)).chain([(Fault::error(), 13)]) {
        let answer = answered(fault, grpc()).await;
        assert_eq!((answer.status(), answer.body().len()), (StatusCode::OK, 0));
        assert_eq!(answer.headers()[CONTENT_TYPE], "application/grpc");
        assert_eq!(answer.headers()["grpc-status"], code.to_string());
        assert_eq!(answer.headers()["grpc-message"], "injected fault");
    }
    let answer = answered(Fault::status(StatusCode::SERVICE_UNAVAILABLE), grpc()).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().is_empty() && answer.body().is_empty(), "its client makes a code of the status");
}

#[tokio::test]
async fn the_typed_flavour_has_errors() {
    for fault in [Fault::error(), Fault::status(StatusCode::NOT_FOUND), Fault::grpc(3), Fault::reset()] {
        let inner = service_fn(|n: u8| async move { Err::<u8, BoxError>(format!("called with {n}").into()) });
        let service = layer([fault]).named("typed kinds").typed().layer(inner);
        let error = service.oneshot(1).await.unwrap_err();
        let refused = error.downcast_ref::<Refused>().unwrap();
        assert_eq!((refused.layer(), refused.name()), ("fault", Some("typed kinds")));
        assert_eq!((refused.kind(), refused.reason()), (Kind::Unavailable, "injected error"));
        assert!(refused.reached(), "a breaker counts it");
    }
}

#[tokio::test]
async fn the_typed_flavour_knows_no_bodies() {
    let layer = layer([Fault::truncate(0), Fault::drip(std::num::NonZeroUsize::MIN, DAY)]);
    let handle = layer.handle();
    let inner = service_fn(|n: u8| async move { Ok::<_, BoxError>(n) });
    assert_eq!(layer.typed().layer(inner).oneshot(1).await.unwrap(), 1);
    let counted = handle.snapshot();
    assert_eq!((counted.truncated, counted.dripped), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_delayed_call_begins_later() {
    let begun = Arc::new(AtomicUsize::new(0));
    let layer = layer([Fault::delay(S), Fault::delay(2 * S)]);
    let count = begun.clone();
    let inner = move || {
        let begun = count.clone();
        async move { begun.fetch_add(1, Ordering::Relaxed) }
    };

    let http = inner.clone();
    let http = service_fn(move |_: Request<()>| {
        let work = http();
        async {
            work.await;
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"3 left"))))
        }
    });
    let mut call = spawn(layer.layer(http).oneshot(request(&[])));
    assert_pending!(call.poll());
    tokio::time::advance(3 * S - Duration::from_millis(1)).await;
    assert_pending!(call.poll());
    assert_eq!(begun.load(Ordering::Relaxed), 0);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(call.is_woken());
    let answer = assert_ready_ok!(call.poll());
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "3 left");

    let typed = service_fn(move |_: ()| {
        let work = inner();
        async { Ok::<_, BoxError>(work.await) }
    });
    let mut call = spawn(layer.clone().typed().layer(typed).oneshot(()));
    assert_pending!(call.poll());
    tokio::time::advance(3 * S - Duration::from_millis(1)).await;
    assert_pending!(call.poll());
    assert_eq!(begun.load(Ordering::Relaxed), 1);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(assert_ready_ok!(call.poll()), 1);
    assert_eq!(layer.handle().snapshot().delayed, 2, "two delays of a call are one");
}

#[tokio::test(start_paused = true)]
async fn a_delay_comes_before_the_end_and_may_be_any() {
    let later = layer([Fault::status(StatusCode::IM_A_TEAPOT), Fault::delay(S)]);
    let mut call = spawn(later.layer(service_fn(untouched)).oneshot(request(&[])));
    assert_pending!(call.poll());
    tokio::time::advance(S).await;
    assert_eq!(assert_ready_ok!(call.poll()).status(), StatusCode::IM_A_TEAPOT);

    let never = layer([Fault::delay(Duration::MAX), Fault::delay(Duration::MAX)]);
    let mut call = spawn(never.layer(service_fn(untouched)).oneshot(request(&[])));
    assert_pending!(call.poll());
    tokio::time::advance(DAY).await;
    assert_pending!(call.poll());
    let at_once = layer([Fault::delay(Duration::ZERO)]);
    let inner =
        service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::new()))) });
    assert_ready_ok!(spawn(at_once.layer(inner).oneshot(request(&[]))).poll());
    assert_eq!(at_once.handle().snapshot().delayed, 0, "nothing was done to it");
}

/// A service that must not be called.
async fn untouched(_: Request<()>) -> Result<Response<Full<Bytes>>, Infallible> {
    panic!("the service was called")
}

#[tokio::test(start_paused = true)]
async fn a_hanging_call_never_ends() {
    let layer = layer([Fault::hang()]);
    let mut http = spawn(layer.layer(service_fn(untouched)).oneshot(request(&[])));
    let inner = service_fn(|_: ()| async { Err::<(), BoxError>("the service was called".into()) });
    let mut typed = spawn(layer.clone().typed().layer(inner).oneshot(()));
    for _ in 0..3 {
        assert_pending!(http.poll());
        assert_pending!(typed.poll());
        tokio::time::advance(DAY).await;
    }
    assert_eq!(layer.handle().snapshot().hung, 2);
}

#[tokio::test]
async fn a_panic_comes_when_the_future_is_polled() {
    let layer = layer([Fault::panic()]);
    let mut http = spawn(layer.layer(service_fn(untouched)).oneshot(request(&[])));
    let inner = service_fn(|_: ()| async { Ok::<_, BoxError>(()) });
    let mut typed = spawn(layer.clone().typed().layer(inner).oneshot(()));
    for told in [
        catch_unwind(AssertUnwindSafe(|| drop(http.poll()))),
        catch_unwind(AssertUnwindSafe(|| drop(typed.poll()))),
    ] {
        assert_eq!(told.unwrap_err().downcast_ref(), Some(&"injected panic"));
    }
    let counted = layer.handle().snapshot();
    assert_eq!(counted.panicked, 2, "a panic holds no lock");
}

#[tokio::test(start_paused = true)]
async fn a_reply_is_lost_after_everything_was_done() {
    for (frames, ought) in [
        (Frames::new(["abc", "def"]).with_trailer("grpc-status"), 1),
        (Frames::new([]), 1),
        (Frames::new(["abc"]).with_error(), 1),
    ] {
        let (layer, ended) = (layer([Fault::lose_reply()]), Arc::new(AtomicUsize::new(0)));
        let mut reply = Some(Reply { frames, ended: ended.clone() });
        let inner = service_fn(move |_: Request<()>| {
            let reply = reply.take().unwrap();
            async { Ok::<_, Infallible>(Response::new(reply)) }
        });
        let mut call = spawn(layer.layer(inner).oneshot(request(&[])));
        for _ in 0..10 {
            // Each frame is a poll, and both the future and the body panic when they are asked after their end.
            assert_pending!(call.poll());
        }
        assert_eq!(ended.load(Ordering::Relaxed), ought);
        assert_eq!(layer.handle().snapshot().replies_lost, 1);
        tokio::time::advance(DAY).await;
        assert_pending!(call.poll());
    }
}

#[tokio::test]
async fn a_reply_that_is_lost_is_read_without_being_asked() {
    let layer = layer([Fault::lose_reply()]);
    let ended = Arc::new(AtomicUsize::new(0));
    let reply = Reply { frames: Frames::new(["a", "b", "c"]), ended: ended.clone() };
    let mut reply = Some(reply);
    let inner = service_fn(move |_: Request<()>| {
        let reply = reply.take().unwrap();
        async { Ok::<_, Infallible>(Response::new(reply)) }
    });
    let call = tokio::spawn(layer.layer(inner).oneshot(request(&[])));
    let read = async {
        while ended.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(20 * S, read).await.unwrap();
    call.abort();
}

#[tokio::test(start_paused = true)]
async fn a_reply_without_end_does_not_keep_the_thread() {
    struct Endless;
    impl Body for Endless {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"more")))))
        }
    }
    let inner = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(Endless)) });
    let mut call = spawn(layer([Fault::lose_reply()]).layer(inner).oneshot(request(&[])));
    for _ in 0..3 {
        assert_pending!(call.poll());
        assert!(call.is_woken(), "it goes on");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_is_lost_like_any_reply() {
    let layer = layer([Fault::lose_reply()]);
    let polled = Arc::new(AtomicUsize::new(0));
    let count = polled.clone();
    let inner = move || {
        let count = count.clone();
        // It may be polled until it is ready, and not again.
        poll_fn(move |_| match count.fetch_add(1, Ordering::Relaxed) {
            0 => Poll::Pending,
            1 => Poll::Ready(Err::<(), BoxError>("theirs".into())),
            _ => panic!("polled after its end"),
        })
    };
    let http = inner.clone();
    let http = service_fn(move |_: Request<()>| {
        let work = http();
        async { work.await.map(|()| Response::new(Full::new(Bytes::new()))) }
    });
    let mut call = spawn(layer.layer(http).oneshot(request(&[])));
    for polls in [1, 2, 2, 2] {
        assert_pending!(call.poll());
        assert_eq!(polled.load(Ordering::Relaxed), polls);
    }

    polled.store(0, Ordering::Relaxed);
    let typed = service_fn(move |_: ()| inner());
    let mut call = spawn(layer.clone().typed().layer(typed).oneshot(()));
    for polls in [1, 2, 2, 2] {
        assert_pending!(call.poll());
        assert_eq!(polled.load(Ordering::Relaxed), polls);
    }
    assert_eq!(layer.handle().snapshot().replies_lost, 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_done_is_counted() {
    let layer = FaultLayer::new(Faults::new().enabled(true));
    let handle = layer.handle();
    let kinds = [
        Fault::error(),
        Fault::status(StatusCode::NOT_FOUND),
        Fault::grpc(14),
        Fault::hang(),
        Fault::reset(),
        Fault::panic(),
        Fault::lose_reply(),
        Fault::truncate(1),
        Fault::drip(std::num::NonZeroUsize::MIN, S),
        Fault::delay(S),
    ];
    for kind in kinds {
        let id = handle.inject(kind).unwrap();
        let inner = service_fn(|_: Request<()>| async {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"3 left"))))
        });
        let mut service = layer.layer(inner);
        assert_ready!(spawn(poll_fn(|cx| Service::poll_ready(&mut service, cx))).poll()).unwrap();
        drop(service.call(request(&[])));
        assert!(handle.lift(id));
    }
    let counted = handle.snapshot();
    let Snapshot { faults, delayed, errors, hung, reset, panicked, replies_lost, truncated, dripped, .. } =
        counted;
    assert_eq!((faults, delayed, errors, hung, reset), (0, 1, 3, 1, 1));
    assert_eq!((panicked, replies_lost, truncated, dripped), (1, 1, 1, 1));
}

#[test]
fn wrong_values_are_told() {
    for share in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert_eq!(Fault::error().try_share(share).unwrap_err().field(), "share");
        assert!(catch_unwind(|| Fault::error().share(share)).is_err());
    }
    assert!(Fault::error().try_share(0.0).is_ok() && Fault::error().try_share(1.0).is_ok());
    assert_eq!(Fault::try_grpc(17).unwrap_err().field(), "grpc");
    assert!(catch_unwind(|| Fault::grpc(17)).is_err());
    let informational = Fault::try_status(StatusCode::CONTINUE);
    assert_eq!(informational.unwrap_err().message(), "status must not be informational");
    assert!(catch_unwind(|| Fault::status(StatusCode::SWITCHING_PROTOCOLS)).is_err());
}
