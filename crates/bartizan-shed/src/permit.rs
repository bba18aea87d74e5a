use crate::fairness::Bucket;
use crate::predict::Leave;
use crate::shared::Shared;
use bartizan_core::{Permit, Priority, Verdict};
use std::fmt;
use std::sync::Arc;

/// What a request has taken, and how it ended, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pass(u64);

impl Pass {
    const NONE: u64 = 0xffff;
    const CLASS: u32 = 8;
    const BUCKET: u32 = 24;
    const TO_HEAD: u64 = 1 << 40;
    /// The prediction counts it.
    const PREDICTED: u64 = 1 << 41;
    const GOOD: u64 = 1 << 42;
    const FAILED: u64 = 1 << 43;

    #[inline]
    pub(crate) fn new(priority: Priority, to_head: bool) -> Self {
        let to_head = if to_head { Self::TO_HEAD } else { 0 };
        Self(u64::from(priority.level()) | Self::NONE << Self::CLASS | Self::NONE << Self::BUCKET | to_head)
    }

    pub(crate) fn of_class(self, class: usize) -> Self {
        Self(self.0 & !(Self::NONE << Self::CLASS) | (class as u64).min(Self::NONE) << Self::CLASS)
    }

    pub(crate) fn in_bucket(self, bucket: Bucket) -> Self {
        Self(self.0 & !(Self::NONE << Self::BUCKET) | u64::from(bucket.0) << Self::BUCKET)
    }

    #[inline]
    pub(crate) fn predicted(self) -> Self {
        Self(self.0 | Self::PREDICTED)
    }

    #[inline]
    pub(crate) fn is_predicted(self) -> bool {
        self.0 & Self::PREDICTED != 0
    }

    pub(crate) fn class(self) -> Option<usize> {
        let class = self.0 >> Self::CLASS & Self::NONE;
        (class != Self::NONE).then_some(class as usize)
    }

    pub(crate) fn bucket(self) -> Option<Bucket> {
        let bucket = self.0 >> Self::BUCKET & Self::NONE;
        (bucket != Self::NONE).then_some(Bucket(bucket as u16))
    }

    /// Neither in a class nor in a bucket.
    #[inline]
    pub(crate) fn is_single(self) -> bool {
        const BOTH: u64 = Pass::NONE << Pass::CLASS | Pass::NONE << Pass::BUCKET;
        self.0 & BOTH == BOTH
    }

    #[inline]
    fn is_to_head(self) -> bool {
        self.0 & Self::TO_HEAD != 0
    }

    #[inline]
    pub(crate) fn end(self) -> Leave {
        if self.0 & Self::GOOD != 0 {
            Leave::Good
        } else if self.0 & Self::FAILED != 0 {
            Leave::Failed
        } else {
            Leave::Left
        }
    }
}

/// What an admitted request has taken, and when, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) pass: Pass,
    /// When it entered, in nanoseconds since the layer was born, or [`NEVER`] where that does not matter.
    pub(crate) entered: u64,
}

/// No time at all.
pub(crate) const NEVER: u64 = u64::MAX;

/// Permit of an admitted request: its place, which comes back when this is dropped, or at the head of the answer where bodies
/// [do not count](crate::Shed::count_bodies).
pub struct Ticket {
    /// None of one that is exempt, or whose place has come back.
    shared: Option<Arc<Shared>>,
    entry: Entry,
}

impl Ticket {
    #[inline]
    pub(crate) fn new(shared: Arc<Shared>, entry: Entry) -> Self {
        Self { shared: Some(shared), entry }
    }

    #[inline]
    pub(crate) fn exempt() -> Self {
        Self { shared: None, entry: Entry { pass: Pass(0), entered: NEVER } }
    }

    #[inline]
    fn give_back(&mut self) {
        if let Some(shared) = self.shared.take() {
            shared.leave(self.entry);
        }
    }
}

impl Permit for Ticket {
    #[inline]
    fn record(&mut self, verdict: Verdict) {
        self.entry.pass.0 |= match verdict {
            Verdict::Success => Pass::GOOD,
            Verdict::Ignored => 0,
            _ => Pass::FAILED,
        };
        if self.entry.pass.is_to_head() {
            self.give_back();
        }
    }

    #[inline]
    fn streaming(&mut self) {
        if self.entry.pass.is_to_head() {
            self.entry.pass.0 |= Pass::GOOD;
            self.give_back();
        }
    }
}

impl Drop for Ticket {
    #[inline]
    fn drop(&mut self) {
        self.give_back();
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("pass", &self.entry.pass).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_keeps_what_was_taken() {
        let pass = Pass::new(Priority::SHEDDABLE, true);
        assert!(pass.is_single() && pass.is_to_head() && !pass.is_predicted());
        let pass = pass.of_class(15).in_bucket(Bucket(1023)).predicted();
        assert_eq!((pass.class(), pass.bucket(), pass.is_predicted()), (Some(15), Some(Bucket(1023)), true));
        assert!(!pass.is_single() && pass.is_to_head());
        assert_eq!(Pass::new(Priority::NORMAL, false).of_class(usize::MAX).class(), None);
        assert_eq!(pass.end(), Leave::Left);
    }
}
