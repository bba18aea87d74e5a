//! Rows F01, F02, F03 and F10: what is replaced, and by what.

use crate::{LISTED, get, http, layer, read, typed};
use bartizan_core::{Kind, Reason, Refused, find_cause};
use bartizan_fallback::{Degraded, Fallback, FallbackLayer, FallbackOn, Outcome};
use bytes::Bytes;
use conformance::{Call, Events, F, I, Mode, Probe, S, T, secs};
use http::{Request, Response};
use http_body::{Body, Frame};
use std::convert::Infallible;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll};
use tower::{BoxError, Layer};

/// The changes that were told of, without the traces of single calls.
fn told(events: Events) -> Vec<String> {
    let changes = events.all().into_iter().filter(|event| event.message.starts_with("answers"));
    changes.map(|event| format!("{}: {}", event.name, event.message)).collect()
}

#[tokio::test(start_paused = true)]
async fn f01_used() {
    for mode in Mode::ALL {
        for (call, outcome, refused) in [
            (F, Outcome::Status(503), None),
            (T, Outcome::Status(429), None),
            (I, Outcome::Status(503), Some("ignored")),
        ] {
            let events = Events::record();
            let layer = layer().value(Response::new("instead")).named("f01");
            let (probe, handle) = (http(), layer.handle());
            let tally = probe.tally();
            let mut service = layer.layer(probe);
            for _ in 0..3 {
                let response = mode.call(&mut service, get(call)).await.unwrap();
                let failure = response.extensions().get::<Degraded>().unwrap().failure();
                assert_eq!((failure.outcome(), failure.refused().map(Refused::reason)), (outcome, refused));
                assert_eq!((response.status().as_u16(), read(response).await.as_str()), (200, "instead"));
            }
            assert_eq!((tally.calls(), tally.running()), (3 * mode.calls(), 0));
            assert_eq!(handle.snapshot().used, 3 * mode.calls());
            assert_eq!(told(events), ["f01: answers by fallback"], "a change, and not every call");

            // Back to good, once nothing was replaced for a second.
            mode.call(&mut service, get(S)).await.unwrap();
            assert!(handle.snapshot().degraded);
            tokio::time::advance(secs(1.0)).await;
            mode.call(&mut service, get(S)).await.unwrap();
            assert!(!handle.snapshot().degraded);
            assert_eq!(told(events), ["f01: answers by fallback", "f01: answers without fallback again"]);
        }
    }
}

/// In the typed flavour the error is given to the function, unchanged.
#[tokio::test(start_paused = true)]
async fn f01_used_by_a_function_of_the_error() {
    for mode in Mode::ALL {
        let layer = FallbackLayer::new(Fallback::new()).typed(|_: &Call| true).with(|failed| {
            let error = failed.error::<BoxError>().expect("the error of the probe");
            Ok(if find_cause::<Refused>(&**error).is_some() { "refused" } else { "failed" })
        });
        let mut service = layer.layer(typed());
        for (call, ought) in [(F, "failed"), (I, "refused"), (S, "success")] {
            assert_eq!(mode.call(&mut service, || call).await.unwrap(), ought);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn f02_not_used() {
    for mode in Mode::ALL {
        let ran = Arc::new(AtomicU64::new(0));
        let count = ran.clone();
        let value = Fallback::new().on(LISTED);
        let layer = FallbackLayer::new(value).with(move |_| {
            count.fetch_add(1, SeqCst);
            Response::new("instead")
        });
        let mut service = layer.layer(http());
        for (call, status) in [(S, 200), (F, 503), (T, 429)] {
            let response = mode.call(&mut service, get(call)).await.unwrap();
            assert!(response.extensions().get::<Degraded>().is_none());
            assert_eq!((response.status().as_u16(), read(response).await.as_str()), (status, call.text()));
        }
        let layer = FallbackLayer::new(value).typed(|_: &Call| true).value("instead");
        let mut service = layer.layer(typed());
        assert_eq!(mode.call(&mut service, || S).await.unwrap(), "success");
        let error = mode.call(&mut service, || F).await.unwrap_err();
        assert_eq!(error.to_string(), "failure");
        assert_eq!(ran.load(SeqCst), 0);
        // Nor is a write replaced, whatever its failure is.
        let mut service = crate::layer().value(Response::new("instead")).layer(http());
        let post = || Request::post("/").body(F).unwrap();
        assert_eq!(read(mode.call(&mut service, post).await.unwrap()).await, "failure");
    }
}

/// Notes when it is dropped.
struct Held(Arc<AtomicU64>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Body for Held {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn f03_a_handled_answer_is_dropped() {
    for mode in Mode::ALL {
        let held = Arc::new(AtomicU64::new(0));
        let count = held.clone();
        let probe = Probe::new(move |_: Request<()>| {
            count.fetch_add(1, SeqCst);
            ready(Ok::<_, Infallible>(Response::builder().status(503).body(Held(count.clone())).unwrap()))
        });
        let mut service = layer().value(Response::new("instead")).layer(probe.clone());
        let response = mode.call(&mut service, || Request::new(())).await.unwrap();
        assert_eq!(held.load(SeqCst), 0, "before its place is taken");
        drop(response);

        // Nor is it held while something else is looked for.
        let seen = held.clone();
        let layer = layer().call(move |_| ready(Response::new(seen.load(SeqCst).to_string())));
        let response = mode.call(&mut layer.layer(probe), || Request::new(())).await.unwrap();
        assert_eq!(response.into_body().frame_now(), "0");
    }
}

/// A body that is there at once.
trait FrameNow {
    fn frame_now(self) -> String;
}

impl<B: Body<Data = Bytes>> FrameNow for B {
    fn frame_now(self) -> String {
        let mut body = Box::pin(self);
        match body.as_mut().poll_frame(&mut Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(Some(Ok(frame))) => String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap(),
            _ => panic!("no frame"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn f10_only_for_listed_kinds() {
    const OPEN: Reason = Reason::new("breaker", Kind::Unavailable, "open");
    const LATE: Reason = Reason::new("deadline", Kind::DeadlineExceeded, "deadline passed").reached();
    let refused = |reason: &'static Reason| {
        bartizan_http::answer(Refused::new(reason), bartizan_http::Form::Http).map(http_body_util::Full::new)
    };
    for mode in Mode::ALL {
        for (name, on, ought) in [
            ("listed", LISTED, ["404", "503", "429", "instead", "instead", "instead"]),
            ("default", FallbackOn::FAILURES, ["404", "instead", "instead", "instead", "instead", "instead"]),
            ("one status", FallbackOn::code(404), ["instead", "503", "429", "503", "504", "504"]),
        ] {
            let probe = Probe::new(|req: Request<u8>| {
                let plain =
                    |status: u16| Response::builder().status(status).body(Default::default()).unwrap();
                ready(Ok::<_, Infallible>(match req.into_body() {
                    0 => plain(404),
                    1 => plain(503),
                    2 => plain(429),
                    3 => refused(&OPEN),
                    4 => refused(&LATE),
                    _ => plain(504),
                }))
            });
            let layer = FallbackLayer::new(Fallback::new().on(on)).value(Response::new("instead"));
            let mut service = layer.layer(probe);
            for (n, ought) in (0..).zip(ought) {
                let response = mode.call(&mut service, || Request::new(n)).await.unwrap();
                let said = match response.extensions().get::<Degraded>() {
                    Some(_) => "instead".to_owned(),
                    None => response.status().as_str().to_owned(),
                };
                assert_eq!(said, ought, "{name}: {n}");
            }
        }
    }
}
