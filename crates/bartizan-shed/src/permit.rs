use crate::fairness::Bucket;
use crate::predict::Leave;
use crate::shared::Shared;
use bartizan_core::{Permit, Verdict};
use std::fmt;
use std::sync::Arc;

/// What a request has taken, when it entered, and how it ended, in one word. With it a ticket is two words, which stay in registers on
/// their way to the future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pass(u64);

impl Pass {
    const TO_HEAD: u64 = 1;
    /// The prediction counts it.
    const PREDICTED: u64 = 1 << 1;
    const GOOD: u64 = 1 << 2;
    const FAILED: u64 = 1 << 3;
    /// It is known when it entered.
    const TIMED: u64 = 1 << 4;
    /// Its place has come back, or it never had one.
    const GONE: u64 = 1 << 5;
    /// One more than the class, or zero: five bits.
    const CLASS: u32 = 6;
    const CLASSES: u64 = (1 << 5) - 1;
    /// One more than the bucket, or zero: eleven bits.
    const BUCKET: u32 = 11;
    const BUCKETS: u64 = (1 << 11) - 1;
    /// When it entered, in ticks whose upper bits are cut off: what is in flight for longer than a day and a half seems shorter.
    const TIME: u32 = 22;
    /// Of 2^6 ns.
    const TICK: u32 = 6;

    #[inline]
    pub(crate) fn new(to_head: bool) -> Self {
        Self(if to_head { Self::TO_HEAD } else { 0 })
    }

    #[inline]
    pub(crate) fn entered_at(self, now: u64) -> Self {
        Self(self.0 & ((1 << Self::TIME) - 1) | Self::TIMED | now >> Self::TICK << Self::TIME)
    }

    #[inline]
    pub(crate) fn is_timed(self) -> bool {
        self.0 & Self::TIMED != 0
    }

    /// The nanoseconds since it entered.
    #[inline]
    pub(crate) fn took(self, now: u64) -> u64 {
        // With a sign, as another thread may have read the clock a little later.
        let ticks = ((now >> Self::TICK << Self::TIME) as i64)
            .wrapping_sub((self.0 >> Self::TIME << Self::TIME) as i64);
        ((ticks >> Self::TIME).max(0) as u64) << Self::TICK
    }

    pub(crate) fn of_class(self, class: usize) -> Self {
        // What lies beyond has no share.
        let class = if class < Self::CLASSES as usize { class as u64 + 1 } else { 0 };
        Self(self.0 & !(Self::CLASSES << Self::CLASS) | class << Self::CLASS)
    }

    pub(crate) fn in_bucket(self, bucket: Bucket) -> Self {
        let bucket = (u64::from(bucket.0) + 1) & Self::BUCKETS;
        Self(self.0 & !(Self::BUCKETS << Self::BUCKET) | bucket << Self::BUCKET)
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
        (self.0 >> Self::CLASS & Self::CLASSES).checked_sub(1).map(|class| class as usize)
    }

    pub(crate) fn bucket(self) -> Option<Bucket> {
        (self.0 >> Self::BUCKET & Self::BUCKETS).checked_sub(1).map(|bucket| Bucket(bucket as u16))
    }

    /// Neither in a class nor in a bucket.
    #[inline]
    pub(crate) fn is_single(self) -> bool {
        const BOTH: u64 = Pass::CLASSES << Pass::CLASS | Pass::BUCKETS << Pass::BUCKET;
        self.0 & BOTH == 0
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

/// Permit of an admitted request: its place, which comes back when this is dropped, or at the head of the answer where bodies
/// [do not count](crate::Shed::count_bodies).
pub struct Ticket {
    shared: Arc<Shared>,
    pass: Pass,
}

impl Ticket {
    #[inline]
    pub(crate) fn new(shared: Arc<Shared>, pass: Pass) -> Self {
        Self { shared, pass }
    }

    #[inline]
    pub(crate) fn exempt(shared: Arc<Shared>) -> Self {
        Self { shared, pass: Pass(Pass::GONE) }
    }

    #[inline(always)]
    fn give_back(&mut self) {
        if self.pass.0 & Pass::GONE == 0 {
            self.pass.0 |= Pass::GONE;
            self.shared.leave(self.pass);
        }
    }
}

impl Permit for Ticket {
    #[inline]
    fn record(&mut self, verdict: Verdict) {
        self.pass.0 |= match verdict {
            Verdict::Success => Pass::GOOD,
            Verdict::Ignored => 0,
            _ => Pass::FAILED,
        };
        if self.pass.is_to_head() {
            self.give_back();
        }
    }

    #[inline]
    fn streaming(&mut self) {
        if self.pass.is_to_head() {
            self.pass.0 |= Pass::GOOD;
            self.give_back();
        }
    }
}

impl Drop for Ticket {
    #[inline(always)]
    fn drop(&mut self) {
        self.give_back();
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("pass", &self.pass).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_keeps_what_was_taken() {
        let pass = Pass::new(true);
        assert!(pass.is_single() && pass.is_to_head() && !pass.is_predicted() && !pass.is_timed());
        let pass = pass.of_class(15).in_bucket(Bucket(1023)).predicted().entered_at(640);
        assert_eq!((pass.class(), pass.bucket(), pass.is_predicted()), (Some(15), Some(Bucket(1023)), true));
        assert!(!pass.is_single() && pass.is_to_head() && pass.is_timed());
        let pass = pass.of_class(0).in_bucket(Bucket(0));
        assert_eq!((pass.class(), pass.bucket(), pass.took(640)), (Some(0), Some(Bucket(0)), 0));
        assert_eq!(pass.of_class(usize::MAX).class(), None);
        assert_eq!(pass.end(), Leave::Left);
    }

    #[test]
    fn a_pass_knows_how_long_it_took_to_a_tick() {
        const WRAPS: u64 = 1 << 48;
        let pass = Pass::new(false).of_class(3);
        for (entered, now) in
            [(0, 0), (640, 6_400), (63, 64), (WRAPS - 64, WRAPS + 64), (9 * WRAPS, 9 * WRAPS + 999)]
        {
            let took = pass.entered_at(entered).took(now);
            assert!(took.abs_diff(now - entered) <= 64, "{entered} {now} {took}");
        }
        assert_eq!(pass.entered_at(640).took(64), 0, "read earlier");
        assert_eq!(pass.entered_at(640).class(), Some(3));
    }

    #[test]
    fn a_ticket_is_two_words_and_so_is_what_stands_for_a_refusal() {
        assert_eq!(size_of::<Ticket>(), 16);
        assert_eq!(size_of::<Result<Ticket, bartizan_core::Refusing>>(), 16);
    }
}
