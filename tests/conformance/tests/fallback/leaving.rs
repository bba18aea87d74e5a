//! Rows F05 and F06: the caller leaves.

use crate::{get, http, layer, typed};
use bartizan_fallback::{Fallback, FallbackLayer, Reply};
use conformance::{Call, F, Mode, S, secs};
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::{Context, Waker};
use tower::{BoxError, Layer};

#[tokio::test(start_paused = true)]
async fn f05_caller_gone() {
    for mode in Mode::ALL {
        let ran = Arc::new(AtomicU64::new(0));
        let count = ran.clone();
        let layer = layer().call(move |_| {
            count.fetch_add(1, SeqCst);
            pending::<Reply>()
        });
        let (probe, handle) = (http(), layer.handle());
        let tally = probe.tally();
        let mut service = layer.layer(probe);
        let mut call = Box::pin(mode.start(&mut service, get(F.lasting(secs(1.0)))).await.unwrap());
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(call);
        tokio::time::advance(secs(2.0)).await;
        assert_eq!((ran.load(SeqCst), handle.snapshot().used), (0, 0));
        assert_eq!((tally.running(), tally.dropped()), (0, mode.calls()));
    }
}

#[tokio::test(start_paused = true)]
async fn f06_cancelled_inside() {
    /// Notes when it is dropped.
    struct Held(Arc<AtomicU64>);
    impl Drop for Held {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    for mode in Mode::ALL {
        let dropped = Arc::new(AtomicU64::new(0));
        let count = dropped.clone();
        let hang = move |_| {
            let held = Held(count.clone());
            async move {
                pending::<()>().await;
                drop(held);
                Ok::<&str, BoxError>("never")
            }
        };
        let layer = FallbackLayer::new(Fallback::new().max_in_flight(1)).typed(|_: &Call| true).call(hang);
        let (probe, handle) = (typed(), layer.handle());
        let tally = probe.tally();
        let mut service = layer.layer(probe);
        for n in 1..=3 {
            {
                let mut call = pin!(mode.start(&mut service, || F).await.unwrap());
                assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
                assert_eq!((handle.snapshot().in_flight, tally.running()), (1, 0));
            }
            let seen = handle.snapshot();
            assert_eq!(
                (seen.in_flight, dropped.load(SeqCst)),
                (0, n * mode.calls()),
                "its place is free again"
            );
            assert_eq!(seen.full, 0);
        }
        assert_eq!(mode.call(&mut service, || S).await.unwrap(), "success");
    }
}
