//! What layers are told of a policy: their values, when these change.

use super::super::failure::root;
use bartizan::policy::{Format, Policy, PolicyError};
use bartizan::stack::{ClientStack, ServerStack};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The values of one instance: those of the code, until a policy comes. Clones are the same.
#[derive(Clone, Default)]
pub struct Values(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Not as a policy: that would keep layers of its own.
    latest: Option<(Format, String)>,
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
    /// Tells the layers of a call what a policy makes of their values, now and each time that it changes.
    pub fn call(&self, name: &str, base: ClientStack, tell: impl FnMut(&ClientStack) + Send + 'static) {
        let mut state = self.state();
        let seat = Seat { name: name.to_owned(), base, tell: Box::new(tell) };
        let now = state.read().map(|policy| policy.and_then(|policy| seat.of(&policy)));
        state.calls.push(seat.told(now));
    }

    /// The same, for the layers before the routes of a service.
    pub fn routes(&self, name: &str, base: ServerStack, tell: impl FnMut(&ServerStack) + Send + 'static) {
        let mut state = self.state();
        let seat = Seat { name: name.to_owned(), base, tell: Box::new(tell) };
        let now = state.read().map(|policy| policy.and_then(|policy| seat.of(&policy)));
        state.routes.push(seat.told(now));
    }

    /// Takes over a policy, the whole of it or nothing.
    ///
    /// # Errors
    ///
    /// When it does not fit to what the code says.
    pub(super) fn take(&self, format: Format, text: String) -> Result<(), PolicyError> {
        let policy = Policy::parse(format, &text)?;
        let mut state = self.state();
        let calls = state.calls.iter().map(|seat| seat.of(&policy)).collect::<Result<Vec<_>, _>>()?;
        let routes = state.routes.iter().map(|seat| seat.of(&policy)).collect::<Result<Vec<_>, _>>()?;
        state.calls.iter_mut().zip(&calls).for_each(|(seat, stack)| (seat.tell)(stack));
        state.routes.iter_mut().zip(&routes).for_each(|(seat, stack)| (seat.tell)(stack));
        state.latest = Some((format, text));
        Ok(())
    }

    /// What a policy makes of the values of a call.
    ///
    /// # Errors
    ///
    /// When it does not fit to them.
    pub fn of_call(policy: &Policy, name: &str, base: ClientStack) -> Result<ClientStack, PolicyError> {
        Ok(policy.client_with(name, base)?.handle().stack())
    }

    /// What a policy makes of the values of routes.
    ///
    /// # Errors
    ///
    /// When it does not fit to them.
    pub fn of_routes(policy: &Policy, name: &str, base: ServerStack) -> Result<ServerStack, PolicyError> {
        Ok(policy.server_with(name, base)?.handle().stack())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn read(&self) -> Option<Result<Policy, PolicyError>> {
        self.latest.as_ref().map(|(format, text)| Policy::parse(*format, text))
    }
}

impl<S> Seat<S> {
    fn told(mut self, now: Option<Result<S, PolicyError>>) -> Self {
        match now {
            None => {}
            Some(Ok(stack)) => (self.tell)(&stack),
            Some(Err(error)) => tracing::warn!(name = self.name, error = root(&error), "it stays as it is"),
        }
        self
    }
}

impl Seat<ClientStack> {
    fn of(&self, policy: &Policy) -> Result<ClientStack, PolicyError> {
        Values::of_call(policy, &self.name, self.base.clone())
    }
}

impl Seat<ServerStack> {
    fn of(&self, policy: &Policy) -> Result<ServerStack, PolicyError> {
        Values::of_routes(policy, &self.name, self.base.clone())
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let calls: Vec<_> = state.calls.iter().map(|seat| &seat.name).collect();
        f.debug_struct("Values").field("calls", &calls).finish_non_exhaustive()
    }
}
