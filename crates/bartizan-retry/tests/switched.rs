//! What is not sent again: calls of a layer that was switched off, and uploads that break off.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_retry::{Budget, Retry, RetryLayer};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;
use tower::{Layer, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_call_that_fails_after_the_layer_was_switched_off_is_not_sent_again() {
    let value = || Retry::new().budget(Budget::new().persistence(1.0).min_tokens(100));
    let layer = RetryLayer::new(value()).typed(|req: &u32| Some(*req));
    let (handle, calls) = (layer.handle(), Arc::new(AtomicU32::new(0)));
    let inner = service_fn({
        let calls = calls.clone();
        move |_: u32| {
            calls.fetch_add(1, Relaxed);
            async {
                tokio::time::sleep(SECOND).await;
                Err::<u32, _>(io::Error::other("down"))
            }
        }
    });
    let call = tokio::spawn(layer.layer(inner).oneshot(7));
    tokio::time::sleep(SECOND / 2).await;
    handle.update(value().enabled(false));
    assert_eq!(call.await.unwrap().unwrap_err().to_string(), "down");
    assert_eq!(calls.load(Relaxed), 1);
}

/// An upload that breaks off on its way.
struct Torn;

impl http_body::Body for Torn {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Poll::Ready(Some(Err(io::Error::other("the caller has left"))))
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_whose_upload_breaks_off_costs_nobody_anything() {
    type BoxError = Box<dyn std::error::Error + Send + Sync>;
    let calls = Arc::new(AtomicU32::new(0));
    let counted = calls.clone();
    let inner = service_fn(move |req: Request<bartizan_http::Replay<Torn>>| {
        counted.fetch_add(1, Relaxed);
        async move {
            req.into_body().collect().await?;
            Ok::<_, BoxError>(Response::new(String::new()))
        }
    });
    let layer = RetryLayer::new(Retry::new());
    let handle = layer.handle();
    let upload = Request::put("/").body(Torn).unwrap();
    assert!(layer.layer(inner).oneshot(upload).await.is_err());
    assert_eq!(calls.load(Relaxed), 1);
    let purse = handle.purse().snapshot();
    assert_eq!((purse.failures_in_a_row, purse.tokens), (0, 5.0));
}
