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
///
/// Which host a request names does not matter, as the member's takes its place; a path of the member's does not come before the
/// request's, and a header `Host` that the caller has set stays. Over `https` the member's certificate must name the member's host. Where
/// members are addresses, a [`BalanceService`] of clients that know the name does it.
///
/// ```
/// use bartizan_balance::{Balance, BalanceLayer};
/// use bartizan_breaker::{Breaker, BreakerLayer};
/// use http::Uri;
///
/// let layer = BalanceLayer::new(Balance::new())
///     // For several layers a tuple, or a `ServiceBuilder`: the first is the outermost.
///     .each(|uri| BreakerLayer::new(Breaker::new()).named(format!("product/{}", uri.host().unwrap_or_default())))
///     .named("product")
///     .members([Uri::from_static("http://10.0.0.1:8080"), Uri::from_static("http://10.0.0.2:8080")]);
/// assert_eq!(layer.handle().snapshot().usable, 2);
/// ```
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
    ///
    /// A name that it gives is shown by all that shows layers: make it of host and port. The whole address may have a password in it.
    ///
    /// # Panics
    ///
    /// If the layer has a name, members, a discovery, a handle or a clone already. They would be another set's, so it comes before them.
    #[must_use]
    #[track_caller]
    pub fn each<L>(self, make: impl Fn(&Uri) -> L + Send + Sync + 'static) -> BalanceLayer<L>
    where
        L: Send + Sync + 'static,
    {
        assert!(is_fresh(&self.fleet), "`each` comes before `named`, `members`, `discover` and `handle`");
        let value = self.fleet.look(|book, _| book.value.clone());
        BalanceLayer { fleet: Fleet::new(value, make), way: self.way }
    }
}

/// Whether nothing is in a set yet, and nobody has a part in it but who has made it. A set's only weak holder is then its own keeper.
fn is_fresh<L: Send + Sync + 'static>(fleet: &Arc<Fleet<Uri, L>>) -> bool {
    let alone = Arc::strong_count(fleet) == 1 && Arc::weak_count(fleet) == 1;
    alone && fleet.name().is_none() && fleet.set.load().entries.is_empty()
}

impl<L, C> BalanceLayer<L, C> {
    /// Replaces the classifier. Default: [`HttpClassifier`].
    #[must_use]
    pub fn classify<D>(self, classify: D) -> BalanceLayer<L, D> {
        BalanceLayer { fleet: self.fleet, way: HttpWay { classify, hash: self.way.hash } }
    }

    /// Sets what a request's place on the ring of [`Choice::RingHash`](crate::Choice::RingHash) is made of. Other choices do not ask.
    /// Default: path and query.
    ///
    /// ```
    /// use bartizan_balance::{Balance, BalanceLayer, Choice};
    /// use std::hash::{DefaultHasher, Hash, Hasher};
    ///
    /// // The calls of one user go to one server; processes agree on which, as this hasher has no key.
    /// let layer = BalanceLayer::new(Balance::new().choice(Choice::ring_hash())).hash(|head| {
    ///     let mut hasher = DefaultHasher::new();
    ///     head.headers.get("x-user").hash(&mut hasher);
    ///     hasher.finish()
    /// });
    /// ```
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

    /// Makes these the members: each a `Uri`, or a [`Member`] with weight, tier and zone. Those that were there before keep their state.
    #[must_use]
    pub fn members<T: Into<Member<Uri>>>(self, members: impl IntoIterator<Item = T>) -> Self {
        self.fleet.change(Change::set(members));
        self
    }

    /// Has the members be as a stream says, until it ends. A task polls it, which ends with the last clone, service and handle of the
    /// layer. An error of the stream is an event, and the members stay as they are.
    ///
    /// Calls that come before its first set are refused, unless they may [wait](Balance::wait_for_endpoints).
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    #[track_caller]
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

#[cfg(test)]
mod tests {
    use super::*;

    fn layer() -> BalanceLayer {
        BalanceLayer::new(Balance::new())
    }

    #[test]
    fn layers_for_each_come_first() {
        let each = layer()
            .each(|_| Identity::new())
            .named("layers_for_each")
            .members([Uri::from_static("http://a")]);
        assert_eq!(each.handle().snapshot().usable, 1);
    }

    #[test]
    #[should_panic(expected = "comes before")]
    fn members_before_layers_for_each_are_not_lost_in_silence() {
        let _ = layer().members([Uri::from_static("http://a")]).each(|_| Identity::new());
    }

    #[test]
    #[should_panic(expected = "comes before")]
    fn nor_is_a_name() {
        let _ = layer().named("lost").each(|_| Identity::new());
    }

    #[test]
    #[should_panic(expected = "comes before")]
    fn nor_is_a_handle() {
        let layer = layer();
        let _handle = layer.handle();
        let _ = layer.each(|_| Identity::new());
    }

    #[tokio::test]
    #[should_panic(expected = "comes before")]
    async fn nor_is_a_discovery() {
        let _ = layer().discover(tokio_stream::pending::<Result<_, &str>>()).each(|_| Identity::new());
    }
}
