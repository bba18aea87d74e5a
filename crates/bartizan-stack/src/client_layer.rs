use crate::balanced::BalancedLayer;
use crate::client_handle::ClientHandle;
use crate::client_parts::Parts;
use crate::client_stack::ClientStack;
use crate::halves::{EndpointLayer, EndpointService, OuterLayer, OuterService};
use crate::host::Host;
use crate::misfit::Misfit;
use bartizan_balance::{BalanceService, Change, Member};
use bartizan_breaker::{BreakerLayer, BreakerService, Keyed};
use bartizan_core::Name;
use bartizan_deadline::DeadlineService;
use bartizan_http::http::Uri;
use bartizan_http::{Head, Http, HttpClassifier};
use futures_core::Stream;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use tower::Layer;

/// [`Layer`] that puts a [`ClientStack`] around an HTTP client. Its clones and its services share all that the layers inside know.
///
/// As it is, it goes around a client that is told by each request where it goes, and each host has a breaker of its own. With
/// [`members`](Self::members) or [`discover`](Self::discover) the calls are spread over several endpoints.
///
/// All layers are always in it, and one that is off passes everything on: so each can be switched while calls run.
#[derive(Clone, Debug)]
pub struct ClientLayer {
    parts: Arc<Parts>,
    outer: OuterLayer,
}

/// Service of a [`ClientLayer`], outside in: stale, deadline, retry, hedge, breaker, deadline of the attempt.
pub type ClientService<S> = OuterService<HostService<S>>;

/// What stands before each host.
pub type HostService<S> = BreakerService<DeadlineService<S>, Keyed<Host, HostOf, Http>>;

