//! What is in a purse, and who gets it. No clock, no lock.

use crate::Instant;
use crate::budget::{Budget, TOKEN};
use crate::dice::Dice;
use crate::rate::Rate;

/// The tokens as they were when somebody last asked. Successes since then are known from their count alone.
///
/// To add them late is exact: between two askings the tokens only grow, so that it makes no difference whether they are cut at the
/// cap once or at every success.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ledger {
    budget: Budget,
    rate: Rate,
    /// In [`TOKEN`]s, as is the cap.
    tokens: u64,
    cap: u64,
    /// The successes that are in `tokens`.
    deposits: u64,
    /// The failures since the last success.
    streak: u32,
    counts: Counts,
}

/// What was asked for so far, and how it was answered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) retries: u64,
    pub(crate) hedges: u64,
    pub(crate) returned: u64,
    pub(crate) given_up: u64,
    pub(crate) unpaid_retries: u64,
    pub(crate) unpaid_hedges: u64,
}

impl Ledger {
    pub(crate) fn new(budget: Budget, now: Instant) -> Self {
        let tokens = u64::from(budget.min_tokens) * TOKEN;
        Self {
            budget,
            rate: Rate::new(now),
            tokens,
            cap: tokens,
            deposits: 0,
            streak: 0,
            counts: Counts::default(),
        }
    }

    /// Adds what has been paid in since. Comes before every decision.
    pub(crate) fn settle(&mut self, deposits: u64, now: Instant) {
        let new = deposits - self.deposits;
        self.deposits = deposits;
        if new > 0 {
            self.streak = 0;
        }
        let floor = u64::from(self.budget.min_tokens) * TOKEN;
        self.cap = self.rate.look(deposits, now, self.budget.cap, self.budget.ratio).max(floor);
        let earned = new.saturating_mul(self.budget.ratio);
        self.tokens = self.tokens.saturating_add(earned).min(self.cap);
    }

    /// Counts a failure, and says whether it may be retried.
    pub(crate) fn retry(&mut self, dice: &Dice) -> bool {
        self.fail();
        let odds = self.budget.persistence.powi(i32::try_from(self.streak - 1).unwrap_or(i32::MAX));
        if !dice.hits(odds) {
            self.counts.given_up += 1;
            return false;
        }
        // A failure that was charged has paid for its retry already.
        let paid = if self.budget.charge_failures { self.more_than_half() } else { self.take() };
        *(if paid { &mut self.counts.retries } else { &mut self.counts.unpaid_retries }) += 1;
        paid
    }

    /// Counts a failure that is not to be retried.
    pub(crate) fn fail(&mut self) {
        self.streak = self.streak.saturating_add(1);
        if self.budget.charge_failures {
            self.tokens = self.tokens.saturating_sub(TOKEN);
        }
    }

    /// Says whether a hedge may be sent.
    pub(crate) fn hedge(&mut self) -> bool {
        let paid = self.more_than_half() && self.take();
        *(if paid { &mut self.counts.hedges } else { &mut self.counts.unpaid_hedges }) += 1;
        paid
    }

    /// Takes a token back that was not spent. What is above the cap then is lost when it is settled next.
    pub(crate) fn give_back(&mut self) {
        self.tokens = self.tokens.saturating_add(TOKEN);
        self.counts.returned += 1;
    }

    /// Goes on with other settings. The tokens stay as far as the new cap allows, and so do the dice.
    pub(crate) fn update(&mut self, budget: Budget, now: Instant) {
        self.budget = budget;
        self.settle(self.deposits, now);
    }

    pub(crate) const fn budget(&self) -> Budget {
        self.budget
    }

    pub(crate) const fn more_than_half(&self) -> bool {
        self.tokens > self.cap / 2
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.tokens < TOKEN
    }

    pub(crate) fn tokens(&self) -> f64 {
        self.tokens as f64 / TOKEN as f64
    }

    pub(crate) fn cap(&self) -> f64 {
        self.cap as f64 / TOKEN as f64
    }

    pub(crate) const fn deposits(&self) -> u64 {
        self.deposits
    }

    pub(crate) const fn streak(&self) -> u32 {
        self.streak
    }

    pub(crate) const fn counts(&self) -> Counts {
        self.counts
    }

    fn take(&mut self) -> bool {
        let enough = !self.is_empty();
        if enough {
            self.tokens -= TOKEN;
        }
        enough
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
