use crate::admit::Metering;
use crate::handle::Handle;
use crate::meter::Meter;
use crate::shared::Shared;
use bartizan_core::registry::{self, Observed};
use bartizan_core::{ErrorsFail, Name};
use bartizan_guard::{Guard, GuardLayer};
use bartizan_http::{Http, HttpClassifier, Typed};
use std::sync::Arc;
use tower_layer::Layer;

/// [`Layer`] that counts and times calls. Its clones and its services share one state.
#[derive(Clone, Debug)]
pub struct MeterLayer<C = HttpClassifier, M = Http> {
    guard: GuardLayer<Metering, C, M>,
}

/// Service of a [`MeterLayer`].
pub type MeterService<S, C = HttpClassifier, M = Http> = Guard<S, Metering, C, M>;

impl MeterLayer {
    /// Creates a layer with a state of its own, in the HTTP flavour, which judges by [`HttpClassifier`].
    #[must_use]
    pub fn new(meter: Meter) -> Self {
        Self { guard: GuardLayer::new(Metering(Arc::new(Shared::new(meter)))) }
    }

    /// Turns the layer into the typed flavour, for any request type, which judges by [`ErrorsFail`].
    #[must_use]
    pub fn typed(self) -> MeterLayer<ErrorsFail, Typed> {
        MeterLayer { guard: self.guard.typed() }
    }
}

impl<C, M> MeterLayer<C, M> {
    /// Names the meter in metrics, events and the registry, where its layer is `meter`. Default: no name, and not registered.
    ///
    /// A second name changes nothing. A name that another layer alive has already is reported as an event; the two do not share their
    /// state.
    #[must_use]
    pub fn named(self, name: impl Into<Name>) -> Self {
        let shared = &self.guard.admit().0;
        if shared.set_name(name.into()) {
            let observed: Arc<dyn Observed> = shared.clone();
            if !registry::register(&observed) {
                let name = observed.name();
                tracing::info!(name, "another meter has this name; the two do not share their state");
            }
        }
        self
    }

    /// Replaces the classifier, which judges every call. Default: [`HttpClassifier`], for the typed flavour [`ErrorsFail`].
    #[must_use]
    pub fn classify<D>(self, classify: D) -> MeterLayer<D, M> {
        MeterLayer { guard: self.guard.classify(classify) }
    }

    /// The handle of the meter.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle(self.guard.admit().0.clone())
    }
}

impl<S, C: Clone, M> Layer<S> for MeterLayer<C, M> {
    type Service = MeterService<S, C, M>;

    fn layer(&self, inner: S) -> Self::Service {
        self.guard.layer(inner)
    }
}
