//! A call from one service to another: its values, as the code has them.

use super::{BREAKER, EJECTION, balance};
use crate::contracts::user::User;
use crate::parts::config::Name;
use bartizan::fallback::Stale;
use bartizan::http::Head;
use bartizan::stack::ClientStack;
use bartizan::{Budget, Hedge, Retry};
use bytes::Bytes;
use std::fmt;
use std::time::Duration;

/// The stack before a call. An attempt is what can be made again, within the total.
#[derive(Clone, Copy)]
pub struct Call {
    pub(super) from: Name,
    pub(super) to: Name,
    /// Which of the calls to the same service it is.
    pub(super) what: &'static str,
    attempt: Duration,
    total: Duration,
    pub(super) retries: u32,
    pub(super) hedged: bool,
    ejects: bool,
    pub(super) in_flight: usize,
    pub(super) waits: Duration,
    pub(super) stale: bool,
    pub(super) instead: Option<Instead>,
}

/// What is answered in the place of a service that cannot answer a request, if there is anything.
pub(super) type Instead = fn(&Head<'_>) -> Option<Bytes>;

impl Call {
    /// Lets nobody wait longer for a place in flight.
    pub(super) const fn waits(mut self, waits: Duration) -> Self {
        self.waits = waits;
        self
    }

    /// Makes a call that failed again, so often at most, if it may be repeated.
    pub(super) const fn retry(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Sends a copy of a call that takes longer than nearly all do, if it may be repeated.
    pub(super) const fn hedge(mut self) -> Self {
        self.hedged = true;
        self
    }

    /// Leaves a replica out for a while that fails more than the others.
    pub(super) const fn eject(mut self) -> Self {
        self.ejects = true;
        self
    }

    /// Shows the last good answer where there is no other, for as long as that itself allows.
    pub(super) const fn stale(mut self) -> Self {
        self.stale = true;
        self
    }

    /// Answers something else where there is no answer.
    pub(super) const fn instead(mut self, instead: Instead) -> Self {
        self.instead = Some(instead);
        self
    }

    /// What is said where there is no answer.
    pub(super) fn said(self) -> Instead {
        self.instead.unwrap_or(|_| None)
    }

    /// The values of its layers.
    pub fn stack(self) -> ClientStack {
        let balance = if self.ejects { balance().ejection(EJECTION) } else { balance() };
        ClientStack::new()
            .stale(Stale::new().enabled(self.stale))
            .deadline(self.total)
            .retry(Retry::new().max_retries(self.retries).enabled(self.retries > 0))
            .hedge(Hedge::new().enabled(self.hedged))
            .budget(Budget::new())
            .balance(balance)
            .breaker(BREAKER)
            .attempt(self.attempt)
    }

    /// The layers that can be switched off, outside in.
    pub fn layers(self) -> Vec<&'static str> {
        let layers = [
            ("fallback", self.instead.is_some()),
            ("stale", self.stale),
            ("deadline", true),
            ("retry", self.retries > 0),
            ("hedge", self.hedged),
            ("bulkhead", true),
            ("balance", true),
            ("ejection", self.ejects),
            ("breaker", true),
            ("attempt", true),
        ];
        layers.into_iter().filter_map(|(layer, is)| is.then_some(layer)).collect()
    }
}

/// `gateway->order POST`: by this a policy knows it.
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}->{}{}", self.from, self.to, self.what)
    }
}

pub(super) const fn call(
    from: Name,
    to: Name,
    what: &'static str,
    attempt: Duration,
    total: Duration,
    in_flight: usize,
) -> Call {
    assert!(attempt.as_nanos() <= total.as_nanos(), "an attempt must fit into the total");
    let (retries, hedged, ejects, stale) = (0, false, false, false);
    let (instead, waits) = (None, total);
    Call { from, to, what, attempt, total, retries, hedged, ejects, in_flight, waits, stale, instead }
}

/// Who buys, where nobody can tell. What else the user service is asked for, it alone can answer.
pub(super) fn somebody(head: &Head<'_>) -> Option<Bytes> {
    let user = || serde_json::to_vec(&User::somebody()).unwrap_or_default();
    head.uri.path().starts_with("/users/").then(|| user().into())
}
