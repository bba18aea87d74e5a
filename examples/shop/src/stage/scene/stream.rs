//! `/stage/stream`: the document again and again, to everybody who watches.

use super::{NEWEST, Scene};
use crate::parts::problem::Problem;
use crate::parts::serve::Stop;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};
use http_body::Frame;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often.
const EVERY: Duration = Duration::from_millis(500);

/// How many may watch at a time: beside the one that customers were asked for by.
const READERS: u32 = 32;

const HEADERS: [(HeaderName, &str); 3] = [
    (CONTENT_TYPE, "text/event-stream"),
    (CACHE_CONTROL, "no-cache"),
    (HeaderName::from_static("x-accel-buffering"), "no"),
];

/// An event at once, and every half second, until the reader leaves or the shop closes.
pub(super) fn answer(scene: Scene) -> Response {
    let Some(reader) = Reader::new(scene.0.watched.clone()) else {
        return Problem::unavailable("so many watch that there is no place; come back later").into_response();
    };
    let mut beats = interval(EVERY);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stop = scene.0.stop.clone();
    let closed = Box::pin(async move {
        let mut stop = stop;
        let _ = stop.wait_for(|stop| *stop != Stop::Not).await;
    });
    let mut answer = Body::new(Stream { scene, beats, closed, _reader: reader }).into_response();
    for (name, value) in HEADERS {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// Somebody who watches, until this is dropped.
struct Reader(watch::Sender<u32>);

impl Reader {
    fn new(watched: watch::Sender<u32>) -> Option<Self> {
        let is_room = watched.send_if_modified(|readers| {
            let is_room = *readers <= READERS;
            *readers += u32::from(is_room);
            is_room
        });
        is_room.then(|| Self(watched))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.send_modify(|readers| *readers -= 1);
    }
}

struct Stream {
    scene: Scene,
    beats: Interval,
    closed: Pin<Box<dyn Future<Output = ()> + Send>>,
    _reader: Reader,
}

impl http_body::Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.closed.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        self.beats.poll_tick(cx).map(|_| {
            let event = format!("data: {}\n\n", self.scene.show(Some(NEWEST)));
            Some(Ok(Frame::data(event.into())))
        })
    }
}
