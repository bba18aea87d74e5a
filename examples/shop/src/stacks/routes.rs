//! The routes of a service: the values of what stands before them, as the code has them.

use super::{BY_ADDRESS, FRONT, INSIDE};
use crate::parts::config::Name;
use bartizan::Deadline;
use bartizan::stack::ServerStack;
use std::time::Duration;

/// The stack before the routes of a service.
#[derive(Clone, Copy)]
pub struct Routes {
    pub(super) of: Name,
    pub(super) total: Duration,
    pub(super) breaker: bool,
}

pub(super) const fn routes(of: Name, total: Duration, breaker: bool) -> Routes {
    Routes { of, total, breaker }
}

impl Routes {
    /// The service that a policy knows them by.
    pub fn name(self) -> &'static str {
        self.of.as_str()
    }

    /// The values of the layers.
    pub fn stack(self) -> ServerStack {
        match self.of {
            Name::Gateway => ServerStack::new().deadline(self.total).limit(BY_ADDRESS).shed(FRONT),
            // The gateway has said how much it matters.
            _ => ServerStack::new().deadline(Deadline::new(self.total).trusted(true)).shed(INSIDE),
        }
    }
}
