use crate::admit::{Keyed, Limiting, Single};
use crate::common::register;
use crate::handle::{KeyedHandle, with_max_keys};
use crate::keyed::Table;
use crate::limit::Limit;
use crate::plain::{Handle, Plain};
use crate::price::{Cost, Exempt, One};
use crate::shelf::Shelf;
use bartizan_core::registry::Observed;
use bartizan_core::{ErrorsFail, Name};
use bartizan_guard::{Guard, GuardLayer};
use bartizan_http::{Head, Http, HttpClassifier, Typed};
use std::hash::Hash;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::sync::Arc;
use tower_layer::Layer;

/// [`Layer`] that refuses requests over a [`Limit`].
///
/// Its clones and its services share one bucket, or one set of them with a [`key`](Self::key).
#[derive(Clone, Debug)]
pub struct LimitLayer<A = Limiting<Single>, C = HttpClassifier, M = Http> {
    pub(crate) guard: GuardLayer<A, C, M>,
}

/// Service of a [`LimitLayer`].
pub type LimitService<S, A = Limiting<Single>, C = HttpClassifier, M = Http> = Guard<S, A, C, M>;

/// Keys that have a bucket of their own, if not said otherwise: 100 000.
pub const DEFAULT_MAX_KEYS: usize = 100_000;

impl LimitLayer {
    /// Creates a layer with a full bucket of its own, in the HTTP flavour.
    #[must_use]
    pub fn new(limit: Limit) -> Self {
        let buckets = Single(Arc::new(Plain::new(limit)));
        Self { guard: GuardLayer::new(Limiting { buckets, price: One, announce: false }) }
    }
}

impl<C> LimitLayer<Limiting<Single>, C, Http> {
    /// Turns the layer into the typed flavour, for any request type: a refusal is returned as an error, through
    /// `S::Error: From<Refused>`. To be said before [`key`](Self::key), [`cost`](Self::cost) and [`exempt`](Self::exempt).
    #[must_use]
    pub fn typed(self) -> LimitLayer<Limiting<Single>, ErrorsFail, Typed> {
        LimitLayer { guard: self.guard.typed() }
    }
}

impl<P, C, M> LimitLayer<Limiting<Single, P>, C, M> {
    /// Names the limit in refusals, header fields, metrics and the registry. Default: no name, and not registered.
    ///
    /// A second name for the same limit changes nothing. A name that another layer alive has already is reported as an
    /// event; the two do not share their buckets.
    #[must_use]
    pub fn named(self, name: impl Into<Name>) -> Self {
        let plain = &self.guard.admit().buckets.0;
        if plain.common().set_name(name.into()) {
            register(&(plain.clone() as Arc<dyn Observed>));
        }
        self
    }

    /// The handle of the limit.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle(self.guard.admit().buckets.0.clone())
    }

    fn keyed<K, F>(self, key: F) -> LimitLayer<Limiting<Keyed<K, F, M>, P>, C, M> {
        self.map(|Limiting { buckets: Single(plain), price, announce }| {
            let (limit, name) = (plain.common().limit(), plain.common().name().cloned());
            // It leaves the registry, where the keys' buckets have its name from here on.
            drop(plain);
            let table = Arc::new(Table::new(limit, name, DEFAULT_MAX_KEYS));
            register(&(table.clone() as Arc<dyn Observed>));
            Limiting { buckets: Keyed { table, key, flavour: PhantomData }, price, announce }
        })
    }
}

impl<P, C> LimitLayer<Limiting<Single, P>, C, Http> {
    /// Gives each key a bucket of its own: one per tenant, token or route, say. For addresses there is [`address`](Self::address).
    ///
    /// At most [`DEFAULT_MAX_KEYS`] keys have one. Beyond, a new key takes the place of one whose bucket is full, and which so loses
    /// nothing; where there is none, new keys share one more bucket. Of a key its hash is kept, and not the key.
    ///
    /// The function returns what it owns: `head.headers.get("x-tenant").cloned()`, or `head.uri.path().to_owned()`. Requests without
    /// the header share the bucket of `None`.
    #[must_use]
    pub fn key<K, F>(self, key: F) -> LimitLayer<Limiting<Keyed<K, F, Http>, P>, C, Http>
    where
        K: Hash + 'static,
        F: Fn(&Head<'_>) -> K,
    {
        self.keyed(key)
    }
}

impl<P, C> LimitLayer<Limiting<Single, P>, C, Typed> {
    /// Gives each key a bucket of its own, as the HTTP flavour does. The closure's argument needs its type.
    #[must_use]
    pub fn key<Req, K, F>(self, key: F) -> LimitLayer<Limiting<Keyed<K, F, Typed>, P>, C, Typed>
    where
        K: Hash + 'static,
        F: Fn(&Req) -> K,
    {
        self.keyed(key)
    }
}

impl<K, F, P, C, M> LimitLayer<Limiting<Keyed<K, F, M>, P>, C, M> {
    /// Names the limits in refusals, header fields, metrics and the registry, as [`named`](LimitLayer::named) does for one.
    #[must_use]
    pub fn named(self, name: impl Into<Name>) -> Self {
        self.guard.admit().buckets.table.named(name.into());
        self
    }

