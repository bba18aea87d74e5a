use crate::counts::Wait;
use crate::fleet::Key;
use crate::permit::Permit;
use crate::reach::Reach;
use crate::reason::Why;
use crate::search::{Called, Candidate, Found, Ground};
use crate::way::Way;
use bartizan_core::{Permit as _, Refused, Step, Verdict};
use bartizan_http::Form;
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::futures::OwnedNotified;
use tower::Service;

const DONE: &str = "a balancer's future is not polled after it is done";

pin_project! {
    /// Future of [`BalanceService`](crate::BalanceService). Dropped before it is done, it takes the call back, and its endpoint has one less in flight.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct ResponseFuture<K, M, R, W, Req>
    where
        R: Reach<K, M, Req>,
        W: Way<R::Service, Req>,
    {
        #[pin]
        state: State<K, M, R, W, Req, <R::Service as Service<Req>>::Future, <R::Service as Service<Req>>::Error>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<K, M, R, W, Req, F, E>
    where
        R: Reach<K, M, Req>,
        W: Way<R::Service, Req>,
    {
        Calling { #[pin] future: F, running: Running<W::Attempt> },
        Refused { refused: Refused, form: Form },
        Failed { error: Option<E> },
        Waiting { waiting: Box<Waiting<K, M, R, W, Req, R::Service>> },
    }
}

/// A call that nobody takes yet.
struct Waiting<K, M, R, W, Req, S> {
    ground: Ground<K, M, R, W>,
    req: Option<Req>,
    for_whom: For<K, M, S>,
    _counted: Wait,
}

enum For<K, M, S> {
    /// For a first member.
    Anybody(Pin<Box<dyn Future<Output = bool> + Send>>),
    /// For one of these to be ready, or for another set.
    These(Vec<Candidate<K, M, S>>, Pin<Box<OwnedNotified>>),
}

/// The permit and the classifier of a call under way.
///
/// Dropped within a step of the member's service, that step has panicked: the member has failed, and the panic goes on.
pub(crate) struct Running<A> {
    held: Option<(Permit, A)>,
    stepping: bool,
}

impl<A> Running<A> {
    #[inline]
    pub(crate) const fn new(permit: Permit, attempt: A) -> Self {
        Self { held: Some((permit, attempt)), stepping: false }
    }

    /// Runs a step of the member's service.
    #[inline]
    pub(crate) fn step<R>(&mut self, step: impl FnOnce() -> R) -> R {
        self.stepping = true;
        let out = step();
        self.stepping = false;
        out
    }

    /// What stands before the member has refused the call.
    #[cold]
    pub(crate) fn refused(&mut self) {
        if let Some((permit, _)) = &mut self.held {
            permit.refused();
        }
    }
}

impl<A> Drop for Running<A> {
    #[inline]
    fn drop(&mut self) {
        if self.stepping {
            panicked(&mut self.held);
        }
    }
}

#[cold]
fn panicked<A>(held: &mut Option<(Permit, A)>) {
    if let Some((mut permit, _)) = held.take() {
        permit.record(Verdict::Failure);
    }
}

impl<K, M, R, W, Req> ResponseFuture<K, M, R, W, Req>
where
    K: Key,
    M: Send + Sync + 'static,
    R: Reach<K, M, Req>,
    W: Way<R::Service, Req>,
    Req: 'static,
{
    #[inline(always)]
    pub(crate) fn begin(ground: &Ground<K, M, R, W>, req: Req) -> Self {
        // Who is not ready now is asked again, with the waker of the one who waits, in the first poll.
        let found = ground.search(req, &mut Context::from_waker(std::task::Waker::noop()));
        Self { state: State::of(found, ground) }
    }
}

impl<K, M, R, W, Req, F, E> State<K, M, R, W, Req, F, E>
where
    K: Key,
    M: Send + Sync + 'static,
    R: Reach<K, M, Req>,
    W: Way<R::Service, Req>,
{
    #[inline(always)]
    fn of(found: Found<Req, F, W::Attempt, K, M, R::Service, E>, ground: &Ground<K, M, R, W>) -> Self {
        match found {
            Found::Called(Called { future, running }) => Self::Calling { future, running },
            Found::Refused(why, form) => Self::Refused { refused: ground.refusal(why), form },
            Found::Failed(error) => Self::Failed { error: Some(error) },
            Found::Nobody(req, time) => {
                let fleet = ground.fleet.clone();
                let arrival = Box::pin(async move { fleet.wait(time).await });
                Self::waiting(ground, req, For::Anybody(arrival))
            }
            Found::Unready(req, candidates) => {
                let change = Box::pin(ground.fleet.change_of_set());
                // Looked for anew in the first poll: the set may have changed before anybody listened.
                drop(candidates);
                Self::waiting(ground, req, For::These(Vec::new(), change))
            }
        }
    }

    #[cold]
    fn waiting(ground: &Ground<K, M, R, W>, req: Req, for_whom: For<K, M, R::Service>) -> Self {
        let counted = ground.fleet.common.counts.wait();
        let waiting = Waiting { ground: ground.clone(), req: Some(req), for_whom, _counted: counted };
        Self::Waiting { waiting: Box::new(waiting) }
    }
}

impl<K, M, R, W, Req> Future for ResponseFuture<K, M, R, W, Req>
where
    K: Key,
    M: Send + Sync + 'static,
    R: Reach<K, M, Req>,
    W: Way<R::Service, Req>,
    Req: 'static,
{
    type Output = Result<W::Response, <R::Service as Service<Req>>::Error>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let next = match self.as_mut().project().state.project() {
                StateProj::Calling { future, running } => {
                    let out = ready!(running.step(|| future.poll(cx)));
                    let (mut permit, attempt) = running.held.take().expect(DONE);
                    let judged = W::judge(attempt, &out);
                    permit.heard(judged.origin);
                    if judged.drains {
                        let seat = permit.seat();
                        seat.common.drains(seat);
                    }
                    let at_end = match judged.step {
                        Step::Done(verdict) => {
                            permit.record(verdict);
                            None
                        }
                        Step::AtEnd(at_end) => Some(at_end),
                    };
                    return Poll::Ready(W::finish(out, permit, at_end));
                }
                StateProj::Refused { refused, form } => return Poll::Ready(W::refuse(refused.take(), *form)),
                StateProj::Failed { error } => return Poll::Ready(Err(error.take().expect(DONE))),
                StateProj::Waiting { waiting } => ready!(waiting.poll(cx)),
            };
            self.as_mut().project().state.set(next);
        }
    }
}

