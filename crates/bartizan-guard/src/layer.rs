use crate::{Guard, QueueGuard};
use bartizan_core::ErrorsFail;
use bartizan_http::{Http, HttpClassifier, Typed};
use std::marker::PhantomData;
use tower_layer::Layer;

/// [`Layer`] that applies [`Guard`]. Its clones and its services share the state of one policy.
#[derive(Clone, Debug)]
pub struct GuardLayer<A, C = HttpClassifier, M = Http> {
    admit: A,
    classify: C,
    flavour: PhantomData<M>,
}

impl<A> GuardLayer<A> {
    /// Creates a layer in the HTTP flavour, which judges by [`HttpClassifier`].
    #[must_use]
    pub const fn new(admit: A) -> Self {
        Self { admit, classify: HttpClassifier, flavour: PhantomData }
    }
}

impl<A, C> GuardLayer<A, C, Http> {
    /// Turns the layer into the typed flavour, which judges by [`ErrorsFail`] and takes any request type.
    #[must_use]
    pub fn typed(self) -> GuardLayer<A, ErrorsFail, Typed> {
        GuardLayer { admit: self.admit, classify: ErrorsFail, flavour: PhantomData }
    }
}

impl<A, C, M> GuardLayer<A, C, M> {
    /// Replaces the classifier.
    #[must_use]
    pub fn classify<D>(self, classify: D) -> GuardLayer<A, D, M> {
        GuardLayer { admit: self.admit, classify, flavour: PhantomData }
    }

    /// Replaces the policy.
    #[must_use]
    pub fn map_admit<B>(self, map: impl FnOnce(A) -> B) -> GuardLayer<B, C, M> {
        GuardLayer { admit: map(self.admit), classify: self.classify, flavour: PhantomData }
    }

    /// Turns the layer into one whose requests may wait for their turn: then it is ready at once, reserves nothing, and makes a
    /// clone of the inner service ready when a request has its turn. The policy is to implement
    /// [`Queue`](bartizan_core::Queue).
    #[must_use]
    pub fn queued(self) -> QueueLayer<A, C, M> {
        QueueLayer(self)
    }

    /// The policy.
    pub const fn admit(&self) -> &A {
        &self.admit
    }
}

/// [`Layer`] that applies [`QueueGuard`], made by [`GuardLayer::queued`]. Its clones and its services share the state of one policy.
#[derive(Clone, Debug)]
pub struct QueueLayer<A, C = HttpClassifier, M = Http>(GuardLayer<A, C, M>);

impl<A, C, M> QueueLayer<A, C, M> {
    /// Replaces the classifier.
    #[must_use]
    pub fn classify<D>(self, classify: D) -> QueueLayer<A, D, M> {
        QueueLayer(self.0.classify(classify))
    }

    /// The policy.
    pub const fn admit(&self) -> &A {
        self.0.admit()
    }
}

impl<S, A: Clone, C: Clone, M> Layer<S> for QueueLayer<A, C, M> {
    type Service = QueueGuard<S, A, C, M>;

    fn layer(&self, inner: S) -> Self::Service {
        QueueGuard::new(inner, self.0.admit.clone(), self.0.classify.clone())
    }
}

impl<S, A: Clone, C: Clone, M> Layer<S> for GuardLayer<A, C, M> {
    type Service = Guard<S, A, C, M>;

    fn layer(&self, inner: S) -> Self::Service {
        Guard::new(inner, self.admit.clone(), self.classify.clone())
    }
}