    /// Sets how many keys have a bucket of their own. It begins anew: set it where the layer is made.
    #[must_use]
    pub fn max_keys(self, max_keys: NonZeroUsize) -> Self {
        self.map(|Limiting { buckets: Keyed { table, key, flavour }, price, announce }| {
            let table = with_max_keys(table, max_keys);
            Limiting { buckets: Keyed { table, key, flavour }, price, announce }
        })
    }

    /// The handle of the limits.
    #[must_use]
    pub fn handle(&self) -> KeyedHandle<K> {
        KeyedHandle::of(self.guard.admit().buckets.table.clone())
    }
}

impl<B, P, C> LimitLayer<Limiting<B, P>, C, Http> {
    /// Sets what a request costs, in tokens. One of cost zero passes and is not counted; one that costs more than the burst is
    /// refused for good. Default: 1.
    #[must_use]
    pub fn cost<F>(self, cost: F) -> LimitLayer<Limiting<B, Cost<F, Http>>, C, Http>
    where
        F: Fn(&Head<'_>) -> u32,
    {
        self.priced(|_| Cost { cost, flavour: PhantomData })
    }

    /// Lets requests through that the limit does not concern; they are not counted. To be said after [`cost`](Self::cost). Default:
    /// none, not even who asks how the server is: `|head| head.uri.path() == "/healthz"` lets that through.
    #[must_use]
    pub fn exempt<F>(self, exempt: F) -> LimitLayer<Limiting<B, Exempt<F, P, Http>>, C, Http>
    where
        F: Fn(&Head<'_>) -> bool,
    {
        self.priced(|price| Exempt { exempt, price, flavour: PhantomData })
    }
}

impl<B, P, C> LimitLayer<Limiting<B, P>, C, Typed> {
    /// Sets what a request costs, as the HTTP flavour does. The closure's argument needs its type.
    #[must_use]
    pub fn cost<Req, F>(self, cost: F) -> LimitLayer<Limiting<B, Cost<F, Typed>>, C, Typed>
    where
        F: Fn(&Req) -> u32,
    {
        self.priced(|_| Cost { cost, flavour: PhantomData })
    }

    /// Lets requests through that the limit does not concern, as the HTTP flavour does. The closure's argument needs its type.
    #[must_use]
    pub fn exempt<Req, F>(self, exempt: F) -> LimitLayer<Limiting<B, Exempt<F, P, Typed>>, C, Typed>
    where
        F: Fn(&Req) -> bool,
    {
        self.priced(|price| Exempt { exempt, price, flavour: PhantomData })
    }
}

impl<B, P, C, M> LimitLayer<Limiting<B, P>, C, M> {
    /// Tells every answer what is left, in the header fields `RateLimit` and `RateLimit-Policy`; refusals tell it in any case. It costs
    /// a few allocations a request. Default: off.
    #[must_use]
    pub fn announce(self, announce: bool) -> Self {
        self.map(|limiting| Limiting { announce, ..limiting })
    }

    fn priced<Q>(self, price: impl FnOnce(P) -> Q) -> LimitLayer<Limiting<B, Q>, C, M> {
        self.map(|old| Limiting { buckets: old.buckets, price: price(old.price), announce: old.announce })
    }
}

impl<A, C, M> LimitLayer<A, C, M> {
    /// Replaces the classifier. A limit does not care how a call ends; it matters to who reads the layer's type.
    #[must_use]
    pub fn classify<D>(self, classify: D) -> LimitLayer<A, D, M> {
        LimitLayer { guard: self.guard.classify(classify) }
    }

    pub(crate) fn map<B>(self, map: impl FnOnce(A) -> B) -> LimitLayer<B, C, M> {
        LimitLayer { guard: self.guard.map_admit(map) }
    }
}

impl<S, A: Clone, C: Clone, M> Layer<S> for LimitLayer<A, C, M> {
    type Service = LimitService<S, A, C, M>;

    fn layer(&self, inner: S) -> Self::Service {
        self.guard.layer(inner)
    }
}
