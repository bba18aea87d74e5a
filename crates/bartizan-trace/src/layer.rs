use crate::shared::Shared;
use crate::{Handle, Trace, TraceService};
use bartizan_http::{Head, Http, Typed};
use std::marker::PhantomData;
use std::sync::Arc;
use tower::Layer;

/// [`Layer`] that applies [`TraceService`]. Its clones and its services share the settings.
#[derive(Clone, Debug)]
pub struct TraceLayer<M = Http> {
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
    /// Around all attempts of a call: it writes headers too, which those that stand inside write anew.
    Around,
}

impl TraceLayer {
    /// Creates a layer in the HTTP flavour, for a server.
    #[must_use]
    pub fn new(value: Trace) -> Self {
        Self { shared: Arc::new(Shared::new(value)), side: Side::Inbound, flavour: PhantomData }
    }

    /// Turns the layer into the typed flavour, which takes any request, and neither reads nor writes headers.
    #[must_use]
    pub fn typed(self) -> TraceLayer<Typed> {
        TraceLayer { shared: self.shared, side: self.side, flavour: PhantomData }
    }

    /// Sets how a request's route is found, with the parts that vary left open, as `/orders/{id}`. It is in the name of the span, and is
    /// its `http.route`. Asked only for spans that somebody listens to. The first function stays. Default: no route.
    ///
    /// ```
    /// use axum::{Router, extract::MatchedPath, routing::get};
    /// use bartizan_trace::{Trace, TraceLayer};
    ///
    /// let trace = TraceLayer::new(Trace::new())
    ///     .route(|head| head.extensions.get::<MatchedPath>().map(MatchedPath::as_str));
    /// let app: Router = Router::new().route("/orders/{id}", get(|| async { "here" })).layer(trace);
    /// ```
    #[must_use]
    pub fn route<F>(self, route: F) -> Self
    where
        F: for<'a, 'b> Fn(&'a Head<'b>) -> Option<&'b str> + Send + Sync + 'static,
    {
        let _ = self.shared.route.set(Box::new(route));
        self
    }
}

impl<M> TraceLayer<M> {
    /// Turns the layer into the side of a client: its span is a child of the one that the call is made in, and is written into
    /// the request's headers. Inside of a retry, a hedge and a balancer each attempt has a span of its own.
    #[must_use]
    pub fn outgoing(mut self) -> Self {
        self.side = Side::Outgoing;
        self
    }

    /// Turns the layer into the side of a client, as [`outgoing`](Self::outgoing) does, where another one inside traces each attempt: its span
    /// is of kind `internal`, as it is no single exchange with a server.
    #[must_use]
    pub fn around(mut self) -> Self {
        self.side = Side::Around;
        self
    }

    /// Names the layer in its spans, its events and the [registry](bartizan_core::registry). What follows a slash is the endpoint that it
    /// stands before. The first name stays.
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
}

impl<S, M> Layer<S> for TraceLayer<M> {
    type Service = TraceService<S, M>;

    fn layer(&self, inner: S) -> Self::Service {
        TraceService::new(inner, self.shared.clone(), self.side)
    }
}
