//! Simulations: the real layers through their `Service` impls, on a clock that moves when the simulation says so.

pub(crate) mod b1;
pub(crate) mod b2;
pub(crate) mod b3;
pub(crate) mod b4;
pub(crate) mod b6;
mod balancers;
pub(crate) mod c1;
pub(crate) mod c2;
mod call;
pub(crate) mod clock;
mod crew;
mod crowd;
mod dice;
mod fifo;
mod fleet;
pub(crate) mod h1;
pub(crate) mod h2;
pub(crate) mod h3;
mod hedges;
mod prequal;
pub(crate) mod r1;
pub(crate) mod r2;
pub(crate) mod r3;
mod retries;
mod rules;
mod stage;
mod subject;
