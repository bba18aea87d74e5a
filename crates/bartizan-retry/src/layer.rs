use crate::handle::Handle;
use crate::retry::Retry;
use crate::service::RetryService;
use crate::shared::Shared;
use bartizan_again::{HttpWay, TypedWay};
use bartizan_core::{ErrorsFail, Name, Purse};
use bartizan_http::Head;
use std::sync::Arc;
use tower::Layer;

/// [`Layer`] that applies [`RetryService`]. Its clones and its services share settings, purse and counts.
#[derive(Clone, Debug)]
pub struct RetryLayer<W = HttpWay> {
    shared: Arc<Shared>,
    way: W,
}

impl RetryLayer {
    /// Creates a layer in the HTTP flavour, with a purse of its own.
    #[must_use]
    pub fn new(value: Retry) -> Self {
        let purse = Purse::new(value.budget);
        Self { shared: Arc::new(Shared::new(value, purse)), way: HttpWay::new() }
    }

    /// Turns the layer into the typed flavour, for requests of any type, by a function that copies one. `None` says that a request
    /// must not be sent again, and `Some` that it may be, whatever it does: there is no method to be looked at. The closure's
    /// argument needs its type.
    ///
    /// Errors are failures, and every `Ok` is good, an `Ok` with status 503 too: [`classify`](RetryLayer::classify) changes that.
    ///
    /// ```
    /// use bartizan_retry::{Retry, RetryLayer};
    ///
    /// #[derive(Clone)]
    /// enum Ask {
    ///     Read(u32),
    ///     Write(u32),
    /// }
    ///
    /// let layer = RetryLayer::new(Retry::new())
    ///     .typed(|ask: &Ask| matches!(ask, Ask::Read(_)).then(|| ask.clone()));
    /// # let _ = (layer, Ask::Write(0));
    /// ```
    #[must_use]
    pub fn typed<Req, F>(self, copy: F) -> RetryLayer<TypedWay<F>>
    where
        F: Fn(&Req) -> Option<Req> + Clone + Send + Sync + 'static,
    {
        RetryLayer { shared: self.shared, way: TypedWay::new(copy, ErrorsFail) }
    }
}

impl<C> RetryLayer<HttpWay<C>> {
    /// Sets which requests may be repeated. Default: [`is_repeatable`](bartizan_again::is_repeatable).
    #[must_use]
    pub fn repeat(self, rule: impl Fn(&Head<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self { shared: self.shared, way: self.way.repeat(rule) }
    }

    /// Replaces the classifier. Default: [`HttpClassifier`](bartizan_http::HttpClassifier).
    #[must_use]
    pub fn classify<D>(self, classify: D) -> RetryLayer<HttpWay<D>> {
        RetryLayer { shared: self.shared, way: self.way.classify(classify) }
    }
}

impl<F, C> RetryLayer<TypedWay<F, C>> {
    /// Replaces the classifier. Default: [`ErrorsFail`].
    #[must_use]
    pub fn classify<D>(self, classify: D) -> RetryLayer<TypedWay<F, D>> {
        RetryLayer { shared: self.shared, way: self.way.classify(classify) }
    }
}

impl<W> RetryLayer<W> {
    /// Has a purse pay that other layers share: further retry layers, or hedges inside. Comes first: name and handles that the layer
    /// had are not kept. Default: a purse of its own, of [`Retry::budget`].
    #[must_use]
    pub fn purse(self, purse: Purse) -> Self {
        let value = Retry::clone(&self.shared.settings());
        Self { shared: Arc::new(Shared::new(value, purse)), way: self.way }
    }

    /// Names the layer in its events and in the [registry](bartizan_core::registry). The first name stays.
    #[must_use]
    pub fn named(self, name: impl Into<Name>) -> Self {
        self.shared.set_name(name.into());
        self
    }

    /// Returns a handle, from which the layer is watched and steered.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::new(self.shared.clone())
    }
}

impl<S, W: Clone> Layer<S> for RetryLayer<W> {
    type Service = RetryService<S, W>;

    fn layer(&self, inner: S) -> Self::Service {
        RetryService::new(inner, self.shared.clone(), self.way.clone())
    }
}
