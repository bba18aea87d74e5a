//! Our balancer.

use bartizan_balance::{Balance, BalanceService, Change, Handle, Own, TypedWay};

pub(crate) use bartizan_balance::{Balance as BalanceSettings, Choice, Ejection};

/// A balancer of the typed flavour, whose endpoints have numbers.
pub(crate) type Typed<S> = BalanceService<usize, S, Own, TypedWay>;

/// A balancer over so many endpoints.
pub(crate) fn balance<S: Send + Sync + 'static>(
    settings: Balance,
    endpoints: usize,
    make: impl Fn(usize) -> S + Send + Sync + 'static,
) -> Typed<S> {
    BalanceService::new(settings, move |&endpoint: &usize| make(endpoint)).typed().members(0..endpoints)
}

/// Has an endpoint come.
pub(crate) fn join(handle: &Handle<usize>, endpoint: usize) {
    handle.change(Change::Insert(endpoint.into()));
}

/// Has it go.
pub(crate) fn leave(handle: &Handle<usize>, endpoint: usize) {
    handle.change(Change::Remove(endpoint));
}
