//! How a request gives back what it has taken, and what is learnt from it.

use super::Shared;
use crate::permit::{Entry, NEVER, Pass};
use crate::predict::Leave;
use bartizan_core::Instant;
use std::sync::Arc;

impl Shared {
    /// Gives back what a request has taken.
    #[inline]
    pub(crate) fn leave(self: &Arc<Self>, Entry { pass, entered }: Entry) {
        if entered != NEVER {
            self.learn(pass, entered);
        }
        if !pass.is_single() {
            self.leave_groups(pass);
        }
        if self.gate.leave() {
            self.dispatch();
        }
    }

    #[inline(never)]
    fn learn(&self, pass: Pass, entered: u64) {
        let waiting = self.waiting();
        if !pass.is_predicted() && waiting.is_none() {
            return;
        }
        let now = self.since_born(Instant::now());
        let took = now.saturating_sub(entered);
        if pass.is_predicted() {
            self.predictor.leave_after(took, now, pass.end());
        }
        if let Some(waiting) = waiting.filter(|_| pass.end() == Leave::Good) {
            waiting.learn(took);
        }
    }

    #[cold]
    fn leave_groups(&self, pass: Pass) {
        if let Some((classes, class)) = self.classes.get().zip(pass.class()) {
            classes.leave(class);
        }
        if let Some((fairness, bucket)) = self.fairness.get().zip(pass.bucket()) {
            fairness.leave(bucket);
        }
    }
}
