use crate::admit::Policy;
use crate::asks::{Asks, By, KeyBy, Keyed};
use crate::backlog::Backlog;
use crate::event;
use crate::handle::Handle;
use crate::shared::Shared;
use crate::shares::{Classes, Shares};
use crate::shed::Shed;
use crate::waiting::Waiting;
use bartizan_core::registry::{Observed, register};
use bartizan_core::{ErrorsFail, Name, Priority};
use bartizan_guard::{Guard, GuardLayer, QueueGuard, QueueLayer};
use bartizan_http::{Head, Http, HttpClassifier, Typed};
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::Arc;
use tower_layer::Layer;

/// [`Layer`] that refuses requests while there are too many of them.
///
/// Its clones and its services share one limit, and what is known of those in flight.
#[derive(Clone, Debug)]
pub struct ShedLayer<A = Asks, C = HttpClassifier, M = Http> {
    pub(crate) guard: GuardLayer<Policy<A, M>, C, M>,
}

/// Service of a [`ShedLayer`].
pub type ShedService<S, A = Asks, C = HttpClassifier, M = Http> = Guard<S, Policy<A, M>, C, M>;

impl ShedLayer {
    /// Creates a layer with a limit of its own, in the HTTP flavour. There `/healthz`, `/readyz`, `/livez`, `/metrics` and
    /// `/grpc.health.v1.Health/…` always pass, and are not counted.
    #[must_use]
    pub fn new(shed: Shed) -> Self {
        let shared = Arc::new(Shared::new(&shed));
        Self { guard: GuardLayer::new(Policy { shared, asks: Asks::default(), flavour: PhantomData }) }
    }
}

impl<C> ShedLayer<Asks, C, Http> {
    /// Turns the layer into the typed flavour, for any request type: a refusal is returned as an error, through
    /// `S::Error: From<Refused>`. To be said before functions are given.
    #[must_use]
    pub fn typed(self) -> ShedLayer<Asks, ErrorsFail, Typed> {
        let shared = self.guard.admit().shared.clone();
        let policy = Policy { shared, asks: Asks::default(), flavour: PhantomData };
        // The HTTP flavour of the policy has no use for a request of another type.
        ShedLayer { guard: GuardLayer::new(()).typed().map_admit(|()| policy) }
    }
}

impl<A, C, M> ShedLayer<A, C, M> {
    /// Names the layer in events, refusals, metrics and the registry. Default: no name, and not registered.
    ///
    /// A second name changes nothing. A name that another layer alive has already is reported as an event; the two do not share
    /// their state.
    #[must_use]
    pub fn named(self, name: impl Into<Name>) -> Self {
        set_name(&self.guard.admit().shared, name.into());
        self
    }

    /// Replaces the classifier, which judges every answer. Default: [`HttpClassifier`], for the typed flavour [`ErrorsFail`].
    #[must_use]
    pub fn classify<D>(self, classify: D) -> ShedLayer<A, D, M> {
        ShedLayer { guard: self.guard.classify(classify) }
    }

    /// Lets requests that find no place wait for one, in a queue of bounded length. To be said last of what changes the layer's
    /// type; the service needs `Clone`.
    ///
    /// The layer is then always ready, and a request that has its turn waits for the service to be ready.
    #[must_use]
    pub fn backlog(self, backlog: Backlog) -> BacklogLayer<A, C, M> {
        self.guard.admit().shared.set_waiting(Waiting::new(backlog));
        BacklogLayer { guard: self.guard.queued() }
    }

    /// The handle of the layer.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle(self.guard.admit().shared.clone())
    }

    /// What the layer is set to.
    #[must_use]
    pub fn value(&self) -> Shed {
        self.guard.admit().shared.value()
    }

    fn map_asks<B>(self, map: impl FnOnce(A) -> B) -> ShedLayer<B, C, M> {
        let map = |policy: Policy<A, M>| Policy {
            shared: policy.shared,
            asks: map(policy.asks),
            flavour: PhantomData,
        };
        ShedLayer { guard: self.guard.map_admit(map) }
    }
}

impl<P, K, G, X, C, M> ShedLayer<Asks<P, K, G, X>, C, M> {
    fn key_by<F, T>(self, function: F) -> ShedLayer<Keyed<P, F, T, G, X>, C, M> {
        let salt = self.guard.admit().shared.watch_keys();
        let key = KeyBy { function, salt, key: PhantomData };
        self.map_asks(|asks| Asks { priority: asks.priority, key, class: asks.class, exempt: asks.exempt })
    }

    fn priority_by<F>(self, priority: F) -> ShedLayer<Asks<By<F>, K, G, X>, C, M> {
        let priority = By(priority);
        self.map_asks(|asks| Asks { priority, key: asks.key, class: asks.class, exempt: asks.exempt })
    }

    fn class_by<F>(self, class: F, shares: Shares) -> ShedLayer<Asks<P, K, By<F>, X>, C, M> {
        self.guard.admit().shared.set_classes(Classes::new(shares));
        let class = By(class);
        self.map_asks(|asks| Asks { priority: asks.priority, key: asks.key, class, exempt: asks.exempt })
    }

    fn exempt_by<F>(self, exempt: F) -> ShedLayer<Asks<P, K, G, By<F>>, C, M> {
        let exempt = By(exempt);
        self.map_asks(|asks| Asks { priority: asks.priority, key: asks.key, class: asks.class, exempt })
    }
}

