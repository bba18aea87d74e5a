use crate::misfit::Misfit;
use crate::server_handle::{Parts, ServerHandle};
use crate::server_stack::ServerStack;
use bartizan_core::{Name, Priority};
use bartizan_deadline::{DeadlineLayer, DeadlineService};
use bartizan_http::{Head, Http};
use bartizan_limit::{
    Address, Exempt, Keyed, KeyedHandle, LimitLayer, LimitService, Limiting, Single, Subnet,
};
use bartizan_shed::asks::{Asks, By};
use bartizan_shed::{ShedLayer, ShedService};
use std::fmt;
use std::hash::Hash;
use std::net::SocketAddr;
use std::sync::Arc;
use tower::Layer;

/// [`Layer`] that puts a [`ServerStack`] before a server: an axum router or route, a tonic server. Its clones and its services share
/// all that the layers inside know.
///
/// All layers are always in it, and one that is off passes everything on: so each can be switched while requests run.
#[derive(Clone, Debug)]
pub struct ServerLayer<L = Limiting<Single>, A = Asks> {
    parts: Arc<Parts>,
    deadline: DeadlineLayer,
    limit: LimitLayer<L>,
    shed: ShedLayer<A>,
}

/// Service of a [`ServerLayer`], outside in: deadline, limit, shed.
pub type ServerService<S, L = Limiting<Single>, A = Asks> =
    DeadlineService<LimitService<ShedService<S, A>, L>>;

impl ServerLayer {
    /// Creates a layer with a state of its own.
    ///
    /// # Panics
    ///
    /// If the parts of the stack do not [fit together](ServerStack::check); [`try_new`](Self::try_new) returns an error instead.
    #[must_use]
    #[track_caller]
    pub fn new(stack: ServerStack) -> Self {
        match Self::try_new(stack) {
            Ok(layer) => layer,
            Err(misfit) => panic!("{misfit}"),
        }
    }

    /// Creates a layer, as [`new`](Self::new) does.
    ///
    /// # Errors
    ///
    /// If the parts of the stack do not [fit together](ServerStack::check).
    pub fn try_new(stack: ServerStack) -> Result<Self, Misfit> {
        stack.check()?;
        let deadline = DeadlineLayer::new(*stack.deadline_value());
        let limit = LimitLayer::new(stack.limit_or_none());
        let shed = ShedLayer::new(*stack.shed_value());
        let parts = Arc::new(Parts::new(stack, deadline.clone(), limit.handle(), shed.handle()));
        Ok(Self { parts, deadline, limit, shed })
    }
}

impl Default for ServerLayer {
    /// The layer of [`ServerStack::new`].
    fn default() -> Self {
        Self::new(ServerStack::new())
    }
}

impl<P, A> ServerLayer<Limiting<Single, P>, A> {
    /// Names all layers inside, in refusals, events, metrics and the [registry](bartizan_core::registry). The first name stays.
    #[must_use]
    pub fn named(self, name: impl Into<Name>) -> Self {
        self.name(name.into(), LimitLayer::<Limiting<Single, P>>::named)
    }

    /// Gives each key a bucket of its own, as [`LimitLayer::key`] does: a tenant, a token, a user. Where the stack has no limit, it is
    /// switched on by an [update](ServerHandle::update). It begins anew: say it where the layer is made.
    #[must_use]
    pub fn limit_by<K, F>(self, key: F) -> ServerLayer<Limiting<Keyed<K, F, Http>, P>, A>
    where
        K: Hash + 'static,
        F: Fn(&Head<'_>) -> K,
    {
        let Self { parts, deadline, limit, shed } = self;
        let limit = limit.key(key);
        parts.set_limit(Arc::new(limit.handle()));
        ServerLayer { parts, deadline, limit, shed }
    }

    /// Gives each client a bucket of its own, by its [`Address`].
    #[must_use]
    #[allow(clippy::type_complexity, reason = "an alias cannot hold a closure's type")]
    pub fn address<F>(
        self,
        address: Address<F>,
    ) -> ServerLayer<
        Limiting<Keyed<Subnet, impl Fn(&Head<'_>) -> Subnet + Clone + Send + Sync + 'static, Http>, P>,
        A,
    >
    where
        F: Fn(&Head<'_>) -> Option<SocketAddr> + Clone + Send + Sync + 'static,
    {
        self.limit_by(move |head: &Head<'_>| address.of(head))
    }
}

impl<K, F, P, A> ServerLayer<Limiting<Keyed<K, F, Http>, P>, A> {
    /// Names all layers inside, as [`named`](ServerLayer::named) does where there are no keys.
    #[must_use]
    pub fn named(self, name: impl Into<Name>) -> Self {
        self.name(name.into(), LimitLayer::<Limiting<Keyed<K, F, Http>, P>>::named)
    }

    /// The handle of the limits, one for each key.
    #[must_use]
    pub fn limits(&self) -> KeyedHandle<K> {
        self.limit.handle()
    }
}

impl<L, P, K, G, X> ServerLayer<L, Asks<P, K, G, X>> {
    /// Sets the function that finds how much a request matters when too many are in flight, as [`ShedLayer::priority`] does.
    #[must_use]
    pub fn priority<F>(self, priority: F) -> ServerLayer<L, Asks<By<F>, K, G, X>>
    where
        F: Fn(&Head<'_>) -> Priority,
    {
        let Self { parts, deadline, limit, shed } = self;
        ServerLayer { parts, deadline, limit, shed: shed.priority(priority) }
    }
}

impl<B, P, Q, K, G, X> ServerLayer<Limiting<B, P>, Asks<Q, K, G, X>> {
    /// Lets requests through that neither the limit nor the number of those in flight concerns; they are not counted. Their deadline
    /// stays. Default: none, but who asks how the server is passes what sheds.
    #[must_use]
    #[allow(clippy::type_complexity, reason = "an alias cannot hold a closure's type")]
    pub fn exempt<F>(self, exempt: F) -> ServerLayer<Limiting<B, Exempt<F, P, Http>>, Asks<Q, K, G, By<F>>>
    where
        F: Fn(&Head<'_>) -> bool + Clone,
    {
        let Self { parts, deadline, limit, shed } = self;
        let limit = limit.exempt(exempt.clone());
        ServerLayer { parts, deadline, limit, shed: shed.exempt(exempt) }
    }
}

impl<L, A> ServerLayer<L, A> {
    /// Returns a handle, from which the stack is watched and changed.
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        ServerHandle(self.parts.clone())
    }

    fn name(self, name: Name, limit: fn(LimitLayer<L>, Name) -> LimitLayer<L>) -> Self {
        let Self { parts, deadline, limit: old, shed } = self;
        parts.set_name(name.clone());
        let (deadline, shed) = (deadline.named(name.clone()), shed.named(name.clone()));
        Self { parts, deadline, limit: limit(old, name), shed }
    }
}

impl<S, L: Clone, A: Clone> Layer<S> for ServerLayer<L, A> {
    type Service = ServerService<S, L, A>;

    fn layer(&self, inner: S) -> Self::Service {
        self.deadline.layer(self.limit.layer(self.shed.layer(inner)))
    }
}

/// A table, outside in.
impl<L, A> fmt::Display for ServerLayer<L, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.fmt(f)
    }
}
