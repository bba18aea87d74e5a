use crate::shared::Shared;
use bartizan_again::Spare;
use bartizan_core::Instant;
use std::sync::Arc;

/// Learns how long the first copy of a call took. Dropped before it ended, another has won or the caller has left, and it took at least
/// so long.
pub(crate) struct Watch<S> {
    pub(crate) spare: Arc<Spare<S, Shared>>,
    /// When the first copy was found pending; none before, and once it has ended.
    began: Option<Instant>,
}

impl<S> Watch<S> {
    #[inline(always)]
    pub(crate) const fn new(spare: Arc<Spare<S, Shared>>) -> Self {
        Self { spare, began: None }
    }

    pub(crate) fn begin(&mut self, now: Instant) {
        self.began = Some(now);
    }

    /// Hears that the first copy has ended, and says whether it had been pending.
    #[inline(always)]
    pub(crate) fn ended(&mut self, good: bool) -> bool {
        match self.began.take() {
            None => false,
            // Failures are fast, and say nothing about how long it takes to succeed.
            Some(_) if !good => true,
            Some(began) => {
                self.learn(began, false);
                true
            }
        }
    }

    /// Hears that the first copy is given up.
    #[inline(always)]
    pub(crate) fn cut(&mut self) {
        if let Some(began) = self.began.take() {
            self.learn(began, true);
        }
    }

    /// Out of the way of a call that was answered at once.
    #[inline(never)]
    fn learn(&self, began: Instant, cut: bool) {
        self.spare.learn(Instant::now().saturating_duration_since(began), cut);
    }
}

impl<S> Drop for Watch<S> {
    #[inline(always)]
    fn drop(&mut self) {
        self.cut();
    }
}
