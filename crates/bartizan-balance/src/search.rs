//! The search for a member that takes a call.

use crate::choice::Choice;
use crate::fleet::{Fleet, Key};
use crate::future::Running;
use crate::permit::Permit;
use crate::reach::Reach;
use crate::reason::Why;
use crate::set::{Entry, Set};
use crate::way::Way;
use bartizan_core::{Avoid, Endpoint, Instant, Refused, Unsent};
use bartizan_http::Form;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;
use tower::Service;

/// What is needed to call a member. Borrowed within a call, and kept where the call has to wait.
#[derive(Debug)]
pub(crate) struct Ground<K, M, R, W> {
    pub(crate) fleet: Arc<Fleet<K, M>>,
    pub(crate) reach: R,
    pub(crate) way: W,
}

impl<K, M, R: Clone, W: Clone> Clone for Ground<K, M, R, W> {
    fn clone(&self) -> Self {
        Self { fleet: self.fleet.clone(), reach: self.reach.clone(), way: self.way.clone() }
    }
}

/// What came of a search.
pub(crate) enum Found<Req, F, A, K, M, S, E> {
    Called(Called<F, A>),
    /// There is nobody yet.
    Nobody(Req, Duration),
    /// These are not ready yet, and the first that is takes the call.
    Unready(Req, Vec<Candidate<K, M, S>>),
    /// For this reason, and whether it is said as gRPC has it.
    Refused(Why, Form),
    /// All have been tried, and this is what the last one's service said.
    Failed(E),
}

/// A call under way.
pub(crate) struct Called<F, A> {
    pub(crate) future: F,
    pub(crate) running: Running<A>,
}

/// A member whose service is not ready yet.
pub(crate) struct Candidate<K, M, S> {
    pub(crate) entry: Arc<Entry<K, M>>,
    pub(crate) service: S,
}

/// So many members that are not ready are waited for.
const CANDIDATES: usize = 2;
/// So many that are not ready are passed by on the way to one that is.
const PENDING: usize = 64;

type Searched<Req, R, W, K, M> = Found<
    Req,
    <<R as Reach<K, M, Req>>::Service as Service<Req>>::Future,
    <W as Way<<R as Reach<K, M, Req>>::Service, Req>>::Attempt,
    K,
    M,
    <R as Reach<K, M, Req>>::Service,
    <<R as Reach<K, M, Req>>::Service as Service<Req>>::Error,
>;

