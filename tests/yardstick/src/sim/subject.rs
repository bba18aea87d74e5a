//! Who is simulated: ours and the published rules, all as services around the same inner one.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bartizan_core::{Kind, Reason, Refused};
use tokio::time::Instant;
use tower_service::Service;

use super::rules::{FiveInARow, Machine, Never, Polly, Resilience4j, Rule};
use crate::{board::Role, ground::Fault, ours::Variant};

/// Whose calls a simulation counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Peer(Peer),
    Ours(Variant),
}

impl Subject {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Peer(peer) => peer.name(),
            Self::Ours(Variant::ServiceWide) => "ours, service-wide default",
            Self::Ours(Variant::Endpoint) => "ours, endpoint rule",
            Self::Ours(Variant::AtOnce) => "ours, closing at once",
        }
    }

    pub(crate) fn role(self) -> Role {
        match self {
            Self::Peer(Peer::None) => Role::Bare,
            Self::Peer(_) => Role::Peer,
            Self::Ours(Variant::AtOnce) => Role::Aside,
            Self::Ours(_) => Role::Ours,
        }
    }
}

/// A published rule that can stand in the place of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    None,
    Resilience4j,
    Polly,
    FiveInARow,
}

impl Peer {
    pub(crate) const ALL: [Self; 4] = [Self::None, Self::Resilience4j, Self::Polly, Self::FiveInARow];

    fn name(self) -> &'static str {
        match self {
            Self::None => "no breaker",
            Self::Resilience4j => Resilience4j::NAME,
            Self::Polly => Polly::NAME,
            Self::FiveInARow => FiveInARow::NAME,
        }
    }

    fn rule(self, seed: u64) -> Box<dyn Rule> {
        match self {
            Self::None => Box::new(Never),
            Self::Resilience4j => Box::new(Resilience4j::new()),
            Self::Polly => Box::new(Polly::default()),
            Self::FiveInARow => Box::new(FiveInARow::new(seed)),
        }
    }

    /// The rule around `inner`, on the clock of the current runtime.
    pub(crate) fn around<S>(self, inner: S, seed: u64) -> Ruled<S> {
        let machine = Rc::new(RefCell::new(Machine::new(self.rule(seed))));
        Ruled { inner, clocked: Clocked { machine, start: Instant::now() } }
    }
}

/// A service behind a published rule.
pub(crate) struct Ruled<S> {
    inner: S,
    clocked: Clocked,
}

#[derive(Clone)]
struct Clocked {
    machine: Rc<RefCell<Machine>>,
    start: Instant,
}

impl Clocked {
    fn now(&self) -> Duration {
        Instant::now() - self.start
    }
}

impl<S> Ruled<S> {
    /// What tells how often it has tripped.
    pub(crate) fn trips(&self) -> impl Fn() -> u64 + use<S> {
        let machine = Rc::clone(&self.clocked.machine);
        move || machine.borrow().trips()
    }
}

impl<S, Req> Service<Req> for Ruled<S>
where
    S: Service<Req, Error = Fault>,
    S::Future: Unpin,
{
    type Response = S::Response;
    type Error = Fault;
    type Future = RuledFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let admitted = self.clocked.machine.borrow_mut().admit(self.clocked.now());
        RuledFuture(admitted.map(|generation| (self.inner.call(request), self.clocked.clone(), generation)))
    }
}

/// Future of [`Ruled`]; empty when the rule refused.
pub(crate) struct RuledFuture<F>(Option<(F, Clocked, u64)>);

impl<F: Future<Output = Result<T, Fault>> + Unpin, T> Future for RuledFuture<F> {
    type Output = Result<T, Fault>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some((inner, clocked, generation)) = &mut self.0 else {
            return Poll::Ready(Err(
                Refused::new(const { &Reason::new("rule", Kind::Unavailable, "open") }).into()
            ));
        };
        let output = ready!(Pin::new(inner).poll(cx));
        clocked.machine.borrow_mut().record(clocked.now(), *generation, output.is_err());
        Poll::Ready(output)
    }
}
