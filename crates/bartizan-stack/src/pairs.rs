//! Which settings of a stack cannot work together. A part that is off fits with all others.

mod client;
mod server;
#[cfg(test)]
mod tests;

pub(crate) use client::client;
pub(crate) use server::server;

use crate::misfit::Misfit;
use bartizan_core::show::Time;
use bartizan_deadline::Deadline;
use std::time::Duration;

/// A time that ends a call, by the name of its setting.
#[derive(Clone, Copy)]
struct Bound(&'static str, Duration);

impl Bound {
    /// The earlier one.
    fn min(self, other: Self) -> Self {
        if other.1 < self.1 { other } else { self }
    }
}

/// Complains if `one` is longer than `other`.
fn longer(one: Bound, other: Bound, so: &str) -> Result<(), Misfit> {
    complain(one.1 > other.1, one, "is longer than", other, so)
}

/// Complains if `one` is not shorter than `other`.
fn not_shorter(one: Bound, other: Bound, so: &str) -> Result<(), Misfit> {
    complain(one.1 >= other.1, one, "is not shorter than", other, so)
}

fn complain(wrong: bool, one: Bound, is: &str, other: Bound, so: &str) -> Result<(), Misfit> {
    if wrong { Err(Misfit::new((one.0, &Time(one.1)), is, (other.0, &Time(other.1)), so)) } else { Ok(()) }
}

/// The times of one deadline: total, and time to the head.
fn within(deadline: &Deadline, total: &'static str, head: &'static str) -> Result<(), Misfit> {
    let head_timeout = deadline.longest_head();
    if !deadline.is_enabled() || head_timeout == Deadline::DEFAULT_HEAD_TIMEOUT {
        return Ok(());
    }
    let so = "it would never end a call";
    longer(Bound(head, head_timeout), Bound(total, deadline.total()), so)
}
