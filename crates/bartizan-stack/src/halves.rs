use crate::host::Host;
use bartizan_breaker::{BreakerLayer, BreakerService, KeyedHandle};
use bartizan_deadline::{DeadlineLayer, DeadlineService};
use bartizan_fallback::{StaleLayer, StaleService};
use bartizan_hedge::{HedgeLayer, HedgeService};
use bartizan_http::http::Uri;
use bartizan_retry::{RetryLayer, RetryService};
use std::fmt;
use tower::Layer;

/// The layers of a client stack that come before the balancer, made by [`ClientLayer::outer`](crate::ClientLayer::outer).
#[derive(Clone, Debug)]
pub struct OuterLayer {
    pub(crate) stale: StaleLayer,
    pub(crate) deadline: DeadlineLayer,
    pub(crate) retry: RetryLayer,
    pub(crate) hedge: HedgeLayer,
}

/// Service of an [`OuterLayer`], outside in: stale, deadline, retry, hedge.
pub type OuterService<S> = StaleService<DeadlineService<RetryService<HedgeService<S>>>>;

impl<S> Layer<S> for OuterLayer {
    type Service = OuterService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        self.stale.layer(self.deadline.layer(self.retry.layer(self.hedge.layer(inner))))
    }
}

/// The layers of a client stack that each endpoint has for itself, made by [`ClientLayer::each`](crate::ClientLayer::each).
#[derive(Clone, Debug)]
pub struct EndpointLayer {
    breaker: BreakerLayer,
    attempt: DeadlineLayer,
}

/// Service of an [`EndpointLayer`], outside in: breaker, deadline of the attempt.
pub type EndpointService<S> = BreakerService<DeadlineService<S>>;

impl<S> Layer<S> for EndpointLayer {
    type Service = EndpointService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        self.breaker.layer(self.attempt.layer(inner))
    }
}

/// Makes what each endpoint has for itself. It holds no part that holds a balancer, which holds this.
#[derive(Clone)]
pub(crate) struct Each {
    pub(crate) breakers: KeyedHandle<Host>,
    pub(crate) attempt: DeadlineLayer,
}

impl Each {
    pub(crate) fn of(&self, endpoint: &Uri) -> EndpointLayer {
        EndpointLayer { breaker: self.breakers.layer(&Host::of(endpoint)), attempt: self.attempt.clone() }
    }
}

impl fmt::Debug for Each {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Each").finish_non_exhaustive()
    }
}