impl<P, K, G, X, C> ShedLayer<Asks<P, K, G, X>, C, Http> {
    /// Sets the function that finds a request's priority. Default: a [`Priority`] in the extensions; else that of the
    /// [`Context`](bartizan_core::Context), which the header `x-request-priority` may lower, or at a
    /// [trusted edge](Shed::trusted_edge) set.
    #[must_use]
    pub fn priority<F>(self, priority: F) -> ShedLayer<Asks<By<F>, K, G, X>, C, Http>
    where
        F: Fn(&Head<'_>) -> Priority,
    {
        self.priority_by(priority)
    }

    /// Shares what there is between keys of one priority: while the layer sheds, a key that has more in flight than the mean of those that
    /// have any is refused before the others of its level. Keys are counted in 1024 buckets, and move between them now and then;
    /// those that fall into one are one. The function returns what it owns, a clone of a header say. Default: no keys.
    #[must_use]
    pub fn fair_by<T, F>(self, key: F) -> ShedLayer<Keyed<P, F, T, G, X>, C, Http>
    where
        T: Hash,
        F: Fn(&Head<'_>) -> T,
    {
        self.key_by(key)
    }

    /// Gives each class of requests a share of the limit; the function says which class, from 0 on. Default: no classes.
    #[must_use]
    pub fn class<F>(self, class: F, shares: Shares) -> ShedLayer<Asks<P, K, By<F>, X>, C, Http>
    where
        F: Fn(&Head<'_>) -> usize,
    {
        self.class_by(class, shares)
    }

    /// Sets the function that says which requests always pass, and are not counted, beside those that ask how the server is. For
    /// streams that may never end see [`count_bodies`](Shed::count_bodies) as well. Default: no others.
    #[must_use]
    pub fn exempt<F>(self, exempt: F) -> ShedLayer<Asks<P, K, G, By<F>>, C, Http>
    where
        F: Fn(&Head<'_>) -> bool,
    {
        self.exempt_by(exempt)
    }
}

impl<P, K, G, X, C> ShedLayer<Asks<P, K, G, X>, C, Typed> {
    /// Sets the function that finds a request's priority; its argument needs its type. Default: that of the ambient
    /// [`Context`](bartizan_core::Context).
    #[must_use]
    pub fn priority<Req, F>(self, priority: F) -> ShedLayer<Asks<By<F>, K, G, X>, C, Typed>
    where
        F: Fn(&Req) -> Priority,
    {
        self.priority_by(priority)
    }

    /// Shares what there is between keys of one priority, as the HTTP flavour does. The closure's argument needs its type.
    #[must_use]
    pub fn fair_by<Req, T, F>(self, key: F) -> ShedLayer<Keyed<P, F, T, G, X>, C, Typed>
    where
        T: Hash,
        F: Fn(&Req) -> T,
    {
        self.key_by(key)
    }

    /// Gives each class of requests a share of the limit, as the HTTP flavour does. The closure's argument needs its type.
    #[must_use]
    pub fn class<Req, F>(self, class: F, shares: Shares) -> ShedLayer<Asks<P, K, By<F>, X>, C, Typed>
    where
        F: Fn(&Req) -> usize,
    {
        self.class_by(class, shares)
    }

    /// Sets the function that says which requests always pass, and are not counted. The closure's argument needs its type. Default: none.
    #[must_use]
    pub fn exempt<Req, F>(self, exempt: F) -> ShedLayer<Asks<P, K, G, By<F>>, C, Typed>
    where
        F: Fn(&Req) -> bool,
    {
        self.exempt_by(exempt)
    }
}

fn set_name(shared: &Arc<Shared>, name: Name) {
    if shared.set_name(name) {
        let observed: Arc<dyn Observed> = shared.clone();
        if !register(&observed) {
            event::tell_twin(observed.name());
        }
    }
}

/// [`Layer`] that lets requests wait while there are too many of them, and refuses those who would wait in vain; made by
/// [`ShedLayer::backlog`]. Its clones and its services share one limit and one queue.
#[derive(Clone, Debug)]
pub struct BacklogLayer<A = Asks, C = HttpClassifier, M = Http> {
    guard: QueueLayer<Policy<A, M>, C, M>,
}

/// Service of a [`BacklogLayer`].
pub type BacklogService<S, A = Asks, C = HttpClassifier, M = Http> = QueueGuard<S, Policy<A, M>, C, M>;

impl<A, C, M> BacklogLayer<A, C, M> {
    /// Names the layer, as [`ShedLayer::named`] does.
    #[must_use]
    pub fn named(self, name: impl Into<Name>) -> Self {
        set_name(&self.guard.admit().shared, name.into());
        self
    }

    /// Replaces the classifier, as [`ShedLayer::classify`] does.
    #[must_use]
    pub fn classify<D>(self, classify: D) -> BacklogLayer<A, D, M> {
        BacklogLayer { guard: self.guard.classify(classify) }
    }

    /// The handle of the layer.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle(self.guard.admit().shared.clone())
    }

    /// What the layer is set to.
    #[must_use]
    pub fn value(&self) -> Shed {
        self.guard.admit().shared.value()
    }
}

impl<S, A: Clone, C: Clone, M> Layer<S> for BacklogLayer<A, C, M> {
    type Service = BacklogService<S, A, C, M>;

    fn layer(&self, inner: S) -> Self::Service {
        self.guard.layer(inner)
    }
}

impl<S, A: Clone, C: Clone, M> Layer<S> for ShedLayer<A, C, M> {
    type Service = ShedService<S, A, C, M>;

    fn layer(&self, inner: S) -> Self::Service {
        self.guard.layer(inner)
    }
}