impl<K, M, R, W, Req> Waiting<K, M, R, W, Req, R::Service>
where
    K: Key,
    M: Send + Sync + 'static,
    R: Reach<K, M, Req>,
    W: Way<R::Service, Req>,
    Req: 'static,
{
    #[allow(clippy::type_complexity, reason = "the state of the future, of its own types")]
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<State<K, M, R, W, Req, <R::Service as Service<Req>>::Future, <R::Service as Service<Req>>::Error>>
    {
        let found = match &mut self.for_whom {
            For::Anybody(arrival) => match ready!(arrival.as_mut().poll(cx)) {
                true => self.ground.search(self.req.take().expect(DONE), cx),
                false => {
                    self.ground.fleet.common.counts.refused(Why::NoEndpoints);
                    let form = self.req.take().map_or(Form::Http, |req| W::form(&req));
                    Found::Refused(Why::NoEndpoints, form)
                }
            },
            For::These(candidates, change) => {
                let mut candidates = std::mem::take(candidates);
                if change.as_mut().poll(cx).is_ready() {
                    change.set(self.ground.fleet.change_of_set());
                    candidates.clear();
                    // So that the next change wakes this call as well.
                    let _not_yet = change.as_mut().poll(cx);
                }
                self.ground.poll_candidates(self.req.take().expect(DONE), candidates, cx)
            }
        };
        if let Found::Unready(req, candidates) = found {
            self.req = Some(req);
            match &mut self.for_whom {
                For::These(before, _) => *before = candidates,
                For::Anybody(_) => {
                    let change = Box::pin(self.ground.fleet.change_of_set());
                    self.for_whom = For::These(Vec::new(), change);
                    // To be polled once more, so that the change is heard of.
                    cx.waker().wake_by_ref();
                }
            }
            return Poll::Pending;
        }
        Poll::Ready(State::of(found, &self.ground))
    }
}

impl<K, M, R, W, Req> fmt::Debug for ResponseFuture<K, M, R, W, Req>
where
    R: Reach<K, M, Req>,
    W: Way<R::Service, Req>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Calling { .. } => "calling",
            State::Refused { .. } => "refused",
            State::Failed { .. } => "failed",
            State::Waiting { .. } => "waiting",
        };
        f.debug_struct("ResponseFuture").field("state", &state).finish_non_exhaustive()
    }
}
