use crate::balance::Balance;
use crate::fleet::{Fleet, Key};
use crate::future::ResponseFuture;
use crate::handle::Handle;
use crate::pump;
use crate::reach::{Own, Reach};
use crate::search::Ground;
use crate::sight;
use crate::way::{HttpWay, NoHash, TypedWay, Way};
use bartizan_core::{Change, ErrorsFail, Member, Name};
use bartizan_http::{Head, HttpClassifier};
use futures_core::Stream;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::Service;

/// Service that sends each call to one member of a set. It is always ready; clones share the set.
///
/// It is made of services of your own, one for each member, such as tonic's channels or stacks that end in them; a
/// [`BalanceLayer`](crate::BalanceLayer) makes one over a single client.
pub struct BalanceService<K, M, R = Own, W = HttpWay> {
    ground: Ground<K, M, R, W>,
}

impl<K: Key, S: Send + Sync + 'static> BalanceService<K, S> {
    /// Creates a balancer in the HTTP flavour, without members. `make` makes the service of a member when it comes, and again when its
    /// `poll_ready` has failed.
    #[must_use]
    pub fn new(value: Balance, make: impl Fn(&K) -> S + Send + Sync + 'static) -> Self {
        let way = HttpWay { classify: HttpClassifier, hash: None };
        Self { ground: Ground { fleet: Fleet::new(value, make), reach: Own, way } }
    }

    /// Turns it into the typed flavour, for requests of any type: errors are failures, every `Ok` is good, and a refusal is an error
    /// made of a [`Refused`](bartizan_core::Refused), for which the services' error must be `From<Refused>`.
    ///
    /// ```
    /// use bartizan_balance::{Balance, BalanceService};
    /// use bartizan_core::Refused;
    /// use tower::{ServiceExt, service_fn};
    ///
    /// #[derive(Debug)]
    /// enum Error {
    ///     Database(String),
    ///     Refused(Refused),
    /// }
    /// impl From<Refused> for Error {
    ///     fn from(refused: Refused) -> Self {
    ///         Self::Refused(refused)
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// let replicas = BalanceService::new(Balance::new(), |replica: &u8| {
    ///     let replica = *replica;
    ///     service_fn(move |query: String| async move { Ok::<_, Error>(format!("{query} on {replica}")) })
    /// })
    /// .typed()
    /// .members([1, 2]);
    /// replicas.handle().drain(&1);
    /// assert_eq!(replicas.oneshot("select".to_owned()).await?, "select on 2");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn typed(self) -> BalanceService<K, S, Own, TypedWay> {
        self.with(TypedWay { classify: ErrorsFail, hash: NoHash })
    }
}

impl<K, M, R, C> BalanceService<K, M, R, HttpWay<C>> {
    /// Replaces the classifier. Default: [`HttpClassifier`].
    #[must_use]
    pub fn classify<D>(self, classify: D) -> BalanceService<K, M, R, HttpWay<D>> {
        let hash = self.ground.way.hash.clone();
        self.with(HttpWay { classify, hash })
    }

    /// Sets what a request's place on the ring of [`Choice::RingHash`](crate::Choice::RingHash) is made of. Default: path and query.
    #[must_use]
    pub fn hash(mut self, hash: impl Fn(&Head<'_>) -> u64 + Send + Sync + 'static) -> Self {
        self.ground.way.hash = Some(Arc::new(hash));
        self
    }
}

impl<K, M, R, C, H> BalanceService<K, M, R, TypedWay<C, H>> {
    /// Replaces the classifier. Default: [`ErrorsFail`].
    #[must_use]
    pub fn classify<D>(self, classify: D) -> BalanceService<K, M, R, TypedWay<D, H>> {
        let Ground { fleet, reach, way } = self.ground;
        BalanceService { ground: Ground { fleet, reach, way: TypedWay { classify, hash: way.hash } } }
    }

    /// Sets what a request's place on the ring of [`Choice::RingHash`](crate::Choice::RingHash) is made of. The closure's argument needs
    /// its type. Default: nothing, and it goes anywhere.
    #[must_use]
    pub fn hash<Req, F: Fn(&Req) -> u64>(self, hash: F) -> BalanceService<K, M, R, TypedWay<C, F>> {
        let Ground { fleet, reach, way } = self.ground;
        BalanceService { ground: Ground { fleet, reach, way: TypedWay { classify: way.classify, hash } } }
    }
}

impl<K: Key, M: Send + Sync + 'static, R, W> BalanceService<K, M, R, W> {
    /// Names the balancer in its events and refusals, and registers it and its endpoints. The first name stays.
    #[must_use]
    pub fn named(self, name: impl Into<Name>) -> Self {
        sight::name(&self.ground.fleet, name.into());
        self
    }

    /// Makes these the members. Those that were there before keep their state.
    #[must_use]
    pub fn members<T: Into<Member<K>>>(self, members: impl IntoIterator<Item = T>) -> Self {
        self.ground.fleet.change(Change::set(members));
        self
    }

    /// Has the members be as a stream says, until it ends. A task polls it, which ends with the last clone and handle of the balancer. An
    /// error of the stream is an event, and the members stay as they are.
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
        D: Stream<Item = Result<Change<K>, E>> + Send + 'static,
        E: fmt::Display,
    {
        pump::spawn(&self.ground.fleet, discovery);
        self
    }

    /// Returns a handle, from which the balancer is watched and steered.
    #[must_use]
    pub fn handle(&self) -> Handle<K> {
        Handle::new(self.ground.fleet.clone())
    }
}

impl<K, M, R, W> BalanceService<K, M, R, W> {
    pub(crate) const fn over(ground: Ground<K, M, R, W>) -> Self {
        Self { ground }
    }

    fn with<X>(self, way: X) -> BalanceService<K, M, R, X> {
        let Ground { fleet, reach, .. } = self.ground;
        BalanceService { ground: Ground { fleet, reach, way } }
    }
}

impl<K, M, R: Clone, W: Clone> Clone for BalanceService<K, M, R, W> {
    fn clone(&self) -> Self {
        Self { ground: self.ground.clone() }
    }
}

impl<K: fmt::Debug, M, R, W> fmt::Debug for BalanceService<K, M, R, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BalanceService").field("fleet", &self.ground.fleet).finish_non_exhaustive()
    }
}

impl<K, M, R, W, Req> Service<Req> for BalanceService<K, M, R, W>
where
    K: Key,
    M: Send + Sync + 'static,
    R: Reach<K, M, Req>,
    W: Way<R::Service, Req>,
    Req: 'static,
{
    type Response = W::Response;
    type Error = <R::Service as Service<Req>>::Error;
    type Future = ResponseFuture<K, M, R, W, Req>;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    #[inline(always)]
    fn call(&mut self, req: Req) -> Self::Future {
        ResponseFuture::begin(&self.ground, req)
    }
}
