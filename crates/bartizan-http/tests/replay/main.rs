//! A body that is sent more than once: what readers see, what is kept, who is woken.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

mod limits;
mod model;
mod source;
mod threads;
mod wakes;

use bartizan_core::find_cause;
use bartizan_http::{Replay, ReplayLimit, Replays};
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, Full};
use source::{Script, Step, data};
use std::error::Error;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Waker};

type Polled = Poll<Option<Result<Frame<Bytes>, Box<dyn Error + Send + Sync>>>>;

fn poll_by<B>(reader: &mut Replay<B>, waker: &Waker) -> Polled
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    Pin::new(reader).poll_frame(&mut Context::from_waker(waker))
}

fn poll(reader: &mut Replay<Script>) -> Polled {
    poll_by(reader, Waker::noop())
}

/// The text of the next frame, which must be one of data.
fn text(reader: &mut Replay<Script>) -> String {
    match poll(reader) {
        Poll::Ready(Some(Ok(frame))) => {
            String::from_utf8(frame.into_data().expect("data").to_vec()).expect("text")
        }
        other => panic!("no frame, but {other:?}"),
    }
}

fn error(reader: &mut Replay<Script>) -> Box<dyn Error + Send + Sync> {
    match poll(reader) {
        Poll::Ready(Some(Err(error))) => error,
        other => panic!("no error, but {other:?}"),
    }
}

fn split(steps: impl IntoIterator<Item = Step>) -> (Replay<Script>, Replays<Script>) {
    Replay::split(Script::new(steps), &ReplayLimit::default())
}

#[test]
fn is_send_sync_and_unpin_even_if_the_source_is_not() {
    type Source = (std::cell::Cell<u8>, std::marker::PhantomPinned);
    fn check<T: Send + Sync + Unpin + 'static>() {}
    check::<Replay<Source>>();
    check::<Replays<Source>>();
}

#[test]
fn a_body_for_one_reader_is_read_as_it_is() {
    let mut empty = Replay::once(Empty::<Bytes>::new());
    assert!(empty.is_end_stream());
    assert_eq!(empty.size_hint().exact(), Some(0));
    assert!(matches!(poll_by(&mut empty, Waker::noop()), Poll::Ready(None)));

    let mut one = Replay::once(Full::from("3 apples"));
    assert!(!one.is_end_stream());
    assert_eq!(one.size_hint().exact(), Some(8));
    assert!(matches!(poll_by(&mut one, Waker::noop()), Poll::Ready(Some(Ok(_)))));
    assert!(one.is_end_stream());
    for _ in 0..2 {
        assert!(matches!(poll_by(&mut one, Waker::noop()), Poll::Ready(None)));
    }

    let mut broken = Replay::once(Script::new([data("a"), Step::Error, data("b")]));
    assert_eq!(text(&mut broken), "a");
    assert!(error(&mut broken).is::<io::Error>(), "the error is the source's own");
    assert!(matches!(poll(&mut broken), Poll::Ready(None)), "after an error it has ended");
}

#[test]
fn an_empty_body_allocates_nothing() {
    let limit = ReplayLimit::default();
    let used = allocation_counter::measure(|| {
        let (mut first, replays) = Replay::split(Empty::<Bytes>::new(), &limit);
        assert!(replays.is_ended() && first.is_end_stream());
        let mut second = replays.again().expect("nothing is soon kept");
        drop(replays);
        for reader in [&mut first, &mut second] {
            assert_eq!(reader.size_hint().exact(), Some(0));
            assert!(matches!(poll_by(reader, Waker::noop()), Poll::Ready(None)));
        }
    });
    assert_eq!(used.count_total, 0);
    // It does count.
    let full = Full::from("3 apples");
    assert_ne!(allocation_counter::measure(|| drop(Replay::split(full, &limit))).count_total, 0);
}

