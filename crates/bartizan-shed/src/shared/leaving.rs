//! How a request gives back what it has taken, and what is learnt from it.

use super::Shared;
use crate::permit::Pass;
use crate::predict::Leave;
use bartizan_core::Instant;
use std::sync::Arc;

impl Shared {
    /// Gives back what a request has taken.
    ///
    /// Out of line, so that a ticket need not be written to memory to be dropped.
    #[inline(never)]
    pub(crate) fn leave(self: &Arc<Self>, pass: Pass) {
        if pass.is_timed() {
            self.learn(pass);
        }
        if !pass.is_single() {
            self.leave_groups(pass);
        }
        if self.gate.leave() {
            self.dispatch();
        }
    }

    #[inline(never)]
    fn learn(&self, pass: Pass) {
        let waiting = self.waiting();
        if !pass.is_predicted() && waiting.is_none() {
            return;
        }
        let now = self.since_born(Instant::now());
        let took = pass.took(now);
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
