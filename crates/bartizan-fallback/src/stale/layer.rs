use super::handle::Handle;
use super::key::Keys;
use super::service::StaleService;
use super::shared::Shared;
use super::value::Stale;
use bartizan_core::Name;
use bartizan_http::Head;
use std::hash::Hash;
use std::sync::Arc;
use tower::Layer;

/// [`Layer`] that applies [`StaleService`]. Its clones and its services share what is kept, settings and counts.
#[derive(Clone, Debug)]
pub struct StaleLayer {
    shared: Arc<Shared>,
    keys: Keys,
}

impl StaleLayer {
    /// Creates a layer that keeps nothing yet.
    #[must_use]
    pub fn new(value: Stale) -> Self {
        Self { shared: Arc::new(Shared::new(value)), keys: Keys::default() }
    }

    /// Adds to what tells answers apart: a tenant, a language. Always there are the method, the URI, the `Host` where the URI has none, and
    /// what an answer says that it varies on. Of what the function returns its hash is kept, and not the value.
    ///
    /// A successful write then looks at all keys, to forget the answers of all tenants.
    ///
    /// ```
    /// use bartizan_fallback::{Stale, StaleLayer};
    ///
    /// let layer = StaleLayer::new(Stale::new()).key(|head| head.headers.get("x-tenant").cloned());
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn key<T: Hash>(mut self, key: impl Fn(&Head<'_>) -> T + Send + Sync + 'static) -> Self {
        self.keys.add(key);
        self
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
        Handle::new(self.shared.clone(), self.keys.clone())
    }
}

impl<S> Layer<S> for StaleLayer {
    type Service = StaleService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        StaleService::new(inner, self.shared.clone(), self.keys.clone())
    }
}
