use crate::shared::Shared;
use crate::{Deadline, DeadlineService, Handle};
use bartizan_http::{Http, Typed};
use std::marker::PhantomData;
use std::sync::Arc;
use tower::Layer;

/// [`Layer`] that applies [`DeadlineService`]. Its clones and its services share settings, counts and what was learnt.
#[derive(Clone, Debug)]
pub struct DeadlineLayer<M = Http> {
    shared: Arc<Shared>,
    side: Side,
    flavour: PhantomData<M>,
}

/// Where a layer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Before a handler: it reads headers.
    Inbound,
    /// Before a client: it writes headers.
    Outgoing,
    /// The same, where a layer further in writes them.
    Around,
}

/// Marks the HTTP flavour that also watches the request body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uploads;

impl DeadlineLayer {
    /// Creates a layer in the HTTP flavour, for a server. A bare [`Duration`](std::time::Duration) is a total.
    #[must_use]
    pub fn new(value: impl Into<Deadline>) -> Self {
        let shared = Arc::new(Shared::new(&value.into()));
        Self { shared, side: Side::Inbound, flavour: PhantomData }
    }

    /// Turns the layer into the typed flavour, which takes any request and returns its refusals as errors.
    #[must_use]
    pub fn typed(self) -> DeadlineLayer<Typed> {
        self.flavour()
    }

    /// Turns the layer into the one that wraps the request body as [`Upload`](crate::Upload), so that the time to the head does not include the
    /// upload, and an upload that stands still is ended by the idle time-out. It allocates once per call.
    #[must_use]
    pub fn uploads(self) -> DeadlineLayer<Uploads> {
        self.flavour()
    }
}

impl<M> DeadlineLayer<M> {
    /// Turns the layer into the side of a client: it bounds the call by the context and writes what is left into the request's
    /// headers. In the typed flavour both sides are the same.
    #[must_use]
    pub fn outgoing(mut self) -> Self {
        self.side = Side::Outgoing;
        self
    }

    /// Turns the layer into the side of a client, as [`outgoing`](Self::outgoing) does, where another that is `outgoing` bounds each attempt
    /// of a call. The headers are left to that one, which writes them once, for each attempt anew, and less both margins; also while it
    /// is switched off and this layer is on. To be said before services are made of it. A layer of attempts belongs to the first that
    /// is put around it; any other writes the headers itself.
    #[must_use]
    pub fn around(mut self, attempt: &Self) -> Self {
        let is_first = attempt.shared.outer.set(self.shared.clone()).is_ok();
        self.side = if is_first { Side::Around } else { Side::Outgoing };
        self
    }

    /// Names the layer in its refusals, its events and the [registry](bartizan_core::registry). The first name stays.
    #[must_use]
    pub fn named(self, name: impl Into<bartizan_core::Name>) -> Self {
        self.shared.set_name(name.into());
        self
    }

    /// Returns a handle, from which the layer is watched and steered.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::new(self.shared.clone())
    }

    fn flavour<N>(self) -> DeadlineLayer<N> {
        DeadlineLayer { shared: self.shared, side: self.side, flavour: PhantomData }
    }
}

impl<S, M> Layer<S> for DeadlineLayer<M> {
    type Service = DeadlineService<S, M>;

    fn layer(&self, inner: S) -> Self::Service {
        DeadlineService::new(inner, self.shared.clone(), self.side)
    }
}
