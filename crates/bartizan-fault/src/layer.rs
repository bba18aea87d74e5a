use crate::board::Board;
use crate::key::{By, Keyless};
use crate::{FaultService, Faults, Handle};
use bartizan_core::Name;
use bartizan_http::{Head, Http, Typed};
use std::marker::PhantomData;
use std::sync::Arc;
use tower::Layer;

/// [`Layer`] that harms calls on purpose. Its clones and its services share the faults, the dice and the counts.
#[derive(Clone, Debug)]
pub struct FaultLayer<K = Keyless, M = Http> {
    board: Arc<Board>,
    key: K,
    flavour: PhantomData<M>,
}

impl FaultLayer {
    /// Creates a layer in the HTTP flavour.
    ///
    /// # Panics
    ///
    /// When there are faults in a value that is not [enabled](Faults::enabled): that is a service about to start with faults that
    /// nobody has switched on.
    #[must_use]
    #[track_caller]
    pub fn new(faults: Faults) -> Self {
        assert!(
            faults.enabled || faults.faults.is_empty(),
            "there are faults, and they are not enabled: say `Faults::enabled(true)` where they are wanted"
        );
        Self { board: Arc::new(Board::new(faults)), key: Keyless, flavour: PhantomData }
    }

    /// Turns the layer into the typed flavour, which takes any request and returns its errors through `S::Error: From<Refused>`.
    #[must_use]
    pub fn typed(self) -> FaultLayer<Keyless, Typed> {
        FaultLayer { board: self.board, key: self.key, flavour: PhantomData }
    }
}

impl FaultLayer<Keyless, Http> {
    /// Gives requests a key, for faults that [ask for one](crate::Fault::key): a tenant or a route, say. The function is called only while there
    /// is such a fault.
    #[must_use]
    pub fn key<F: Fn(&Head<'_>) -> Option<String>>(self, key: F) -> FaultLayer<By<F>, Http> {
        FaultLayer { board: self.board, key: By(key), flavour: PhantomData }
    }
}

impl FaultLayer<Keyless, Typed> {
    /// Gives requests a key, as the HTTP flavour does. The closure's argument needs its type.
    #[must_use]
    pub fn key<Req, F: Fn(&Req) -> Option<String>>(self, key: F) -> FaultLayer<By<F>, Typed> {
        FaultLayer { board: self.board, key: By(key), flavour: PhantomData }
    }
}

impl<K, M> FaultLayer<K, M> {
    /// Names the layer in its errors and in the [registry](bartizan_core::registry). The first name stays.
    #[must_use]
    pub fn named(self, name: impl Into<Name>) -> Self {
        self.board.set_name(name.into());
        self
    }

    /// Returns a handle, from which faults are injected and lifted.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle { board: self.board.clone() }
    }
}

impl<S, K: Clone, M> Layer<S> for FaultLayer<K, M> {
    type Service = FaultService<S, K, M>;

    fn layer(&self, inner: S) -> Self::Service {
        FaultService::new(inner, self.board.clone(), self.key.clone())
    }
}
