use crate::error::BoxError;
use crate::{Heartbeats, Probe, place};
use bartizan_core::{Health, Instant};
use futures_util::FutureExt;
use http::Uri;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{sleep_until, timeout};

/// What a heartbeat of a member has shown.
pub(crate) struct Beat {
    pub(crate) key: Uri,
    pub(crate) health: Health,
    /// Why it is down.
    pub(crate) cause: Option<BoxError>,
}

/// A member's turn: it waits until the member is to be asked, and asks. Nothing comes out if the member leaves meanwhile.
pub(crate) struct Turn {
    left: oneshot::Receiver<()>,
    beat: Pin<Box<dyn Future<Output = Beat> + Send>>,
}

impl Turn {
    pub(crate) fn new<P: Probe>(
        key: Uri,
        left: oneshot::Receiver<()>,
        (due, time_out): (Instant, Duration),
        probe: P,
        at: Uri,
    ) -> Self {
        let beat = async move {
            sleep_until(due).await;
            // A probe that panics is no reason to lose all the others.
            let asked = AssertUnwindSafe(async move { probe.probe(at).await }).catch_unwind();
            let asked = asked.map(|said| said.unwrap_or_else(|_| Err(BoxError::from("its probe panicked"))));
            let (health, cause) = judge(timeout(time_out, asked).await.ok());
            Beat { key, health, cause }
        };
        Self { left, beat: Box::pin(beat) }
    }
}

/// What an answer says. None: there was none in time.
fn judge(answer: Option<Result<Health, BoxError>>) -> (Health, Option<BoxError>) {
    match answer {
        Some(Ok(health)) => (health, None),
        Some(Err(cause)) => (Health::Down, Some(cause)),
        None => (Health::Down, Some(BoxError::from("no answer in time"))),
    }
}

impl Future for Turn {
    type Output = Option<Beat>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Beat>> {
        if Pin::new(&mut self.left).poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        self.beat.as_mut().poll(cx).map(Some)
    }
}

impl<P> Heartbeats<P> {
    /// Where a member is asked.
    pub(crate) fn at(&self, member: &Uri) -> Uri {
        self.port
            .and_then(|port| place::authority(place::host(member), Some(port)))
            .and_then(|authority| place::moved(member, authority))
            .unwrap_or_else(|| member.clone())
    }
}
