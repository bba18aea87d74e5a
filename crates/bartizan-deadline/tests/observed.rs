//! What the registry sees of a deadline, and may do to it.
#![allow(clippy::unwrap_used, reason = "what helps a test is one")]

use bartizan_core::registry::{UNKNOWN_SETTING, UNKNOWN_VERB};
use bartizan_core::{Context, Instant};
use bartizan_deadline::{Deadline, DeadlineLayer};
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use seen::{Seen, find, numbers, settings, times};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{self, Poll};
use std::time::Duration;
use tokio::time::{advance, sleep, timeout};
use tower::{BoxError, Layer, ServiceExt, service_fn};

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);

/// A body of so many frames, of which none is its end.
struct Frames(u32);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.checked_sub(1) {
            Some(left) => {
                self.0 = left;
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
            }
            None => Poll::Pending,
        }
    }
}

/// Answers after so long, with so many frames.
async fn work(req: Request<(Duration, u32)>) -> Result<Response<Frames>, Infallible> {
    let (after, frames) = *req.body();
    sleep(after).await;
    Ok(Response::new(Frames(frames)))
}

fn left(left: &str, work: (Duration, u32)) -> Request<(Duration, u32)> {
    Request::builder().header("x-request-timeout-ms", left).body(work).unwrap()
}

#[tokio::test(start_paused = true)]
async fn every_number_tells_something() {
    let mut seen = Seen::default();
    let value = Deadline::new(10 * S).min_remaining(10 * MS).head_timeout(5 * S).idle_timeout(S).learn(true);
    let layer = DeadlineLayer::new(value).named("one");
    let service = layer.layer(service_fn(work));
    let call = async |req| service.clone().oneshot(req).await.unwrap();
    for (left_of_it, after, status) in [("0", MS, 504), ("9", MS, 504), ("soon", 6 * S, 504)] {
        assert_eq!(call(left(left_of_it, (after, 0))).await.status(), status, "{left_of_it}");
    }
    assert_eq!(call(left("100", (S, 0))).await.status(), 504, "in the service");
    let standing = call(left("9000", (MS, 1))).await.into_body();
    assert!(standing.collect().await.is_err(), "the body stands still");
    let mut body = call(left("2000", (MS, 9))).await.into_body();
    body.frame().await.unwrap().unwrap();
    advance(3 * S).await;
    assert!(body.frame().await.unwrap().is_err(), "read too late");
    let left_alone = timeout(MS, call(left("9000", (S, 0)))).await;
    assert!(left_alone.is_err(), "the caller leaves");
    seen.look("one");

    let layer = DeadlineLayer::new(Deadline::new(S).learn(true)).typed().named("learnt");
    let service = layer.layer(service_fn(|after| async move {
        sleep(after).await;
        Ok::<_, BoxError>(())
    }));
    for _ in 0..Deadline::LEARN_WARM_UP {
        service.clone().oneshot(100 * MS).await.unwrap();
    }
    let hurry = Context::new().with_deadline(Instant::now() + 80 * MS);
    hurry.scope(service.oneshot(100 * MS)).await.unwrap_err();
    seen.look("learnt");

    let layer = DeadlineLayer::new(Deadline::new(10 * S).idle_timeout(S)).uploads().named("upload");
    let swallow = |req: Request<_>| async {
        let _ = BodyExt::collect(req.into_body()).await;
        Ok::<_, Infallible>(Response::new(Frames(0)))
    };
    layer.layer(service_fn(swallow)).oneshot(Request::new(Frames(1))).await.unwrap();
    seen.look("upload");

    let layer = DeadlineLayer::new(Deadline::new(S).max_refused_share(0.0)).named("withheld");
    let answer = layer.layer(service_fn(work)).oneshot(left("0", (MS, 0))).await.unwrap();
    assert_eq!(answer.status(), 200);
    seen.look("withheld");
    seen.assert_alive();
}

#[tokio::test(start_paused = true)]
async fn what_was_left_to_those_who_were_refused_is_counted_and_sums_are_those_of_their_parts() {
    let layer = DeadlineLayer::new(Deadline::new(S).min_remaining(50 * MS)).named("left");
    let service = layer.layer(service_fn(work));
    for ms in ["0", "20", "40", "100"] {
        service.clone().oneshot(left(ms, (2 * S, 0))).await.unwrap();
    }
    let times = times(&*find("left"), "left_seconds");
    assert_eq!(times.count(), 3, "who is ended is not refused");
    let [least, median, most] = [0.0, 0.5, 1.0].map(|quantile| times.quantile(quantile).unwrap());
    assert!(least < MS && median >= 20 * MS && most >= 40 * MS, "{least:?} {median:?} {most:?}");

    let numbers = numbers(&*find("left"));
    for (what, ought) in [("refused", 3.0), ("ended", 1.0)] {
        let parts = numbers.iter().filter(|(name, _)| name.starts_with(&format!("{what}_")));
        assert_eq!((numbers[what], parts.map(|(_, number)| number).sum::<f64>()), (ought, ought));
    }
    let snapshot = layer.handle().snapshot();
    assert_eq!((snapshot.refused(), snapshot.ended()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn verbs_and_settings_do_what_the_handle_does() {
    let layer = DeadlineLayer::new(S).named("steered");
    let (seen, handle) = (find("steered"), layer.handle());
    for (verb, state) in [("disable", "disabled"), ("enable", "enabled")] {
        assert!(seen.verbs().contains(&verb));
        assert_eq!(
            (seen.act(verb), seen.state(), handle.value().is_enabled()),
            (Ok(()), state, verb == "enable")
        );
    }
    assert_eq!((seen.act("reset"), seen.set("burst", 1.0)), (Err(UNKNOWN_VERB), Err(UNKNOWN_SETTING)));
    for (name, value) in [
        ("total_seconds", 2.0),
        ("head_timeout_seconds", 1.5),
        ("idle_timeout_seconds", 0.5),
        ("min_remaining_seconds", 0.25),
        ("margin_seconds", 0.125),
        ("max_refused_share", 0.5),
    ] {
        let mut ought = settings(&*seen);
        assert!(seen.set(name, -1.0).is_err() && seen.set(name, f64::NAN).is_err());
        assert_eq!(settings(&*seen), ought, "what is wrong changes nothing");
        assert!(ought.insert(name, value).is_some(), "{name} is shown");
        assert_eq!((seen.set(name, value), settings(&*seen)), (Ok(()), ought));
    }
    assert_eq!(handle.value().total(), 2 * S);
    let shorter = seen.set("total_seconds", 0.2).unwrap_err();
    assert_eq!(shorter.to_string(), "total must not be shorter than min_remaining");
    let endless = settings(&*find("steered"))["total_seconds"];
    assert_eq!((seen.set("head_timeout_seconds", 1e300), endless), (Ok(()), 2.0));
    assert_eq!(handle.value().longest_head(), Duration::MAX);
}
