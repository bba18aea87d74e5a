use super::admit::Throttling;
use super::classify::RefusalClassifier;
use super::event;
use super::handle::Handle;
use super::state::Shared;
use super::value::Throttle;
use bartizan_core::registry::{self, Observed};
use bartizan_core::{ErrorsFail, Name};
use bartizan_guard::{Guard, GuardLayer};
use bartizan_http::{Http, Typed};
use std::sync::Arc;
use tower_layer::Layer;

/// [`Layer`] that refuses requests to a server which refuses too many of them.
///
/// Its clones and its services share one state.
#[derive(Clone, Debug)]
pub struct ThrottleLayer<C = RefusalClassifier, M = Http> {
    guard: GuardLayer<Throttling, C, M>,
}

/// Service of a [`ThrottleLayer`].
pub type ThrottleService<S, C = RefusalClassifier, M = Http> = Guard<S, Throttling, C, M>;

impl ThrottleLayer {
    /// Creates a layer with a state of its own, in the HTTP flavour, which judges by [`RefusalClassifier`].
    #[must_use]
    pub fn new(throttle: Throttle) -> Self {
        let policy = Throttling(Arc::new(Shared::new(&throttle)));
        Self { guard: GuardLayer::new(policy).classify(RefusalClassifier) }
    }

    /// Turns the layer into the typed flavour, for any request type: a refusal is returned as an error, through
    /// `S::Error: From<Refused>`.
    ///
    /// It judges by [`ErrorsFail`], to which no answer is a refusal of the server: [`classify`](Self::classify) with what knows one, or let
    /// [`failures`](Throttle::failures) count as such.
    #[must_use]
    pub fn typed(self) -> ThrottleLayer<ErrorsFail, Typed> {
        ThrottleLayer { guard: self.guard.typed() }
    }
}

impl<C, M> ThrottleLayer<C, M> {
    /// Names the throttle in events, refusals and the registry, where its layer is `throttle`. Default: no name, and not registered.
    ///
    /// A second name changes nothing. A name that another layer alive has already is reported as an event; the two do not share their
    /// state.
    #[must_use]
    pub fn named(self, name: impl Into<Name>) -> Self {
        let shared = &self.guard.admit().0;
        if shared.set_name(name.into()) {
            let observed: Arc<dyn Observed> = shared.clone();
            if !registry::register(&observed) {
                event::tell_twin(observed.name());
            }
        }
        self
    }

    /// Replaces the classifier, which says when the server refuses: [`Verdict::Throttled`](bartizan_core::Verdict::Throttled). Default:
    /// [`RefusalClassifier`], for the typed flavour [`ErrorsFail`].
    #[must_use]
    pub fn classify<D>(self, classify: D) -> ThrottleLayer<D, M> {
        ThrottleLayer { guard: self.guard.classify(classify) }
    }

    /// The handle of the throttle.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle(self.guard.admit().0.clone())
    }
}

impl<S, C: Clone, M> Layer<S> for ThrottleLayer<C, M> {
    type Service = ThrottleService<S, C, M>;

    fn layer(&self, inner: S) -> Self::Service {
        self.guard.layer(inner)
    }
}
