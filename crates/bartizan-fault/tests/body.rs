//! What faults do to the body of an answer.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

#[path = "common/frames.rs"]
mod frames;
#[path = "common/request.rs"]
mod request;

use bartizan_fault::{Fault, FaultBody, FaultLayer, Faults, Injected};
use bytes::Bytes;
use frames::Frames;
use http::Response;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use request::request;
use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::time::Duration;
use tokio_test::task::{Spawn, spawn};
use tokio_test::{assert_pending, assert_ready};
use tower::{Layer, ServiceExt, service_fn};

const MS: Duration = Duration::from_millis(1);

async fn harmed(fault: Option<Fault>, body: Frames) -> FaultBody<Frames> {
    let faults = fault.into_iter().fold(Faults::new().enabled(true), Faults::with);
    let mut body = Some(body);
    let inner = service_fn(move |_| {
        let answer = Response::new(body.take().unwrap());
        async { Ok::<_, Infallible>(answer) }
    });
    FaultLayer::new(faults).layer(inner).oneshot(request(&[])).await.unwrap().into_body()
}

/// What a reader sees of a body: its data, joined, its trailers, and how it ended.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    frames: Vec<String>,
    trailers: usize,
    injected: bool,
    torn: bool,
}

async fn read(body: FaultBody<Frames>) -> Seen {
    let (mut seen, mut body) = (Seen::default(), Box::pin(body));
    let mut ended = body.is_end_stream();
    while let Some(frame) = body.frame().await {
        assert!(!ended, "there is more, and it says that it has ended: {seen:?}");
        ended = body.is_end_stream();
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) => seen.frames.push(String::from_utf8(data.to_vec()).unwrap()),
            Ok(Err(_)) => seen.trailers += 1,
            Err(error) => {
                seen.injected = error.is::<Injected>();
                seen.torn = !seen.injected;
                break;
            }
        }
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn without_a_fault_a_body_is_as_it_was() {
    for (body, torn) in
        [(Frames::new(["abc", "defg"]), false), (Frames::new(["abc", "defg"]).with_error(), true)]
    {
        let body = harmed(None, body.with_trailer("grpc-status")).await;
        assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(7), false));
        let frames = ["abc", "defg"].map(str::to_owned).into();
        assert_eq!(read(body).await, Seen { frames, trailers: 1, injected: false, torn });
    }
}

