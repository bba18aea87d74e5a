use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The inner service of a layer that may send again, with the layer's state.
///
/// A call that ends well needs the service once. So it does not take a clone along, which may be a costly one, but what all calls
/// share: a [`Spare`], from which later attempts get theirs.
pub struct Inner<S, T> {
    service: S,
    state: Arc<T>,
    spare: OnceLock<Arc<Spare<S, T>>>,
}

/// What a call takes along: the layer's state, and a service of which it can have clones.
pub struct Spare<S, T> {
    service: Mutex<S>,
    state: Arc<T>,
}

impl<S, T> Inner<S, T> {
    /// Creates it of a service and the state of a layer.
    pub const fn new(service: S, state: Arc<T>) -> Self {
        Self { service, state, spare: OnceLock::new() }
    }

    /// The state of the layer.
    pub const fn state(&self) -> &Arc<T> {
        &self.state
    }

    /// The service.
    pub const fn get_ref(&self) -> &S {
        &self.service
    }

    /// The service, to be called.
    #[inline]
    pub const fn service(&mut self) -> &mut S {
        &mut self.service
    }

    /// The service, to be changed: later attempts will go to a clone of what it has become.
    pub fn get_mut(&mut self) -> &mut S {
        self.spare = OnceLock::new();
        &mut self.service
    }

    /// Takes the service out.
    pub fn into_inner(self) -> S {
        self.service
    }
}

impl<S: Clone, T> Inner<S, T> {
    /// What a call takes along.
    #[inline]
    pub fn spare(&self) -> Arc<Spare<S, T>> {
        self.spare.get_or_init(|| self.make_spare()).clone()
    }

    #[cold]
    fn make_spare(&self) -> Arc<Spare<S, T>> {
        Arc::new(Spare { service: Mutex::new(self.service.clone()), state: self.state.clone() })
    }
}

impl<S: Clone, T> Clone for Inner<S, T> {
    fn clone(&self) -> Self {
        // Whoever is cloned for each call has the same spare for all of them.
        let spare = OnceLock::from(self.spare());
        Self { service: self.service.clone(), state: self.state.clone(), spare }
    }
}

impl<S: Clone, T> Spare<S, T> {
    /// A clone of the service, which has to be made ready.
    pub fn service(&self) -> S {
        self.service.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<S, T> Deref for Spare<S, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.state
    }
}

impl<S: fmt::Debug, T> fmt::Debug for Inner<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Inner").field(&self.service).finish()
    }
}

impl<S, T: fmt::Debug> fmt::Debug for Spare<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Spare").field(&self.state).finish()
    }
}
