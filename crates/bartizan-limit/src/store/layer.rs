use super::Store;
use super::handle::SharedHandle;
use super::shared::Shared;
use crate::admit::{Keyed, Limiting, Shelved, Single};
use crate::handle::KeyedHandle;
use crate::layer::LimitLayer;
use crate::plain::Handle;
use crate::shelf::Shelf;
use bartizan_guard::{QueueGuard, QueueLayer};
use bartizan_http::{Http, HttpClassifier};
use tower_layer::Layer;

/// A [`LimitLayer`] whose buckets are kept in a [`Store`], made by [`LimitLayer::store`].
///
/// It is ready at once and reserves nothing; the inner service is cloned, and its clone made ready when the request is let through.
#[derive(Clone, Debug)]
pub struct SharedLimitLayer<B = Single, P = crate::One, C = HttpClassifier, M = Http> {
    guard: QueueLayer<Shared<B, P>, C, M>,
}

/// Service of a [`SharedLimitLayer`].
pub type SharedLimitService<S, B = Single, P = crate::One, C = HttpClassifier, M = Http> =
    QueueGuard<S, Shared<B, P>, C, M>;

impl<P, C, M> LimitLayer<Limiting<Single, P>, C, M> {
    /// Keeps the buckets in a store, so that several processes share the limit. To be said last.
    ///
    /// Processes share a bucket if their limits have the same [name](Self::named) and their requests the same key. What they share is
    /// made of the key by a hash that is the same everywhere (SipHash-2-4, 128 bits, no secret), so that the store does not hold the key
    /// itself. It stays the same for as long as the type of the key feeds the same bytes to its `Hash`. So give each limit a name before:
    /// those without one are the same limit to the store.
    ///
    /// - Who is known to be over the limit is refused at once, until the wait that the store told is over; others wait for one round trip.
    /// - Where the store gives no answer [in time](Store::time_out), the buckets of this process decide, each as wide as the whole limit.
    ///   Who has a [deadline](bartizan_core::Context) waits for half of what it leaves at most.
    /// - After three questions in a row without an answer the store is asked once a second only, and the other requests no longer wait for
    ///   it. An event tells when it goes, and when it is back.
    /// - A request that leaves while the store is asked may have taken its tokens.
    #[must_use]
    pub fn store(self, store: impl Store) -> SharedLimitLayer<Single, P, C, M> {
        keep(self, store)
    }
}

impl<K: 'static, F, P, C, M: 'static> LimitLayer<Limiting<Keyed<K, F, M>, P>, C, M>
where
    F: Clone + Send + Sync + 'static,
{
    /// Keeps the buckets in a store, as [`store`](LimitLayer::store) of one bucket does.
    #[must_use]
    pub fn store(self, store: impl Store) -> SharedLimitLayer<Keyed<K, F, M>, P, C, M> {
        keep(self, store)
    }
}

fn keep<B: Shelved, P, C, M>(
    layer: LimitLayer<Limiting<B, P>, C, M>,
    store: impl Store,
) -> SharedLimitLayer<B, P, C, M> {
    let guard = layer.guard.map_admit(|limiting| {
        let source = limiting.buckets.shelf().common().kept_in(store);
        Shared { limiting, source }
    });
    SharedLimitLayer { guard: guard.queued() }
}

impl<P, C, M> SharedLimitLayer<Single, P, C, M> {
    /// The handle of the limit in this process. An [`update`](Handle::update) of it is one of the limit; its other verbs do not reach the
    /// store.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle(self.guard.admit().limiting.buckets.0.clone())
    }
}

impl<K, F, P, C, M> SharedLimitLayer<Keyed<K, F, M>, P, C, M> {
    /// The handle of the limits.
    #[must_use]
    pub fn handle(&self) -> SharedHandle<K> {
        let shared = self.guard.admit();
        SharedHandle::new(KeyedHandle::of(shared.limiting.buckets.table.clone()), shared.source.clone())
    }
}

impl<B, P, C, M> SharedLimitLayer<B, P, C, M> {
    /// Whether the store is taken for gone: three questions in a row had no answer, and none has had one since.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.guard.admit().source.is_gone()
    }
}

impl<S, B: Clone, P: Clone, C: Clone, M> Layer<S> for SharedLimitLayer<B, P, C, M> {
    type Service = SharedLimitService<S, B, P, C, M>;

    fn layer(&self, inner: S) -> Self::Service {
        self.guard.layer(inner)
    }
}