impl<K: Key, M: Send + Sync + 'static, R, W> Ground<K, M, R, W> {
    /// Finds a member that takes the call, and calls it.
    #[inline(always)]
    pub(crate) fn search<Req: 'static>(&self, mut req: Req, cx: &mut Context<'_>) -> Searched<Req, R, W, K, M>
    where
        R: Reach<K, M, Req>,
        W: Way<R::Service, Req>,
    {
        let common = &self.fleet.common;
        let now = common.at(Instant::now());
        self.fleet.tick(now);
        let set = self.fleet.set.load();
        let counted = set.max_in_flight.is_some();
        if set.max_in_flight.is_some_and(|most| !take_place(&common.in_flight, most)) {
            return self.refuse(Why::Full, req);
        }
        let place = Place(counted.then_some(&common.in_flight));
        let Some(entry) = self.choose(&set, &req) else {
            return self.nobody(&set, req);
        };
        let mut service = self.reach.service(&entry.service);
        if let Poll::Ready(Ok(())) = self.ask(entry, || service.poll_ready(cx)) {
            return match self.call(&mut service, entry, req, now, place) {
                Ok(called) => Found::Called(called),
                Err((refused, back)) => self.search_on(&set, back, Tried::refused(entry, refused), cx, now),
            };
        }
        req = self.reach.address(&entry.key, req);
        drop(place);
        self.search_on(&set, req, Tried::default(), cx, now)
    }

    /// Asks a member's service whether it is ready. One that panics is broken.
    #[inline(always)]
    fn ask<T>(&self, entry: &Entry<K, M>, ready: impl FnOnce() -> T) -> T {
        let breaks = Breaks { fleet: &self.fleet, entry };
        let out = ready();
        std::mem::forget(breaks);
        out
    }

    #[inline(always)]
    fn choose<'a, Req>(&self, set: &'a Set<K, M>, req: &Req) -> Option<&'a Arc<Entry<K, M>>>
    where
        R: Reach<K, M, Req>,
        W: Way<R::Service, Req>,
    {
        let (common, avoid) = (&self.fleet.common, W::avoid(req));
        let turn = common.turns.next();
        let hash = if let Choice::RingHash(_) = set.choice { self.way.hash(req) } else { None };
        if avoid.is_empty() {
            return set.choose(turn, hash, |_| false);
        }
        let elsewhere = set.choose(turn, hash, |id| avoid.contains(id));
        elsewhere.or_else(|| set.choose(turn, hash, |_| false))
    }

    /// Calls a member. A request that what stands before the member has refused comes back, with the refusal.
    #[inline(always)]
    #[allow(clippy::type_complexity, reason = "what a refused call leaves behind is a pair")]
    fn call<Req: 'static>(
        &self,
        service: &mut R::Service,
        entry: &Arc<Entry<K, M>>,
        req: Req,
        now: u64,
        place: Place<'_>,
    ) -> Result<
        Called<<R::Service as Service<Req>>::Future, W::Attempt>,
        (Called<<R::Service as Service<Req>>::Future, W::Attempt>, Req),
    >
    where
        R: Reach<K, M, Req>,
        W: Way<R::Service, Req>,
    {
        let req = self.reach.address(&entry.key, req);
        let attempt = self.way.start(&req);
        let mut running = Running::new(Permit::begin(&entry.seat, now, place.keep()), attempt);
        entry.seat.id.picked();
        let (future, back) = running.step(|| Unsent::watch(|| service.call(req)));
        match back {
            None => Ok(Called { future, running }),
            Some(back) => {
                running.refused();
                Err((Called { future, running }, back))
            }
        }
    }

    #[cold]
    fn nobody<Req: 'static>(&self, set: &Set<K, M>, req: Req) -> Searched<Req, R, W, K, M>
    where
        R: Reach<K, M, Req>,
        W: Way<R::Service, Req>,
    {
        if !set.wait.is_zero() {
            return Found::Nobody(req, set.wait);
        }
        let why = if set.entries.is_empty() { Why::NoEndpoints } else { Why::NoneUsable };
        self.refuse(why, req)
    }

    /// Refuses a request, and gives it back to who can send it elsewhere, as another balancer around this one.
    #[cold]
    pub(crate) fn refuse<Req: 'static>(&self, why: Why, req: Req) -> Searched<Req, R, W, K, M>
    where
        R: Reach<K, M, Req>,
        W: Way<R::Service, Req>,
    {
        self.fleet.common.counts.refused(why);
        let form = W::form(&req);
        Unsent::give_back(req);
        Found::Refused(why, form)
    }

    /// Looks further than the first choice, which was refused, broken or not ready.
    #[cold]
    fn search_on<Req: 'static>(
        &self,
        set: &Set<K, M>,
        mut req: Req,
        mut tried: Tried<<R::Service as Service<Req>>::Future, W::Attempt>,
        cx: &mut Context<'_>,
        now: u64,
    ) -> Searched<Req, R, W, K, M>
    where
        R: Reach<K, M, Req>,
        W: Way<R::Service, Req>,
    {
        let common = &self.fleet.common;
        let (avoid, mut failed) = (W::avoid(&req), None);
        let (mut unready, mut pending) = (Vec::new(), 0);
        let hash = if let Choice::RingHash(_) = set.choice { self.way.hash(&req) } else { None };
        loop {
            let next = self.next(set, hash, avoid, &tried.been);
            let Some(entry) = next.filter(|_| pending < PENDING) else { break };
            tried.been.push(entry.seat.id);
            let mut service = self.reach.service(&entry.service);
            match self.ask(entry, || service.poll_ready(cx)) {
                Poll::Pending => {
                    pending += 1;
                    if unready.len() < CANDIDATES {
                        unready.push(Candidate { entry: entry.clone(), service });
                    }
                }
                Poll::Ready(Err(error)) => {
                    self.fleet.breaks(&entry.seat);
                    failed = Some(error);
                }
                Poll::Ready(Ok(())) => {
                    let Some(place) = self.place(set) else {
                        return self.refuse(Why::Full, req);
                    };
                    match self.call(&mut service, entry, req, now, place) {
                        Ok(called) => {
                            common.counts.moved();
                            return Found::Called(called);
                        }
                        Err((refused, back)) => (tried.last, req) = (Some(refused), back),
                    }
                }
            }
        }
        if !unready.is_empty() {
            return Found::Unready(req, unready);
        }
        match (tried.last, failed) {
            (Some(refused), _) => {
                Unsent::give_back(req);
                Found::Called(refused)
            }
            (None, Some(error)) => {
                Unsent::give_back(req);
                Found::Failed(error)
            }
            (None, None) => self.nobody(set, req),
        }
    }

    fn next<'a>(
        &self,
        set: &'a Set<K, M>,
        hash: Option<u64>,
        avoid: Avoid,
        been: &[Endpoint],
    ) -> Option<&'a Arc<Entry<K, M>>> {
        let common = &self.fleet.common;
        let turn = common.turns.next();
        let fresh = set.choose(turn, hash, |id| avoid.contains(id) || been.contains(&id));
        fresh.or_else(|| set.choose(turn, hash, |id| been.contains(&id)))
    }

    /// Calls the first of the candidates that is ready now.
    pub(crate) fn poll_candidates<Req: 'static>(
        &self,
        req: Req,
        mut candidates: Vec<Candidate<K, M, R::Service>>,
        cx: &mut Context<'_>,
    ) -> Searched<Req, R, W, K, M>
    where
        R: Reach<K, M, Req>,
        W: Way<R::Service, Req>,
    {
        let set = self.fleet.set.load();
        let mut at = 0;
        while let Some(candidate) = candidates.get_mut(at) {
            match self.ask(&candidate.entry, || candidate.service.poll_ready(cx)) {
                Poll::Pending => at += 1,
                Poll::Ready(Err(_)) => {
                    let broken = candidates.swap_remove(at).entry;
                    self.fleet.breaks(&broken.seat);
                }
                Poll::Ready(Ok(())) => {
                    let Candidate { entry, mut service } = candidates.swap_remove(at);
                    let Some(place) = self.place(&set) else {
                        return self.refuse(Why::Full, req);
                    };
                    let now = self.fleet.common.now();
                    return match self.call(&mut service, &entry, req, now, place) {
                        Ok(called) => Found::Called(called),
                        Err((refused, back)) => {
                            self.search_on(&set, back, Tried::refused(&entry, refused), cx, now)
                        }
                    };
                }
            }
        }
        // Somebody else may have become ready meanwhile, or have joined; and whoever was broken is waited for no longer.
        if candidates.is_empty() { self.search(req, cx) } else { Found::Unready(req, candidates) }
    }

    /// A place among the calls that may be in flight, if there is one.
    fn place(&self, set: &Set<K, M>) -> Option<Place<'_>> {
        let in_flight = &self.fleet.common.in_flight;
        match set.max_in_flight {
            None => Some(Place(None)),
            Some(most) => take_place(in_flight, most).then_some(Place(Some(in_flight))),
        }
    }

    pub(crate) fn refusal(&self, why: Why) -> Refused {
        Refused::new(why.reason()).with_name(self.fleet.name_of())
    }
}

