//! Simulations: the real layers through their `Service` impls, on a clock that moves when the simulation says so.

pub(crate) mod c1;
pub(crate) mod c2;
mod call;
pub(crate) mod clock;
mod crew;
mod dice;
mod fifo;
pub(crate) mod h1;
pub(crate) mod h2;
pub(crate) mod h3;
mod hedges;
pub(crate) mod r1;
pub(crate) mod r2;
pub(crate) mod r3;
mod retries;
mod rules;
mod stage;
mod subject;
