use crate::events;
use crate::reason::Reason;
use crate::settings::Flags;
use crate::shared::Shared;
use bartizan_core::{Instant, Refused, Verdict};
use bartizan_http::{AtEnd, End, HttpAtEnd};
use std::sync::Arc;

/// The state of the layer, held by a call only if somebody can read the counts or the call is to be learnt from: a clone of the
/// `Arc` is most of what a call under its own time-out would cost.
///
/// Dropped before the call was answered, it counts as abandoned.
#[derive(Debug)]
pub(crate) struct Watch {
    shared: Option<Arc<Shared>>,
    /// When the call began, if it is to be learnt from.
    pub(crate) learning: Option<Instant>,
}

impl Watch {
    pub(crate) const NONE: Self = Self { shared: None, learning: None };

    /// Watches a call that begins `now`, which may be unknown where nothing is learnt.
    #[inline]
    pub(crate) fn new(shared: &Arc<Shared>, flags: Flags, now: Option<Instant>) -> Self {
        let learning = if flags.has(Flags::LEARN) { now } else { None };
        let watched = flags.has(Flags::WATCHED) || learning.is_some();
        Self { shared: watched.then(|| shared.clone()), learning }
    }

    /// Hears that the call was answered, and hands on the state.
    #[inline]
    pub(crate) fn answered(&mut self) -> Option<Arc<Shared>> {
        self.shared.take()
    }
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

/// What is to be learnt once the body of an answer has ended.
#[derive(Debug)]
pub(crate) struct Lesson {
    shared: Arc<Shared>,
    began: Instant,
    at_end: HttpAtEnd,
}

impl Lesson {
    pub(crate) const fn new(shared: Arc<Shared>, began: Instant, at_end: HttpAtEnd) -> Self {
        Self { shared, began, at_end }
    }

    /// Learns from a success. A body that is dropped before its end tells nothing, and its lesson is dropped with it.
    pub(crate) fn finish(self, end: End<'_>) {
        if self.at_end.finish(end) == Verdict::Success {
            self.shared.learn(Instant::now().saturating_duration_since(self.began));
        }
    }
}
