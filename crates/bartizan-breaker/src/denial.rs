use crate::state::Cause;
use bartizan_core::{Kind, Name, Reason, Refused, Refusing};

/// Why a request is refused, and for how long: one word, which stays in a register on the way to its refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Denial(u64);

/// The reasons that are no causes come after them.
const PROBING: u64 = Cause::ALL.len() as u64;
const RECOVERING: u64 = PROBING + 1;
const FORCED: u64 = PROBING + 2;

const CODE: u32 = 8;
const UNKNOWN: u64 = u64::MAX >> CODE;

impl Denial {
    pub(crate) const FORCED: Self = Self::new(FORCED, UNKNOWN);
    pub(crate) const PROBING: Self = Self::new(PROBING, UNKNOWN);
    pub(crate) const RECOVERING: Self = Self::new(RECOVERING, 1_000_000_000);

    const fn new(code: u64, wait: u64) -> Self {
        Self(code | wait << CODE)
    }

    /// Open for `cause`, for so many nanoseconds more; beyond two years the time is unknown.
    #[inline]
    pub(crate) fn open(cause: Cause, wait: u64) -> Self {
        Self::new(cause as u64, wait.min(UNKNOWN))
    }

    /// The number of its reason among those that are counted: causes, then probing, then recovering. None of a circuit that is forced open.
    #[inline]
    pub(crate) fn counted(self) -> Option<usize> {
        let code = self.0 & ((1 << CODE) - 1);
        (code < FORCED).then_some(code as usize)
    }

    /// The refusal that it leads to.
    #[inline]
    pub(crate) fn refusal(self, name: Option<&Name>) -> Refused {
        let reason = REASONS[(self.0 % REASONS.len() as u64) as usize];
        let refused = Refused::new(reason).with_name(name.cloned());
        let wait = self.0 >> CODE;
        if wait == UNKNOWN { refused } else { refused.with_retry_after_nanos(wait) }
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

/// In the order of the causes, then probing, recovering, forced; filled up to a power of two, so that any number is one.
static REASONS: [&Reason; 16] = {
    const fn reason(text: &'static str) -> Reason {
        Reason::new("breaker", Kind::Unavailable, text)
    }
    const FORCED: &Reason = &reason("forced open");
    [
        &reason("open from the start"),
        &reason("open: evidence of failure"),
        &reason("open: failure ratio"),
        &reason("open: slow ratio"),
        &reason("open: failures in a row"),
        &reason("open: probe failed"),
        &reason("open: forced"),
        &reason("half-open: probing"),
        &reason("recovering"),
        FORCED,
        FORCED,
        FORCED,
        FORCED,
        FORCED,
        FORCED,
        FORCED,
    ]
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn every_cause_has_its_reason() {
        for cause in Cause::ALL {
            let refused = Denial::open(cause, 7).refusal(None);
            assert!(refused.reason().contains(cause.as_str()), "{cause} {refused}");
            assert_eq!(refused.retry_after(), Some(Duration::from_nanos(7)));
        }
        assert_eq!(Denial::FORCED.refusal(None).to_string(), "refused by breaker: forced open");
        assert_eq!(Denial::PROBING.refusal(None).reason(), "half-open: probing");
        assert_eq!(Denial::RECOVERING.refusal(None).retry_after(), Some(Duration::from_secs(1)));
        assert_eq!(Denial::open(Cause::Start, u64::MAX).refusal(None).retry_after(), None);
    }
}
