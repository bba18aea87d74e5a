use crate::shared::Shared;
use bartizan_core::{Admit, Instant, Permit, Refused, Refusing, Verdict};
use std::fmt;
use std::sync::Arc;

/// Policy of a [`MeterLayer`](crate::MeterLayer). It admits everything.
#[derive(Clone, Debug)]
pub struct Metering(pub(crate) Arc<Shared>);

impl<Req> Admit<Req> for Metering {
    type Permit = Ticket;

    #[inline]
    fn admit(&self, _: &Req) -> Result<Ticket, Refusing> {
        Ok(Ticket(self.0.is_enabled().then(|| {
            self.0.begin();
            Call { shared: self.0.clone(), began: Instant::now(), verdict: None }
        })))
    }

    #[cold]
    fn refuse(&self, _: Refusing) -> Refused {
        unreachable!("a meter never says that it refuses")
    }
}

/// Permit of a call, which counts it when it is dropped; empty while the meter is off.
pub struct Ticket(Option<Call>);

struct Call {
    shared: Arc<Shared>,
    began: Instant,
    verdict: Option<Verdict>,
}

impl Permit for Ticket {
    #[inline]
    fn record(&mut self, verdict: Verdict) {
        if let Some(call) = &mut self.0 {
            call.verdict = Some(verdict);
        }
    }
}

impl Drop for Call {
    #[inline]
    fn drop(&mut self) {
        let duration = Instant::now().saturating_duration_since(self.began);
        self.shared.end(self.verdict, duration);
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("counts", &self.0.is_some()).finish()
    }
}