/// Dropped by a panic, while a member's service is asked whether it is ready.
struct Breaks<'a, K: Key, M: Send + Sync + 'static> {
    fleet: &'a Fleet<K, M>,
    entry: &'a Entry<K, M>,
}

impl<K: Key, M: Send + Sync + 'static> Drop for Breaks<'_, K, M> {
    #[cold]
    fn drop(&mut self) {
        self.fleet.breaks(&self.entry.seat);
    }
}

/// What a search has been through.
struct Tried<F, A> {
    been: Vec<Endpoint>,
    /// The last refusal of a member's own stack, to be answered with if there is nothing better.
    last: Option<Called<F, A>>,
}

impl<F, A> Default for Tried<F, A> {
    fn default() -> Self {
        Self { been: Vec::new(), last: None }
    }
}

impl<F, A> Tried<F, A> {
    fn refused<K, M>(entry: &Entry<K, M>, refused: Called<F, A>) -> Self {
        Self { been: vec![entry.seat.id], last: Some(refused) }
    }
}

/// A place among the calls in flight, given back unless a permit keeps it.
struct Place<'a>(Option<&'a std::sync::atomic::AtomicUsize>);

impl Place<'_> {
    #[inline]
    fn keep(mut self) -> bool {
        self.0.take().is_some()
    }
}

impl Drop for Place<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(in_flight) = self.0 {
            in_flight.fetch_sub(1, Relaxed);
        }
    }
}

fn take_place(in_flight: &std::sync::atomic::AtomicUsize, most: usize) -> bool {
    let taken = in_flight.fetch_update(Relaxed, Relaxed, |taken| (taken < most).then_some(taken + 1));
    taken.is_ok()
}
