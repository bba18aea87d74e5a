use crate::handle::Handle;
use crate::hedge::Hedge;
use crate::service::HedgeService;
use crate::shared::Shared;
use bartizan_again::{HttpWay, TypedWay};
use bartizan_core::{ErrorsFail, Name, Purse};
use bartizan_http::Head;
use std::sync::Arc;
use tower::Layer;

/// [`Layer`] that applies [`HedgeService`]. Its clones and its services share settings, purses, counts and what was learnt.
#[derive(Clone, Debug)]
pub struct HedgeLayer<W = HttpWay> {
    shared: Arc<Shared>,
    way: W,
}

impl HedgeLayer {
    /// Creates a layer in the HTTP flavour.
    #[must_use]
    pub fn new(value: Hedge) -> Self {
        Self { shared: Arc::new(Shared::new(value, None)), way: HttpWay::new() }
    }

    /// Turns the layer into the typed flavour, for requests of any type, by a function that copies one. `None` says that a request
    /// must not be sent again, and `Some` that it may be, whatever it does: there is no method to be looked at. The closure's
    /// argument needs its type.
    ///
    /// Errors are failures, and every `Ok` is good, an `Ok` with status 503 too: [`classify`](HedgeLayer::classify) changes that.
    ///
    /// ```
    /// use bartizan_hedge::{Hedge, HedgeLayer};
    ///
    /// #[derive(Clone)]
    /// enum Ask {
    ///     Read(u32),
    ///     Write(u32),
    /// }
    ///
    /// let layer = HedgeLayer::new(Hedge::new())
    ///     .typed(|ask: &Ask| matches!(ask, Ask::Read(_)).then(|| ask.clone()));
    /// # let _ = (layer, Ask::Write(0));
    /// ```
    #[must_use]
    pub fn typed<Req, F>(self, copy: F) -> HedgeLayer<TypedWay<F>>
    where
        F: Fn(&Req) -> Option<Req> + Clone + Send + Sync + 'static,
    {
        HedgeLayer { shared: self.shared, way: TypedWay::new(copy, ErrorsFail) }
    }
}

impl<C> HedgeLayer<HttpWay<C>> {
    /// Sets which requests may be repeated. Default: [`is_repeatable`](bartizan_again::is_repeatable).
    #[must_use]
    pub fn repeat(self, rule: impl Fn(&Head<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self { shared: self.shared, way: self.way.repeat(rule) }
    }

    /// Replaces the classifier. Default: [`HttpClassifier`](bartizan_http::HttpClassifier).
    #[must_use]
    pub fn classify<D>(self, classify: D) -> HedgeLayer<HttpWay<D>> {
        HedgeLayer { shared: self.shared, way: self.way.classify(classify) }
    }
}

impl<F, C> HedgeLayer<TypedWay<F, C>> {
    /// Replaces the classifier. Default: [`ErrorsFail`].
    #[must_use]
    pub fn classify<D>(self, classify: D) -> HedgeLayer<TypedWay<F, D>> {
        HedgeLayer { shared: self.shared, way: self.way.classify(classify) }
    }
}

impl<W> HedgeLayer<W> {
    /// Has each copy cost a token of this purse too, of which retries keep the first half. It is only drawn from: a retry layer around
    /// this one fills it. Comes first: name and handles that the layer had are not kept. Default: the layer's own purse alone pays.
    #[must_use]
    pub fn purse(self, purse: Purse) -> Self {
        let value = Hedge::clone(&self.shared.settings());
        Self { shared: Arc::new(Shared::new(value, Some(purse))), way: self.way }
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

impl<S, W: Clone> Layer<S> for HedgeLayer<W> {
    type Service = HedgeService<S, W>;

    fn layer(&self, inner: S) -> Self::Service {
        HedgeService::new(inner, self.shared.clone(), self.way.clone())
    }
}
