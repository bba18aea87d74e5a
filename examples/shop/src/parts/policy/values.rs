//! What layers are told of a policy: their values, when these change.

use bartizan::policy::{Policy, PolicyError};
use bartizan::stack::{ClientStack, ServerStack};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The values of one instance: those of the code, until a policy says something else. Clones are the same.
#[derive(Clone)]
pub struct Values(Arc<Mutex<State>>);

struct State {
    policy: Policy,
    calls: Vec<Seat<ClientStack>>,
    routes: Vec<Seat<ServerStack>>,
}

/// Layers that are told.
struct Seat<S> {
    name: String,
    /// What the code says. A policy changes what it names.
    base: S,
    tell: Box<dyn FnMut(&S) + Send>,
}

impl Values {
    /// Tells the layers of a call what the policy makes of their values, now and each time that it changes.
    pub fn call(&self, name: &str, base: ClientStack, tell: impl FnMut(&ClientStack) + Send + 'static) {
        let mut state = self.state();
        let mut seat = Seat { name: name.to_owned(), base, tell: Box::new(tell) };
        told(seat.of_call(&state.policy).map(|stack| (seat.tell)(&stack)));
        state.calls.push(seat);
    }

    /// The same, for the layers before the routes of a service.
    pub fn routes(&self, name: &str, base: ServerStack, tell: impl FnMut(&ServerStack) + Send + 'static) {
        let mut state = self.state();
        let mut seat = Seat { name: name.to_owned(), base, tell: Box::new(tell) };
        told(seat.of_routes(&state.policy).map(|stack| (seat.tell)(&stack)));
        state.routes.push(seat);
    }

    /// Holds to a policy from here on.
    pub(super) fn heed(&self, policy: Policy) {
        self.state().policy = policy;
        self.tell();
    }

    /// Tells all layers what the policy makes of their values now; or none, when it does not fit to what the code says of one.
    pub(super) fn tell(&self) {
        let State { policy, calls, routes } = &mut *self.state();
        let stacks = || {
            let calls = calls.iter().map(|seat| seat.of_call(policy)).collect::<Result<Vec<_>, _>>()?;
            let routes = routes.iter().map(|seat| seat.of_routes(policy)).collect::<Result<Vec<_>, _>>()?;
            Ok((calls, routes))
        };
        told(stacks().map(|(of_calls, of_routes)| {
            calls.iter_mut().zip(&of_calls).for_each(|(seat, stack)| (seat.tell)(stack));
            routes.iter_mut().zip(&of_routes).for_each(|(seat, stack)| (seat.tell)(stack));
        }));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Values {
    fn default() -> Self {
        let state = State { policy: Policy::empty(), calls: Vec::new(), routes: Vec::new() };
        Self(Arc::new(Mutex::new(state)))
    }
}

impl Seat<ClientStack> {
    fn of_call(&self, policy: &Policy) -> Result<ClientStack, PolicyError> {
        policy.client_stack(&self.name, &self.base)
    }
}

impl Seat<ServerStack> {
    fn of_routes(&self, policy: &Policy) -> Result<ServerStack, PolicyError> {
        policy.server_stack(&self.name, &self.base)
    }
}

fn told(told: Result<(), PolicyError>) {
    if let Err(why) = told {
        tracing::warn!(%why, "the policy does not fit to the code, and changes nothing");
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Values").field("policy", &self.state().policy).finish_non_exhaustive()
    }
}
