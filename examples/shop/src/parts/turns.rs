//! Several replicas, asked in turns.

use bartizan::breaker::{Handle, State};
use bartizan::core::{self, Avoid};
use http::Request;
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use tower::util::Oneshot;
use tower::{Service, ServiceExt};

/// Asks its endpoints in turns, and passes over one whose breaker is open, or that a call has been to already, while there is another.
/// Clones share the turns. An endpoint whose pause is over is asked by one call at a time until its breaker has closed.
#[derive(Debug)]
pub struct Turns<S> {
    endpoints: Arc<[Endpoint<S>]>,
    next: Arc<AtomicUsize>,
}

/// One replica: its breaker, and the stack that ends there.
#[derive(Debug)]
struct Endpoint<S> {
    id: core::Endpoint,
    breaker: Handle,
    stack: S,
    probing: Arc<AtomicBool>,
}

impl<S> Turns<S> {
    /// `endpoints` must not be empty.
    pub fn new(endpoints: impl IntoIterator<Item = (Handle, S)>) -> Self {
        let endpoint = |(breaker, stack)| {
            let id = core::Endpoint::new();
            Endpoint { id, breaker, stack, probing: Arc::default() }
        };
        let endpoints: Arc<[_]> = endpoints.into_iter().map(endpoint).collect();
        assert!(!endpoints.is_empty(), "turns need somebody to take them");
        Self { endpoints, next: Arc::default() }
    }

    /// The endpoint whose turn it is, and the place of its probe if it takes one. The turns of one that is passed over
    /// go to the others in equal parts: each round begins with another one of them. When all are passed over, the one
    /// whose turn it is says no.
    fn choose(&self, avoid: Avoid) -> (&Endpoint<S>, Option<Probe>) {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let (all, round) = (self.endpoints.len(), turn / self.endpoints.len());
        let first = &self.endpoints[turn % all];
        let others = all - 1;
        let other = |n: usize| &self.endpoints[(turn % all + 1 + (round + n) % others) % all];
        let ring = [first].into_iter().chain((0..others).map(other));
        let (been, fresh): (Vec<_>, Vec<_>) = ring.partition(|endpoint| avoid.contains(endpoint.id));
        for endpoint in fresh.into_iter().chain(been) {
            match endpoint.breaker.state() {
                State::Open if endpoint.pauses() => {}
                State::Open | State::HalfOpen => {
                    if let Some(probe) = endpoint.probe() {
                        return (endpoint, Some(probe));
                    }
                }
                State::ForcedOpen => {}
                _ => return (endpoint, None),
            }
        }
        (first, None)
    }
}

impl<S> Endpoint<S> {
    fn pauses(&self) -> bool {
        self.breaker.snapshot().retry_after.is_some_and(|wait| !wait.is_zero())
    }

    fn probe(&self) -> Option<Probe> {
        let taken = self.probing.swap(true, Ordering::Acquire);
        (!taken).then(|| Probe(self.probing.clone()))
    }
}

/// The place of the one call that asks an endpoint how it is.
#[derive(Debug)]
struct Probe(Arc<AtomicBool>);

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl<S> Clone for Turns<S> {
    fn clone(&self) -> Self {
        Self { endpoints: self.endpoints.clone(), next: self.next.clone() }
    }
}

impl<S: Service<Request<B>> + Clone, B> Service<Request<B>> for Turns<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, Request<B>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Request<B>) -> Self::Future {
        let avoid = req.extensions().get().copied().unwrap_or_default();
        let (endpoint, probe) = self.choose(avoid);
        endpoint.id.picked();
        ResponseFuture { call: endpoint.stack.clone().oneshot(req), _probe: probe }
    }
}

pin_project! {
    /// A call to the endpoint whose turn it was.
    #[derive(Debug)]
    pub struct ResponseFuture<S: Service<Req>, Req> {
        #[pin]
        call: Oneshot<S, Req>,
        _probe: Option<Probe>,
    }
}

impl<S: Service<Req>, Req> Future for ResponseFuture<S, Req> {
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().call.poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan::{Breaker, BreakerLayer};
    use std::convert::Infallible;
    use std::future::{Ready, ready};
    use std::time::Duration;
    use tokio::time::advance;

    /// Says who it is.
    #[derive(Clone)]
    struct Replica(usize);

    impl Service<Request<()>> for Replica {
        type Response = usize;
        type Error = Infallible;
        type Future = Ready<Result<usize, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            ready(Ok(self.0))
        }
    }

    fn three() -> (Turns<Replica>, Vec<Handle>) {
        let breaker = || BreakerLayer::new(Breaker::new().open_for(Duration::from_secs(1))).handle();
        let handles: Vec<_> = (0..3).map(|_| breaker()).collect();
        let endpoints = handles.iter().cloned().zip((0..3).map(Replica));
        (Turns::new(endpoints), handles)
    }

    async fn six(turns: &Turns<Replica>) -> Vec<usize> {
        let mut said = Vec::new();
        for _ in 0..6 {
            // A clone for each call, as clients make them: the turns are shared.
            said.push(turns.clone().oneshot(Request::new(())).await.unwrap_or_else(|never| match never {}));
        }
        said
    }

    #[tokio::test(start_paused = true)]
    async fn each_has_its_turn_and_the_open_are_passed_over() {
        let (turns, handles) = three();
        assert_eq!(six(&turns).await, [0, 1, 2, 0, 1, 2]);
        handles[1].force_open_for(Duration::from_secs(5));
        assert_eq!(six(&turns).await, [0, 2, 2, 0, 0, 2], "its turns go to both others");
        handles.iter().for_each(|handle| handle.force_open_for(Duration::from_secs(5)));
        assert_eq!(six(&turns).await, [0, 1, 2, 0, 1, 2], "all are open: each says no in its turn");
    }

    #[tokio::test(start_paused = true)]
    async fn one_call_at_a_time_asks_whether_an_endpoint_is_well() {
        let (turns, handles) = three();
        handles[0].force_open_for(Duration::from_secs(5));
        advance(Duration::from_secs(6)).await;
        let first = turns.choose(Avoid::new()).1;
        assert!(first.is_some(), "its pause is over");
        for _ in 0..6 {
            assert!(turns.choose(Avoid::new()).1.is_none(), "and it is being asked");
        }
        drop(first);
        let again = (0..3).any(|_| turns.choose(Avoid::new()).1.is_some());
        assert!(again, "a probe that came to nothing is followed by another");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_goes_where_it_has_not_been() {
        let (turns, handles) = three();
        let second = |avoid: Avoid| turns.choose(avoid).0.stack.0;
        let been = |n: &[usize]| n.iter().fold(Avoid::new(), |avoid, n| avoid.and(turns.endpoints[*n].id));
        for _ in 0..12 {
            assert_eq!(second(been(&[0, 2])), 1);
            assert_ne!(second(been(&[1])), 1);
        }
        handles[1].force_open_for(Duration::from_secs(5));
        assert_ne!(second(been(&[0, 2])), 1, "rather where it has been than where nobody is");
    }
}