/// Finds whom a request goes to.
pub type HostOf = fn(&Head<'_>) -> Host;

impl ClientLayer {
    /// Creates a layer with a state of its own.
    ///
    /// # Panics
    ///
    /// If the parts of the stack do not [fit together](ClientStack::check); [`try_new`](Self::try_new) returns an error instead.
    #[must_use]
    #[track_caller]
    pub fn new(stack: ClientStack) -> Self {
        match Self::try_new(stack) {
            Ok(layer) => layer,
            Err(misfit) => panic!("{misfit}"),
        }
    }

    /// Creates a layer, as [`new`](Self::new) does.
    ///
    /// # Errors
    ///
    /// If the parts of the stack do not [fit together](ClientStack::check).
    pub fn try_new(stack: ClientStack) -> Result<Self, Misfit> {
        stack.check()?;
        let parts = Parts::new(stack);
        let outer = parts.outer.clone();
        Ok(Self { parts: Arc::new(parts), outer })
    }

    /// Names all layers inside, in refusals, events, metrics and the [registry](bartizan_core::registry); the attempt's deadline is
    /// `"name, attempt"`. The first name stays. To be said before members.
    #[must_use]
    pub fn named(self, name: impl Into<Name>) -> Self {
        self.parts.set_name(&name.into());
        self
    }

    /// Sets which requests may be repeated, by a retry or as a copy. Default: idempotent methods, and what says
    /// itself that it may be.
    #[must_use]
    pub fn repeat(mut self, rule: impl Fn(&Head<'_>) -> bool + Clone + Send + Sync + 'static) -> Self {
        self.outer.retry = self.outer.retry.repeat(rule.clone());
        self.outer.hedge = self.outer.hedge.repeat(rule);
        self
    }

    /// Adds to what tells the last good answers apart, as [`StaleLayer::key`](bartizan_fallback::StaleLayer::key) does: a tenant, a
    /// language.
    #[must_use]
    pub fn stale_key<K: Hash>(mut self, key: impl Fn(&Head<'_>) -> K + Send + Sync + 'static) -> Self {
        self.outer.stale = self.outer.stale.key(key);
        self
    }

    /// Spreads the calls over these: each a `Uri`, or a [`Member`] with weight, tier and zone. Host and port of a request give way to
    /// those of the endpoint; so with endpoints by `https` their certificates must name them.
    ///
    /// A tonic channel goes where it was made for, whatever a request says: over several of them it is [`balance`](Self::balance) instead.
    ///
    /// Of one alone, the breaker is that of a service, as no other takes what it refuses.
    #[must_use]
    pub fn members<T: Into<Member<Uri>>>(self, members: impl IntoIterator<Item = T>) -> BalancedLayer {
        let members: Vec<Member<Uri>> = members.into_iter().map(Into::into).collect();
        if members.len() > 1 {
            self.parts.spread();
        }
        self.balanced().members(members)
    }

    /// Spreads the calls over what a stream tells of, until it ends; an error of it changes nothing.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    #[track_caller]
    pub fn discover<D, E>(self, discovery: D) -> BalancedLayer
    where
        D: Stream<Item = Result<Change<Uri>, E>> + Send + 'static,
        E: fmt::Display,
    {
        self.parts.spread();
        self.balanced().discover(discovery)
    }

    fn balanced(self) -> BalancedLayer {
        let balance = self.parts.balance();
        BalancedLayer::new(self.parts, self.outer, balance)
    }

    /// The layers that come before a balancer, for one that is over services of its own, as over tonic's channels:
    ///
    /// ```
    /// # use bartizan_http::http::{Request, Response, Uri};
    /// # use std::convert::Infallible;
    /// # use tower::{Layer, ServiceExt, service_fn};
    /// # /// Stands for `AnyBody::new(Endpoint::from(url.clone()).connect_lazy(), tonic::body::Body::new)`.
    /// # fn channel(_: &Uri) -> impl tower::Service<Request<()>, Response = Response<String>, Error = Infallible, Future: Send> + Clone + Send + Sync + use<> {
    /// #     service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(String::new())) })
    /// # }
    /// use bartizan_stack::ClientLayer;
    ///
    /// let layer = ClientLayer::default().named("payment");
    /// let replicas = layer.balance(|url: &Uri| channel(url)).members([Uri::from_static("http://10.0.0.1:50051")]);
    /// let payment = layer.outer().layer(replicas);
    /// ```
    #[must_use]
    pub fn outer(&self) -> OuterLayer {
        let outer = self.outer.clone();
        // Nobody knows whether the layers of an endpoint are inside of it.
        OuterLayer { deadline: outer.deadline.outgoing(), ..outer }
    }

    /// The layers that an endpoint has for itself, inside of a balancer. Equal endpoints have one breaker.
    #[must_use]
    pub fn each(&self, endpoint: &Uri) -> EndpointLayer {
        self.parts.spread();
        self.parts.each.of(endpoint)
    }

    /// A balancer over services that are made for each endpoint, with the [layers](Self::each) around them that it has for itself. It is
    /// without members yet, and to be put into [`outer`](Self::outer).
    #[must_use]
    pub fn balance<S>(
        &self,
        make: impl Fn(&Uri) -> S + Send + Sync + 'static,
    ) -> BalanceService<Uri, EndpointService<S>>
    where
        S: Send + Sync + 'static,
    {
        self.parts.spread();
        let each = self.parts.each.clone();
        let make = move |endpoint: &Uri| each.of(endpoint).layer(make(endpoint));
        self.parts.steered(|value, name| {
            let balance = BalanceService::new(value, make);
            let balance = match name {
                Some(name) => balance.named(name),
                None => balance,
            };
            (balance.handle(), balance)
        })
    }

    /// Returns a handle, from which the stack is watched and changed.
    #[must_use]
    pub fn handle(&self) -> ClientHandle {
        ClientHandle(self.parts.clone())
    }
}

impl Default for ClientLayer {
    /// The layer of [`ClientStack::new`].
    fn default() -> Self {
        Self::new(ClientStack::new())
    }
}

impl<S> Layer<S> for ClientLayer {
    type Service = ClientService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let inner = self.parts.breaker.layer(self.parts.each.attempt.layer(inner));
        self.outer.layer(inner)
    }
}

/// A table, outside in.
impl fmt::Display for ClientLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.fmt(f)
    }
}

/// A layer of breakers, one for each host.
pub(crate) type HostBreaker = BreakerLayer<Keyed<Host, HostOf, Http>, HttpClassifier, Http>;