#[test]
fn the_source_is_asked_for_no_more_than_is_read() {
    let script = Script::new([data("a"), data("b"), data("c")]);
    let watch = script.watch.clone();
    let (mut first, replays) = Replay::split(script, &ReplayLimit::default());
    assert_eq!(watch.polls.load(SeqCst), 0);
    assert_eq!(text(&mut first) + &text(&mut first), "ab");
    let mut second = replays.again().unwrap();
    assert_eq!(text(&mut second) + &text(&mut second), "ab");
    assert_eq!(watch.polls.load(SeqCst), 2);
    // Whoever is at the end drives it on.
    assert_eq!(text(&mut second), "c");
    assert_eq!(text(&mut first), "c");
    assert_eq!(watch.polls.load(SeqCst), 3);
    assert!(!replays.is_ended());
    assert!(matches!(poll(&mut first), Poll::Ready(None)));
    assert!(replays.is_ended() && second.is_end_stream());
    assert!(matches!(poll(&mut second), Poll::Ready(None)));
    assert_eq!(watch.polls.load(SeqCst), 4);
}

#[tokio::test]
async fn trailers_come_again() {
    let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
    let (first, replays) = split([data("a"), Step::Frame(Frame::trailers(trailers.clone()))]);
    for reader in [first, replays.again().unwrap()] {
        let all = reader.collect().await.unwrap();
        assert_eq!(all.trailers(), Some(&trailers));
        assert_eq!(all.to_bytes(), "a");
        assert!(replays.is_ended());
    }
}

#[test]
fn hints_count_down_for_each_reader() {
    let mut script = Script::new([data("abc"), data("de")]);
    script.exact = Some(5);
    script.tells_end = true;
    let (mut first, replays) = Replay::split(script, &ReplayLimit::default());
    assert_eq!(first.size_hint().exact(), Some(5));
    text(&mut first);
    let mut second = replays.again().unwrap();
    assert_eq!((first.size_hint().exact(), second.size_hint().exact()), (Some(2), Some(5)));
    text(&mut first);
    assert!(first.is_end_stream() && replays.is_ended());
    assert!(!second.is_end_stream());
    text(&mut second);
    assert_eq!((first.size_hint().exact(), second.size_hint().exact()), (Some(0), Some(2)));
    text(&mut second);
    assert!(second.is_end_stream());

    // One that knows nothing, and ends without a word before.
    let (mut lone, _replays) = split([data("abc")]);
    assert_eq!((lone.size_hint().lower(), lone.size_hint().upper()), (0, None));
    text(&mut lone);
    assert!(!lone.is_end_stream());
    assert!(matches!(poll(&mut lone), Poll::Ready(None)));
    assert!(lone.is_end_stream());
    assert_eq!(lone.size_hint().exact(), Some(0));
}

#[test]
fn an_error_reaches_all_readers() {
    let (mut first, replays) = split([data("a"), Step::Error]);
    let mut second = replays.again().unwrap();
    for reader in [&mut first, &mut second, &mut replays.again().unwrap()] {
        assert_eq!(text(reader), "a");
        let failed = error(reader);
        assert_eq!(failed.to_string(), "torn");
        assert!(find_cause::<io::Error>(&*failed).is_some());
        assert!(matches!(poll(reader), Poll::Ready(None)));
        assert!(reader.is_end_stream());
    }
    assert!(replays.is_ended());
}

#[test]
fn an_error_that_nobody_else_can_see_is_handed_on_as_it_is() {
    let (mut lone, replays) = split([data("a"), Step::Error]);
    drop(replays);
    text(&mut lone);
    assert!(error(&mut lone).is::<io::Error>());
    assert!(matches!(poll(&mut lone), Poll::Ready(None)));
}

#[test]
fn a_panic_of_the_source_fails_the_others() {
    let panics = Step::Do(Box::new(|_| panic!("as the test wants")));
    let (mut first, replays) = split([data("a"), panics]);
    let mut second = replays.again().unwrap();
    text(&mut first);
    text(&mut second);
    assert!(catch_unwind(AssertUnwindSafe(|| poll(&mut first))).is_err());
    for reader in [&mut first, &mut second] {
        assert_eq!(error(reader).to_string(), "the body panicked while it was read");
    }
    let mut third = replays.again().unwrap();
    assert_eq!(text(&mut third), "a");
    error(&mut third);
    assert!(replays.is_ended());
}
