use crate::admit::{Keyed, Single};
use crate::breaker::Breaker;
use crate::circuit::{Circuit, Label};
use crate::handle::Handle;
use crate::keyed::{Circuits, KeyedHandle};
use crate::observed::register;
use bartizan_core::registry::Observed;
use bartizan_core::{ErrorsFail, Name};
use bartizan_guard::{Guard, GuardLayer};
use bartizan_http::{Head, Http, HttpClassifier, Typed};
use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::Arc;
use tower_layer::Layer;

/// [`Layer`] that refuses requests while the service behind it fails.
///
/// Its clones and its services share one circuit, or one set of them with a [`key`](Self::key).
#[derive(Clone, Debug)]
pub struct BreakerLayer<A = Single, C = HttpClassifier, M = Http> {
    guard: GuardLayer<A, C, M>,
    value: Arc<Breaker>,
}

/// Service of a [`BreakerLayer`].
pub type BreakerService<S, A = Single, C = HttpClassifier, M = Http> = Guard<S, A, C, M>;

/// Keys that have a circuit of their own, if not said otherwise: 10 000.
pub const DEFAULT_MAX_KEYS: usize = 10_000;

impl BreakerLayer {
    /// Creates a layer with a circuit of its own, in the HTTP flavour.
    #[must_use]
    pub fn new(breaker: Breaker) -> Self {
        let value = breaker.shared();
        Self::over(Arc::new(Circuit::new(&value, None)), value)
    }

    /// Creates a layer over a circuit that there is already.
    pub(crate) const fn over(circuit: Arc<Circuit>, value: Arc<Breaker>) -> Self {
        Self { guard: GuardLayer::new(Single(circuit)), value }
    }
}

impl<C, M> BreakerLayer<Single, C, M> {
    /// Names the circuit in events, refusals, metrics and the registry. Default: no name, and not registered.
    ///
    /// A second name for the same circuit changes nothing. A name that another layer alive has already is reported as an
    /// event; the two do not share their state.
    #[must_use]
    pub fn named(self, name: impl Into<Name>) -> Self {
        let circuit = &self.guard.admit().0;
        if circuit.label().is_none() {
            circuit.set_label(Label { name: Some(name.into()), number: None });
            let observed: Arc<dyn Observed> = circuit.clone();
            register(&observed);
        }
        self
    }

    /// The handle of the circuit.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle(self.guard.admit().0.clone())
    }

    fn keyed<K, F>(self, key: F) -> BreakerLayer<Keyed<K, F, M>, C, M>
    where
        K: Eq + Hash + Clone + Debug + Send + Sync + 'static,
    {
        let value = self.value.clone();
        let guard = self.guard.map_admit(|Single(circuit)| {
            let name = circuit.label().and_then(|label| label.name.clone());
            // It leaves the registry, where the circuits have its name from here on.
            drop(circuit);
            let circuits = circuits(value, name, DEFAULT_MAX_KEYS);
            Keyed { circuits, key, flavour: PhantomData }
        });
        BreakerLayer { guard, value: self.value }
    }
}

/// Creates circuits, and registers them if they have a name.
fn circuits<K>(value: Arc<Breaker>, name: Option<Name>, cap: usize) -> Arc<Circuits<K>>
where
    K: Eq + Hash + Clone + Debug + Send + Sync + 'static,
{
    let circuits = Arc::new(Circuits::new(value, name, cap));
    if circuits.named().is_some() {
        let observed: Arc<dyn Observed> = circuits.clone();
        register(&observed);
    }
    circuits
}

impl<C> BreakerLayer<Single, C, Http> {
    /// Gives each key a circuit of its own: one per host, route or tenant, say. The key owns what it keeps of the request, as
    /// in `|head| head.uri.path().to_owned()`.
    ///
    /// At most [`DEFAULT_MAX_KEYS`] keys have one. Beyond, a new key takes the place of one that is closed, idle and longest
    /// unused; where there is none, an open circuit is not forgotten for it, and all further keys share one more circuit.
    #[must_use]
    pub fn key<K, F>(self, key: F) -> BreakerLayer<Keyed<K, F, Http>, C, Http>
    where
        K: Eq + Hash + Clone + Debug + Send + Sync + 'static,
        F: Fn(&Head<'_>) -> K,
    {
        self.keyed(key)
    }
}

impl<C> BreakerLayer<Single, C, Typed> {
    /// Gives each key a circuit of its own, as the HTTP flavour does. The closure's argument needs its type.
    #[must_use]
    pub fn key<Req, K, F>(self, key: F) -> BreakerLayer<Keyed<K, F, Typed>, C, Typed>
    where
        K: Eq + Hash + Clone + Debug + Send + Sync + 'static,
        F: Fn(&Req) -> K,
    {
        self.keyed(key)
    }
}

impl<K, F, C, M> BreakerLayer<Keyed<K, F, M>, C, M>
where
    K: Eq + Hash + Clone + Debug + Send + Sync + 'static,
{
    /// Names the circuits in events, refusals, metrics and the registry, as [`named`](BreakerLayer::named) does for one.
    #[must_use]
    pub fn named(self, name: impl Into<Name>) -> Self {
        let circuits = &self.guard.admit().circuits;
        if circuits.set_name(name.into()) {
            let observed: Arc<dyn Observed> = circuits.clone();
            register(&observed);
        }
        self
    }

    /// Sets how many keys have a circuit of their own, at least one. What was seen so far is forgotten: set it where the layer is made.
    #[must_use]
    pub fn max_keys(self, max_keys: std::num::NonZeroUsize) -> Self {
        let value = self.value.clone();
        let guard = self.guard.map_admit(|Keyed { circuits: old, key, flavour }| {
            let name = old.named().cloned();
            drop(old);
            Keyed { circuits: circuits(value, name, max_keys.get()), key, flavour }
        });
        Self { guard, value: self.value }
    }

    /// The handle of the circuits.
    #[must_use]
    pub fn handle(&self) -> KeyedHandle<K> {
        KeyedHandle(self.guard.admit().circuits.clone())
    }
}

impl<A, C, M> BreakerLayer<A, C, M> {
    /// Replaces the classifier, which judges every call. Default: [`HttpClassifier`], for the typed flavour
    /// [`ErrorsFail`].
    #[must_use]
    pub fn classify<D>(self, classify: D) -> BreakerLayer<A, D, M> {
        BreakerLayer { guard: self.guard.classify(classify), value: self.value }
    }

    /// What the breaker was made of.
    #[must_use]
    pub fn value(&self) -> &Breaker {
        &self.value
    }
}

impl<C> BreakerLayer<Single, C, Http> {
    /// Turns the layer into the typed flavour, for any request type: a refusal is returned as an error, through
    /// `S::Error: From<Refused>`. To be said before [`key`](Self::key).
    #[must_use]
    pub fn typed(self) -> BreakerLayer<Single, ErrorsFail, Typed> {
        BreakerLayer { guard: self.guard.typed(), value: self.value }
    }
}

impl<S, A: Clone, C: Clone, M> Layer<S> for BreakerLayer<A, C, M> {
    type Service = BreakerService<S, A, C, M>;

    fn layer(&self, inner: S) -> Self::Service {
        self.guard.layer(inner)
    }
}
