//! What a client stack makes of what was set: what is left as it is by default fits itself to the rest.

use crate::client_stack::ClientStack;
use bartizan_breaker::Breaker;
use bartizan_fallback::Stale;
use bartizan_hedge::Hedge;
use bartizan_retry::Retry;

impl ClientStack {
    /// The last good answer, which who waits for it gets as late as an attempt may end. One that was not set is off.
    pub(crate) fn fit_stale(&self) -> Stale {
        let attempt = self.attempt_value();
        let Some(stale) = self.set_stale().cloned() else { return Stale::new().enabled(false) };
        let is_default = stale.longest_lease() == Stale::DEFAULT_LEASE;
        if is_default && attempt.is_enabled() && attempt.total() > Stale::DEFAULT_LEASE {
            return stale.lease(attempt.total());
        }
        stale
    }

    /// The retry with the budget that pays for it. It waits for nobody until no time is left.
    pub(crate) fn fit_retry(&self) -> Retry {
        let (retry, attempt) = (self.retry_value().clone().budget(self.budget_value()), self.attempt_value());
        let (total, is_default) =
            (self.deadline_value().total(), retry.longest_hint() == Retry::DEFAULT_MAX_HINT);
        if !is_default || !self.deadline_value().is_enabled() || !attempt.is_enabled() {
            return retry;
        }
        let left = total.saturating_sub(attempt.total()).max(total / 2);
        retry.max_hint(left.min(Retry::DEFAULT_MAX_HINT))
    }

    /// The hedge around one host, or over several endpoints. One that was not set asks for no more than there is.
    pub(crate) fn fit_hedge(&self, is_spread: bool) -> Hedge {
        let (hedge, ratio) = (self.hedge_value().clone(), self.budget_value().share());
        match (self.set_hedge(), is_spread) {
            (Some(_), _) => hedge,
            (None, true) if ratio >= Hedge::DEFAULT_EXTRA => hedge,
            (None, true) if ratio > 0.0 => hedge.extra(ratio),
            (None, _) => hedge.enabled(false),
        }
    }

    /// The breaker, whose probes keep their places for as long as an attempt may take.
    pub(crate) fn fit_breaker(&self) -> Breaker {
        let (breaker, attempt) = (*self.breaker_value(), self.attempt_value());
        let is_default = breaker.lease() == Breaker::DEFAULT_PROBE_LEASE;
        if is_default && attempt.is_enabled() && attempt.total() > Breaker::DEFAULT_PROBE_LEASE {
            return breaker.probe_lease(attempt.total());
        }
        breaker
    }
}
