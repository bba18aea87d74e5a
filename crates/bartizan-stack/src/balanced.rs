use crate::client_handle::ClientHandle;
use crate::client_parts::Parts;
use crate::halves::{EndpointLayer, OuterLayer, OuterService};
use bartizan_balance::{BalanceLayer, BalanceService, Change, Member, Through};
use bartizan_http::Head;
use bartizan_http::http::Uri;
use futures_core::Stream;
use std::fmt;
use std::sync::Arc;
use tower::Layer;

/// [`Layer`] that puts a [`ClientStack`](crate::ClientStack) around an HTTP client and spreads its calls over several endpoints, made by
/// [`ClientLayer::members`](crate::ClientLayer::members) and [`ClientLayer::discover`](crate::ClientLayer::discover). Its clones and its
/// services share all that the layers inside know.
#[derive(Clone, Debug)]
pub struct BalancedLayer {
    parts: Arc<Parts>,
    outer: OuterLayer,
    balance: BalanceLayer<EndpointLayer>,
}

/// Service of a [`BalancedLayer`], outside in: stale, deadline, retry, hedge, balance, and for each endpoint a breaker and the deadline of the
/// attempt.
pub type BalancedService<S> =
    OuterService<BalanceService<Uri, EndpointLayer, Through<S>, bartizan_balance::HttpWay>>;

impl BalancedLayer {
    pub(crate) const fn new(
        parts: Arc<Parts>,
        outer: OuterLayer,
        balance: BalanceLayer<EndpointLayer>,
    ) -> Self {
        Self { parts, outer, balance }
    }

    pub(crate) fn members(self, members: Vec<Member<Uri>>) -> Self {
        Self { balance: self.balance.members(members), ..self }
    }

    #[track_caller]
    pub(crate) fn discover<D, E>(self, discovery: D) -> Self
    where
        D: Stream<Item = Result<Change<Uri>, E>> + Send + 'static,
        E: fmt::Display,
    {
        Self { balance: self.balance.discover(discovery), ..self }
    }

    /// Sets what a request's place on the ring is made of, as [`BalanceLayer::hash`] does. Default: path and query.
    #[must_use]
    pub fn hash(self, hash: impl Fn(&Head<'_>) -> u64 + Send + Sync + 'static) -> Self {
        Self { balance: self.balance.hash(hash), ..self }
    }

    /// Returns a handle, from which the stack is watched and changed.
    #[must_use]
    pub fn handle(&self) -> ClientHandle {
        ClientHandle(self.parts.clone())
    }
}

impl<S> Layer<S> for BalancedLayer {
    type Service = BalancedService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        self.outer.layer(self.balance.layer(inner))
    }
}

/// A table, outside in.
impl fmt::Display for BalancedLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.fmt(f)
    }
}
