//! Simulations: the real layers through their `Service` impls, on a clock that moves when the simulation says so.

pub(crate) mod c1;
pub(crate) mod c2;
mod clock;
mod crew;
mod rules;
mod subject;
