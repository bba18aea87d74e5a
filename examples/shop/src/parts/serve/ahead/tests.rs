use super::super::activity::Activity;
use super::*;
use bartizan::http::wire::{GRPC_TIMEOUT, REQUEST_TIMEOUT};
use http::HeaderValue;
use http_body::{Frame, SizeHint};
use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use tokio::time::{Sleep, sleep};

const PAUSE: Duration = Duration::from_millis(100);

enum Part {
    Data(&'static [u8]),
    Trailers,
    Broken,
    Pause,
    /// Nothing comes any more, and no end.
    Never,
}

use Part::{Broken, Data, Never, Pause, Trailers};

struct Script {
    parts: VecDeque<Part>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Body for Script {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        loop {
            if let Some(pause) = &mut self.pause {
                if pause.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.pause = None;
            }
            let Some(part) = self.parts.pop_front() else { return Poll::Ready(None) };
            return Poll::Ready(Some(match part {
                Data(data) => Ok(Frame::data(Bytes::from_static(data))),
                Trailers => Ok(Frame::trailers(HeaderMap::new())),
                Broken => Err("broken"),
                Pause => {
                    self.pause = Some(Box::pin(sleep(PAUSE)));
                    continue;
                }
                Never => {
                    self.parts.push_front(Never);
                    return Poll::Pending;
                }
            }));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::new()
    }
}

fn request(parts: impl IntoIterator<Item = Part>) -> Request<Coming<Script>> {
    let body = Script { parts: parts.into_iter().collect(), pause: None };
    let now = Instant::now();
    let awaited = (!body.is_end_stream()).then(|| Activity::new(now, now).await_body());
    Request::new(Coming::new(body, awaited))
}

/// Reads no more than eight bytes of a body ahead, of two of them at once.
fn ahead() -> Ahead {
    Ahead::new(&Limits { ahead: 8, room: 16, ..Limits::default() })
}

/// What comes of a body, frame by frame.
async fn all(mut coming: Coming<Script>) -> Vec<String> {
    let mut frames = Vec::new();
    while let Some(frame) = coming.frame().await {
        frames.push(match frame.map(Frame::into_data) {
            Ok(Ok(data)) => String::from_utf8(data.to_vec()).unwrap(),
            Ok(Err(_)) => "trailers".into(),
            Err(why) => why.into(),
        });
    }
    assert!(coming.is_end_stream() && coming.awaited.is_none());
    frames
}

#[tokio::test]
async fn what_comes_is_handed_on_whole() {
    for (parts, ought) in [
        (vec![Data(b"whole")], vec!["whole"]),
        (vec![Data(b"in"), Data(b" "), Data(b"bits")], vec!["in bits"]),
        (vec![Data(b"12345678"), Data(b"9"), Data(b"0")], vec!["12345678", "9", "0"]),
        (vec![Data(b"1234567"), Data(b"890"), Data(b"...")], vec!["1234567890", "..."]),
        (vec![Data(b"broke"), Broken], vec!["broke", "broken"]),
        (vec![Broken], vec!["broken"]),
        (vec![Data(b"12345678"), Broken], vec!["12345678", "broken"]),
        (vec![Data(b"a"), Data(b"b"), Trailers], vec!["ab", "trailers"]),
        (vec![Trailers], vec!["trailers"]),
        (vec![Data(b"")], vec![]),
        (vec![], vec![]),
    ] {
        let read = ahead().read(request(parts)).await.into_body();
        assert_eq!(all(read).await, ought);
    }
}

#[tokio::test]
async fn how_long_it_is_is_known_when_it_has_come() {
    let read = ahead().read(request([Data(b"in"), Data(b" bits")])).await.into_body();
    assert_eq!((read.size_hint().exact(), read.is_end_stream()), (Some(7), false));
    let read = ahead().read(request([Data(b"12345678"), Data(b"9")])).await.into_body();
    assert_eq!((read.size_hint().exact(), read.size_hint().lower()), (None, 8));
}

#[tokio::test]
async fn a_body_in_one_piece_is_not_copied() {
    static PIECE: &[u8] = b"piece";
    let read = ahead().read(request([Data(PIECE)])).await.into_body();
    assert_eq!(read.front.as_ptr(), PIECE.as_ptr());
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_large_one_is_awaited_still() {
    let read = ahead().read(request([Data(b"12345678"), Never])).await.into_body();
    assert!(read.awaited.is_some());
    let read = ahead().read(request([Data(b"1234"), Pause, Data(b"567")])).await.into_body();
    assert!(read.awaited.is_none(), "it has come, though nobody has taken it yet");
}

#[tokio::test(start_paused = true)]
async fn the_time_that_is_granted_goes_on() {
    let ahead = ahead();
    let timed = async |name: http::HeaderName, value: &'static str, parts: Vec<Part>| {
        let mut request = request(parts);
        request.headers_mut().insert(&name, HeaderValue::from_static(value));
        ahead.read(request).await.headers()[&name].to_str().unwrap().to_owned()
    };
    let slow = || vec![Data(b"1"), Pause, Data(b"2"), Pause, Data(b"3")];
    assert_eq!(timed(REQUEST_TIMEOUT, "500", vec![Data(b"123")]).await, "500");
    // The clock of a paused test rounds each pause up by a moment.
    let about = |left: &str, ought: u64| (ought.saturating_sub(9)..=ought).contains(&left.parse().unwrap());
    for (value, ought) in [("500", 300), ("150", 0)] {
        let left = timed(REQUEST_TIMEOUT, value, slow()).await;
        assert!(about(&left, ought), "{value}: {left}");
    }
    for odd in ["soon", "-1"] {
        assert_eq!(timed(REQUEST_TIMEOUT, odd, slow()).await, odd);
    }
    let left = timed(GRPC_TIMEOUT, "1S", slow()).await;
    let left = Wire::<Duration>::value(read_timeout(
        &HeaderMap::from_iter([(GRPC_TIMEOUT, left.parse().unwrap())]),
        true,
    ));
    assert!(left.is_some_and(|left| left <= PAUSE * 8 && left > PAUSE * 7), "{left:?}");
}

#[tokio::test]
async fn where_there_is_no_room_left_nothing_is_waited_for() {
    let ahead = ahead();
    let mut cx = Context::from_waker(Waker::noop());
    let full = || ahead.read(request([Data(b"1234567"), Never]));
    let (mut first, mut second) = (Box::pin(full()), pin!(full()));
    assert!(first.as_mut().poll(&mut cx).is_pending() && second.as_mut().poll(&mut cx).is_pending());
    let third = pin!(full()).poll(&mut cx);
    let Poll::Ready(third) = third else { panic!("all room is taken") };
    assert!(third.body().awaited.is_some() && third.body().front == "1234567");
    drop(first);
    assert!(pin!(full()).poll(&mut cx).is_pending(), "who went has left their room");
}
