use super::class::Class;
use super::state::{Pass, Shared};
use bartizan_core::{Admit, Kind, Permit, Reason, Refused, Refusing, Verdict};
use std::fmt;
use std::sync::Arc;

const REFUSES: Reason = Reason::new("throttle", Kind::Unavailable, "server refuses too much");

/// Policy of a [`ThrottleLayer`](super::ThrottleLayer).
#[derive(Clone, Debug)]
pub struct Throttling(pub(super) Arc<Shared>);

impl<Req> Admit<Req> for Throttling {
    type Permit = Ticket;

    #[inline]
    fn admit(&self, _: &Req) -> Result<Ticket, Refusing> {
        match self.0.admit(Class::current()) {
            Some(pass) => Ok(Ticket { shared: self.0.clone(), pass }),
            None => Err(Refusing::default()),
        }
    }

    #[cold]
    fn refuse(&self, _: Refusing) -> Refused {
        Refused::new(&REFUSES).with_name(self.0.name().cloned())
    }
}

/// Permit of a request that was let through. Dropped unrecorded, it counts as nothing.
pub struct Ticket {
    shared: Arc<Shared>,
    pass: Pass,
}

impl Permit for Ticket {
    #[inline]
    fn record(&mut self, verdict: Verdict) {
        self.shared.record(self.pass, verdict);
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("pass", &self.pass).finish_non_exhaustive()
    }
}
