//! Our standard stacks, as they come. Nothing is set but what an experiment itself says, and the seeds of the dice.

use std::time::Duration;

use bartizan_stack::{ClientLayer, ClientService, ClientStack, ServerLayer, ServerService, ServerStack};
use tower_layer::Layer;

/// The name that its rows have.
pub(crate) const NAME: &str = "ours, standard stack";

/// The stack of a server around `inner`.
pub(crate) fn server<S>(inner: S, seed: u64) -> ServerService<S> {
    let stack = ServerStack::new();
    let shed = stack.shed_value().seed(seed);
    ServerLayer::new(stack.shed(shed)).layer(inner)
}

/// The stack of a client around `inner`, with so many attempts.
pub(crate) fn client<S>(inner: S, attempts: u32, seed: u64) -> ClientService<S> {
    ClientLayer::new(standard(attempts, seed)).layer(inner)
}

/// The same with attempts that may take so long.
pub(crate) fn timed_client<S>(inner: S, attempts: u32, attempt: Duration, seed: u64) -> ClientService<S> {
    let stack = standard(attempts, seed);
    let fits = attempt == stack.attempt_value().total();
    // Where it is another than by default, the call has the time for all of them.
    let stack = if fits { stack } else { stack.attempt(attempt).deadline(attempt * attempts) };
    ClientLayer::new(stack).layer(inner)
}

fn standard(attempts: u32, seed: u64) -> ClientStack {
    let stack = ClientStack::new();
    let (budget, breaker) = (stack.budget_value().seed(seed), stack.breaker_value().seed(seed));
    let retry = stack.retry_value().clone().max_retries(attempts - 1).seed(seed);
    stack.retry(retry).budget(budget).breaker(breaker)
}