#[tokio::test(start_paused = true)]
async fn a_truncated_body_breaks_off_after_so_many_bytes() {
    for (bytes, frames, whole) in [
        (0, [].as_slice(), false),
        (1, &["a"], false),
        (3, &["abc"], false),
        (4, &["abc", "d"], false),
        (6, &["abc", "def"], false),
        (7, &["abc", "defg"], true),
        (usize::MAX, &["abc", "defg"], true),
    ] {
        for trailers in [false, true] {
            let body = Frames::new(["abc", "defg"]);
            let body = if trailers { body.with_trailer("grpc-status") } else { body };
            let body = harmed(Some(Fault::truncate(bytes)), body).await;
            assert_eq!(body.size_hint().exact(), Some(7), "the head promises all of it");
            assert!(!body.is_end_stream());
            let frames = frames.iter().map(|data| (*data).to_owned()).collect();
            let trailers = usize::from(trailers && whole);
            let ought = Seen { frames, trailers, injected: !whole, torn: false };
            assert_eq!(read(body).await, ought, "{bytes} bytes");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_was_cut_does_not_look_ended() {
    // One frame: the inner body is at its end as soon as it was read.
    let mut body = spawn(harmed(Some(Fault::truncate(3)), Frames::new(["abcdefg"])).await);
    assert_eq!(data(assert_ready!(poll(&mut body))), "abc");
    for _ in 0..2 {
        assert!(!body.is_end_stream());
        assert_eq!(body.size_hint().exact(), None);
        assert_pending!(poll(&mut body), "what came before is to be sent first");
    }
    tokio::time::advance(5 * MS).await;
    assert!(body.is_woken());
    assert!(assert_ready!(poll(&mut body)).unwrap().unwrap_err().is::<Injected>());
    assert!(body.is_end_stream());
    assert!(assert_ready!(poll(&mut body)).is_none());
}

#[tokio::test(start_paused = true)]
async fn an_empty_body_is_not_truncated() {
    for bytes in [0, 1] {
        let body = harmed(Some(Fault::truncate(bytes)), Frames::new([])).await;
        assert!(body.is_end_stream());
        assert_eq!(read(body).await, Seen::default());
        // An empty frame is no byte too many.
        let body = harmed(Some(Fault::truncate(bytes)), Frames::new([""]).with_trailer("grpc-status")).await;
        assert_eq!(body.collect().await.unwrap().trailers().unwrap()["grpc-status"], "1");
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_truncated_body_is_the_last() {
    let mut body = spawn(harmed(Some(Fault::truncate(9)), Frames::new(["a"])).await);
    assert_eq!(data(assert_ready!(poll(&mut body))), "a");
    for _ in 0..3 {
        // The inner one panics when it is asked again.
        assert!(assert_ready!(poll(&mut body)).is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn errors_of_the_inner_body_pass_through() {
    for fault in [Fault::truncate(100), Fault::drip(two(), MS)] {
        let seen = read(harmed(Some(fault), Frames::new(["ab"]).with_error()).await).await;
        assert_eq!(seen, Seen { frames: vec!["ab".into()], trailers: 0, injected: false, torn: true });
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_drips() {
    let body = Frames::new(["abc", "", "defg"]).with_trailer("grpc-status");
    let mut body = spawn(harmed(Some(Fault::drip(two(), 10 * MS)), body).await);
    let mut left = 7;
    assert_eq!(body.size_hint().exact(), Some(left));
    for drop in ["ab", "c", "de", "fg"] {
        assert_pending!(poll(&mut body));
        tokio::time::advance(9 * MS).await;
        assert_pending!(poll(&mut body), "{drop}");
        assert_eq!(body.size_hint().exact(), Some(left), "what is held back counts");
        assert!(!body.is_end_stream());
        tokio::time::advance(MS).await;
        assert!(body.is_woken());
        assert_eq!(data(assert_ready!(poll(&mut body))), drop);
        left -= drop.len() as u64;
        assert_eq!(body.size_hint().exact(), Some(left));
        assert!(!body.is_end_stream());
    }
    assert!(assert_ready!(poll(&mut body)).unwrap().unwrap().is_trailers());
    assert!(body.is_end_stream());
    assert!(assert_ready!(poll(&mut body)).is_none());
}

#[tokio::test(start_paused = true)]
async fn the_last_drops_of_a_body_that_has_ended_count() {
    let mut body = spawn(harmed(Some(Fault::drip(two(), MS)), Frames::new(["abc"])).await);
    assert_pending!(poll(&mut body));
    assert!(!body.is_end_stream(), "the inner one was read to its end, this one was not");
    assert_eq!((body.size_hint().lower(), body.size_hint().upper()), (3, Some(3)));
    tokio::time::advance(MS).await;
    assert_eq!(data(assert_ready!(poll(&mut body))), "ab");
    assert!(!body.is_end_stream());
    tokio::time::advance(MS).await;
    assert_eq!(data(assert_ready!(poll(&mut body))), "c");
    assert!(body.is_end_stream());
}

#[tokio::test(start_paused = true)]
async fn a_drip_may_be_any() {
    let empty = harmed(Some(Fault::drip(two(), MS)), Frames::new([])).await;
    assert!(empty.is_end_stream());
    assert_eq!(read(empty).await, Seen::default());

    let (one, all) = (NonZeroUsize::MIN, NonZeroUsize::MAX);
    let at_once = read(harmed(Some(Fault::drip(one, Duration::ZERO)), Frames::new(["abc"])).await).await;
    assert_eq!(at_once.frames, ["a", "b", "c"]);
    let whole = read(harmed(Some(Fault::drip(all, MS)), Frames::new(["abc", "defg"])).await).await;
    assert_eq!(whole.frames, ["abc", "defg"]);

    let mut never = spawn(harmed(Some(Fault::drip(one, Duration::MAX)), Frames::new(["abc"])).await);
    assert_pending!(poll(&mut never));
    tokio::time::advance(Duration::from_secs(1_000_000)).await;
    assert_pending!(poll(&mut never));
}

#[tokio::test(start_paused = true)]
async fn a_reset_is_a_body_that_fails_at_once() {
    let mut body = spawn(harmed(Some(Fault::reset()), Frames::new(["abc"])).await);
    assert!(!body.is_end_stream());
    assert_eq!(body.size_hint().exact(), None, "no length is promised");
    let error = assert_ready!(poll(&mut body)).unwrap().unwrap_err();
    assert_eq!(error.to_string(), "injected break of the connection");
    assert!(body.is_end_stream());
    assert!(assert_ready!(poll(&mut body)).is_none());
}

#[test]
fn auto_traits() {
    fn all<T: Send + Sync + Unpin + 'static>(_: &T) {}
    fn default<T: Default + Body>() -> T {
        T::default()
    }
    let body: FaultBody<http_body_util::Full<Bytes>> = default();
    all(&body);
    assert!(body.is_end_stream());
    assert_eq!(format!("{body:?}"), "FaultBody(passing)");
}

type Polled = std::task::Poll<Option<Result<Frame<Bytes>, Box<dyn std::error::Error + Send + Sync>>>>;

fn poll(body: &mut Spawn<FaultBody<Frames>>) -> Polled {
    body.enter(|cx, body: Pin<&mut FaultBody<Frames>>| body.poll_frame(cx))
}

fn data<E: std::fmt::Debug>(frame: Option<Result<Frame<Bytes>, E>>) -> Bytes {
    frame.unwrap().unwrap().into_data().unwrap()
}

fn two() -> NonZeroUsize {
    NonZeroUsize::new(2).unwrap()
}
