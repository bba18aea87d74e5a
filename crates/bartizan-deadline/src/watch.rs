use crate::events;
use crate::reason::Reason;
use crate::settings::Flags;
use crate::shared::Shared;
use crate::span::Span;
use bartizan_core::{Instant, Refused};
use std::sync::Arc;

/// The state of the layer, held by a call only if somebody can read the counts or the call is to be learnt from: a clone of the
/// `Arc` is most of what a call under its own time-out would cost.
///
/// Dropped before the call was answered, it counts as abandoned.
#[derive(Debug)]
pub(crate) struct Watch {
    shared: Option<Arc<Shared>>,
    learning: Learning,
}

/// How long after the layer a call began that is to be learnt from; endless for any other.
pub(crate) type Learning = Span;

impl Watch {
    pub(crate) const NONE: Self = Self { shared: None, learning: Span::ENDLESS };

    /// Watches a call that begins `now`, which may be unknown where nothing is learnt.
    #[inline]
    pub(crate) fn new(shared: &Arc<Shared>, flags: Flags, now: Option<Instant>) -> Self {
        let mut learning = Span::ENDLESS;
        if let (true, Some(now)) = (flags.has(Flags::LEARN), now) {
            learning = Span::between(shared.born, now);
        }
        let watched = flags.has(Flags::WATCHED | Flags::LEARN);
        Self { shared: watched.then(|| shared.clone()), learning }
    }

    /// Hears that the call was answered, and how.
    #[inline]
    pub(crate) fn answered(&mut self, good: bool) {
        if let Some(shared) = self.shared.take() {
            settle(&shared, if good { self.learning } else { Span::ENDLESS });
        }
    }

    /// Hears that the call was answered, and hands on what it held.
    #[inline]
    pub(crate) fn release(&mut self) -> (Option<Arc<Shared>>, Learning) {
        (self.shared.take(), self.learning)
    }
}

/// Kept out of the way of a call that nobody watches.
#[inline(never)]
fn settle(shared: &Shared, learning: Learning) {
    shared.learn(learning);
}

impl Drop for Watch {
    #[inline]
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.counts.abandoned();
        }
    }
}

/// Ends a call that had reached the inner service.
#[cold]
pub(crate) fn end(shared: Option<&Shared>, reason: Reason) -> Refused {
    events::ended(shared.and_then(Shared::name), reason);
    shared.map_or_else(|| reason.refused(), |shared| shared.refused(reason))
}
