use super::Waiting;
use crate::admit::{Keyed, Limiting, Single};
use crate::handle::KeyedHandle;
use crate::layer::LimitLayer;
use crate::line::Terms;
use crate::plain::Handle;
use crate::price::One;
use bartizan_guard::{QueueGuard, QueueLayer};
use bartizan_http::{Http, HttpClassifier};
use std::time::Duration;
use tower_layer::Layer;

/// A [`LimitLayer`] under which requests wait for their tokens, made by [`LimitLayer::waiting`].
///
/// It is ready at once and reserves nothing; the inner service is cloned, and its clone made ready when the request is let through.
#[derive(Clone, Debug)]
pub struct WaitingLayer<B = Single, P = One, C = HttpClassifier, M = Http> {
    guard: QueueLayer<Waiting<B, P>, C, M>,
}

/// Service of a [`WaitingLayer`].
pub type WaitingService<S, B = Single, P = One, C = HttpClassifier, M = Http> =
    QueueGuard<S, Waiting<B, P>, C, M>;

impl<B, P, C, M> LimitLayer<Limiting<B, P>, C, M> {
    /// Lets a request over the limit wait for its tokens instead of refusing it. To be said last.
    ///
    /// - Each key has a line of its own, first come, first served; who waits has taken nothing. One who leaves costs nobody anything.
    /// - A request that would wait longer than `max_wait`, or beyond its own deadline, is refused at once, with the reason `would wait
    ///   too long`; one that finds `max_waiting` others waiting, over all keys, with `too many waiting`. Zero of either: nobody waits.
    /// - `max_wait` is judged when the request comes. Where the limit is changed or drained meanwhile, or where timers are late (by up to
    ///   a millisecond for each one ahead), it may be longer; after twice as long it is refused.
    #[must_use]
    pub fn waiting(self, max_wait: Duration, max_waiting: usize) -> WaitingLayer<B, P, C, M> {
        let terms = Terms { max_wait, max_waiting };
        WaitingLayer { guard: self.guard.map_admit(|limiting| Waiting { limiting, terms }).queued() }
    }
}

impl<P, C, M> WaitingLayer<Single, P, C, M> {
    /// The handle of the limit. What it takes, it takes past those who wait.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle(self.guard.admit().limiting.buckets.0.clone())
    }
}

impl<K, F, P, C, M> WaitingLayer<Keyed<K, F, M>, P, C, M> {
    /// The handle of the limits. What it takes, it takes past those who wait.
    #[must_use]
    pub fn handle(&self) -> KeyedHandle<K> {
        KeyedHandle::of(self.guard.admit().limiting.buckets.table.clone())
    }
}

impl<S, B: Clone, P: Clone, C: Clone, M> Layer<S> for WaitingLayer<B, P, C, M> {
    type Service = WaitingService<S, B, P, C, M>;

    fn layer(&self, inner: S) -> Self::Service {
        self.guard.layer(inner)
    }
}
