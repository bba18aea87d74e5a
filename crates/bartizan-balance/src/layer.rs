use crate::balance::Balance;
use crate::fleet::Fleet;
use crate::handle::Handle;
use crate::pump;
use crate::reach::Through;
use crate::search::Ground;
use crate::service::BalanceService;
use crate::sight;
use crate::way::HttpWay;
use bartizan_core::{Change, Member, Name};
use bartizan_http::http::Uri;
use bartizan_http::{Head, HttpClassifier};
use futures_core::Stream;
use std::fmt;
use std::sync::Arc;
use tower::Layer;
use tower::layer::util::Identity;

/// [`Layer`] over one HTTP client that sends each call to one member of a set, by scheme and authority of its address. Its clones and
/// its services share the set.
pub struct BalanceLayer<L = Identity, C = HttpClassifier> {
    fleet: Arc<Fleet<Uri, L>>,
    way: HttpWay<C>,
}

impl BalanceLayer {
    /// Creates a layer without members.
    #[must_use]
    pub fn new(value: Balance) -> Self {
        let way = HttpWay { classify: HttpClassifier, hash: None };
        Self { fleet: Fleet::new(value, |_| Identity::new()), way }
    }

    /// Puts layers of its own around the client for each member: a breaker, the deadline of an attempt. `make` is called when a member comes.
    /// Comes first: name, members and handles that the layer had are not kept.
    #[must_use]
    pub fn each<L>(self, make: impl Fn(&Uri) -> L + Send + Sync + 'static) -> BalanceLayer<L>
    where
        L: Send + Sync + 'static,
    {
        let value = self.fleet.look(|book, _| book.value.clone());
        BalanceLayer { fleet: Fleet::new(value, make), way: self.way }
    }
}

impl<L, C> BalanceLayer<L, C> {
    /// Replaces the classifier. Default: [`HttpClassifier`].
    #[must_use]
    pub fn classify<D>(self, classify: D) -> BalanceLayer<L, D> {
        BalanceLayer { fleet: self.fleet, way: HttpWay { classify, hash: self.way.hash } }
    }

    /// Sets what a request's place on the ring of [`Choice::RingHash`](crate::Choice::RingHash) is made of. Default: path and query.
    #[must_use]
    pub fn hash(mut self, hash: impl Fn(&Head<'_>) -> u64 + Send + Sync + 'static) -> Self {
        self.way.hash = Some(Arc::new(hash));
        self
    }
}

impl<L: Send + Sync + 'static, C> BalanceLayer<L, C> {
    /// Names the balancer in its events and refusals, and registers it and its endpoints. The first name stays.
    #[must_use]
    pub fn named(self, name: impl Into<Name>) -> Self {
        sight::name(&self.fleet, name.into());
        self
    }

    /// Makes these the members. Those that were there before keep their state.
    #[must_use]
    pub fn members<T: Into<Member<Uri>>>(self, members: impl IntoIterator<Item = T>) -> Self {
        self.fleet.change(Change::set(members));
        self
    }

    /// Has the members be as a stream says, until it ends. A task polls it, which ends with the last clone, service and handle of the
    /// layer. An error of the stream is an event, and the members stay as they are.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn discover<D, E>(self, discovery: D) -> Self
    where
        D: Stream<Item = Result<Change<Uri>, E>> + Send + 'static,
        E: fmt::Display,
    {
        pump::spawn(&self.fleet, discovery);
        self
    }

    /// Returns a handle, from which the balancer is watched and steered.
    #[must_use]
    pub fn handle(&self) -> Handle<Uri> {
        Handle::new(self.fleet.clone())
    }
}

impl<S, L, C: Clone> Layer<S> for BalanceLayer<L, C> {
    type Service = BalanceService<Uri, L, Through<S>, HttpWay<C>>;

    fn layer(&self, inner: S) -> Self::Service {
        let (fleet, way) = (self.fleet.clone(), self.way.clone());
        BalanceService::over(Ground { fleet, reach: Through(inner), way })
    }
}

impl<L, C: Clone> Clone for BalanceLayer<L, C> {
    fn clone(&self) -> Self {
        Self { fleet: self.fleet.clone(), way: self.way.clone() }
    }
}

impl<L, C> fmt::Debug for BalanceLayer<L, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BalanceLayer").field("fleet", &self.fleet).finish_non_exhaustive()
    }
}
