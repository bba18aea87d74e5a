//! tower's balancer, without a buffer around it.

use std::{
    cell::RefCell,
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use fastrand::Rng;
use futures_core::Stream;
use tower::{
    balance::p2c,
    discover::{Change, ServiceList},
    load::{CompleteOnResponse, Constant, PeakEwma, PendingRequests},
};

pub(crate) const PEAK_EWMA: &str = "tower P2C PeakEwma";
pub(crate) const PENDING: &str = "tower P2C PendingRequests";
pub(crate) const TONIC_LIST: &str = "tonic balance_list (P2C, load 0)";

/// What tower's example takes for the latency of an endpoint without history, and for the time over which latencies are forgotten. Linkerd takes
/// the same.
pub(crate) const DEFAULT_RTT: Duration = Duration::from_millis(30);
const DECAY: Duration = Duration::from_secs(10);

/// An endpoint that knows its peak latency.
pub(crate) fn peak_ewma<S>(service: S) -> PeakEwma<S> {
    PeakEwma::new(service, DEFAULT_RTT, DECAY.as_nanos() as f64, CompleteOnResponse::default())
}

/// An endpoint that knows its requests in flight.
pub(crate) fn pending<S>(service: S) -> PendingRequests<S> {
    PendingRequests::new(service, CompleteOnResponse::default())
}

/// An endpoint of which nothing is known: tonic 0.14's channels say that their load is zero, in `service/connection.rs`.
pub(crate) fn tonic_list<S>(service: S) -> Constant<S, usize> {
    Constant::new(service, 0)
}

/// A fixed list of endpoints.
pub(crate) type Fixed<S, Req> = p2c::Balance<ServiceList<std::vec::IntoIter<S>>, Req>;

/// The power of two choices between endpoints that do not change.
pub(crate) fn fixed<S, Req>(endpoints: Vec<S>, seed: u64) -> Fixed<S, Req>
where
    S: tower_service::Service<Req, Error: Into<tower::BoxError>>,
{
    p2c::Balance::from_rng(ServiceList::new::<Req>(endpoints.into_iter()), Dice(Rng::with_seed(seed)))
}

/// The power of two choices between endpoints that come and go.
pub(crate) type Changing<S, Req> = p2c::Balance<News<S>, Req>;

pub(crate) fn changing<S, Req>(news: News<S>, seed: u64) -> Changing<S, Req>
where
    S: tower_service::Service<Req, Error: Into<tower::BoxError>>,
{
    p2c::Balance::from_rng(news, Dice(Rng::with_seed(seed)))
}

/// Endpoints that came and went since a balancer last looked. Its clones are the same.
pub(crate) struct News<S>(Rc<RefCell<VecDeque<Change<usize, S>>>>);

impl<S> News<S> {
    pub(crate) fn new() -> Self {
        Self(Rc::default())
    }

    pub(crate) fn insert(&self, key: usize, service: S) {
        self.0.borrow_mut().push_back(Change::Insert(key, service));
    }

    pub(crate) fn remove(&self, key: usize) {
        self.0.borrow_mut().push_back(Change::Remove(key));
    }
}

impl<S> Clone for News<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S> Stream for News<S> {
    type Item = Result<Change<usize, S>, Infallible>;

    /// A balancer looks at each call: nobody needs to be woken.
    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.borrow_mut().pop_front().map_or(Poll::Pending, |change| Poll::Ready(Some(Ok(change))))
    }
}

/// Seeded dice for tower.
struct Dice(Rng);

impl tower::util::rng::Rng for Dice {
    fn next_u64(&mut self) -> u64 {
        self.0.u64(..)
    }
}
