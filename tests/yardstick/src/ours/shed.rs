//! Our shedding.

use bartizan_core::ErrorsFail;
use bartizan_http::{HttpClassifier, Typed as TypedFlavour};
use bartizan_shed::{Shed, ShedLayer, ShedService, asks::Asks};
use tower_layer::Layer;

/// Shedding around `S` in the typed flavour.
pub(crate) type Typed<S> = ShedService<S, Asks, ErrorsFail, TypedFlavour>;

/// A fixed limit around `inner`.
pub(crate) fn fixed<S>(inner: S, limit: usize) -> Typed<S> {
    ShedLayer::new(Shed::fixed(limit)).typed().layer(inner)
}

/// Adaptive shedding around `inner`.
pub(crate) fn adaptive<S>(inner: S) -> Typed<S> {
    ShedLayer::new(Shed::new()).typed().layer(inner)
}

/// A fixed limit of the HTTP flavour around `inner`.
pub(crate) fn http_fixed<S>(inner: S, limit: usize) -> ShedService<S, Asks, HttpClassifier> {
    ShedLayer::new(Shed::fixed(limit)).layer(inner)
}

/// Adaptive shedding of the HTTP flavour around `inner`.
pub(crate) fn http_adaptive<S>(inner: S) -> ShedService<S, Asks, HttpClassifier> {
    ShedLayer::new(Shed::new()).layer(inner)
}
