//! Calls that are under way while the layer is switched off.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_retry::{Budget, Retry, RetryLayer};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
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
