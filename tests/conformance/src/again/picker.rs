use bartizan_core::{Avoid, Endpoint};
use http::Request;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tower::Service;

/// A balancer of three: it takes the first of them that a request does not ask it to avoid, or else the first.
#[derive(Clone, Debug)]
pub struct Picker<S> {
    inner: S,
    endpoints: [Endpoint; 3],
    picks: Picks,
}

/// Which were taken, in turn.
#[derive(Clone, Debug, Default)]
pub struct Picks(Arc<Mutex<Vec<usize>>>);

impl Picks {
    /// Takes the list.
    #[must_use]
    pub fn take(&self) -> Vec<usize> {
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Picker<S> {
    /// Creates a balancer over a service, and its list.
    pub fn new(inner: S, picks: Picks) -> Self {
        Self { inner, endpoints: [(); 3].map(|()| Endpoint::new()), picks }
    }
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for Picker<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Request<B>) -> S::Future {
        let avoid = req.extensions().get::<Avoid>().copied().unwrap_or_default();
        let pick = self.endpoints.iter().position(|endpoint| !avoid.contains(*endpoint)).unwrap_or(0);
        self.endpoints[pick].picked();
        self.picks.lock().push(pick);
        self.inner.call(req)
    }
}
