use bartizan_core::{Kind, Name, Reason, Refused, Refusing};

/// Why a request is refused, and for how long: one word, which stays in a register on the way to its refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Denial(u64);

const OVER: u64 = 0;
const COSTLY: u64 = 1;
const CROWDED: u64 = 2;
const SLOW: u64 = 3;

const CODE: u32 = 2;
const UNKNOWN: u64 = u64::MAX >> CODE;

/// By their codes.
static REASONS: [&Reason; 4] = {
    const fn reason(text: &'static str) -> Reason {
        Reason::new("limit", Kind::Exhausted, text)
    }
    [
        &const { reason("over the limit") },
        &const { reason("costs more than the burst") },
        &const { reason("too many waiting") },
        &const { reason("would wait too long") },
    ]
};

impl Denial {
    /// How many reasons there are.
    pub(crate) const REASONS: usize = REASONS.len();

    /// However long it waits, there will never be so many tokens.
    pub(crate) const COSTLY: Self = Self::new(COSTLY, UNKNOWN);

    const fn new(code: u64, wait: u64) -> Self {
        Self(code | wait << CODE)
    }

    /// There are too few tokens, for so many nanoseconds more.
    #[inline]
    pub(crate) fn over(wait: u64) -> Self {
        Self::new(OVER, wait.min(UNKNOWN))
    }

    /// So many wait already that no more are let in.
    pub(crate) fn crowded(wait: u64) -> Self {
        Self::new(CROWDED, wait.min(UNKNOWN))
    }

    /// Its turn would come too late.
    pub(crate) fn slow(wait: u64) -> Self {
        Self::new(SLOW, wait.min(UNKNOWN))
    }

    /// The number of its reason.
    #[inline]
    pub(crate) const fn code(self) -> usize {
        (self.0 % Self::REASONS as u64) as usize
    }

    /// The nanoseconds after which another try makes sense.
    pub(crate) fn wait(self) -> Option<u64> {
        let wait = self.0 >> CODE;
        (wait != UNKNOWN).then_some(wait)
    }

    /// The refusal that it leads to.
    #[inline]
    pub(crate) fn refusal(self, name: Option<&Name>) -> Refused {
        let reason = REASONS[self.code()];
        let refused = Refused::new(reason).with_name(name.cloned());
        match self.wait() {
            Some(wait) => refused.with_retry_after_nanos(wait),
            None => refused,
        }
    }
}

impl From<Refusing> for Denial {
    fn from(refusing: Refusing) -> Self {
        Self(refusing.0)
    }
}

impl From<Denial> for Refusing {
    fn from(denial: Denial) -> Self {
        Self(denial.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_word_says_why_and_for_how_long() {
        for (denial, text, wait) in [
            (Denial::over(7), "over the limit", Some(7)),
            (Denial::over(0), "over the limit", Some(0)),
            (Denial::COSTLY, "costs more than the burst", None),
            (Denial::crowded(8), "too many waiting", Some(8)),
            (Denial::slow(9), "would wait too long", Some(9)),
            (Denial::slow(u64::MAX), "would wait too long", None),
        ] {
            let refused = Denial::from(Refusing::from(denial)).refusal(None);
            assert_eq!((refused.reason(), refused.kind()), (text, Kind::Exhausted));
            assert_eq!(refused.retry_after(), wait.map(Duration::from_nanos));
        }
    }
}
