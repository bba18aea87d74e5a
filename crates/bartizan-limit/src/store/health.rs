use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Whether a store answers. While it does not, it is asked now and then only, so that requests do not wait for nothing.
///
/// Times are nanoseconds of any clock that does not go back.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// In a row; [`GONE`](Self::GONE) when the store is taken for gone.
    failures: AtomicU32,
    /// When a store that is gone is asked again.
    next: AtomicU64,
}

impl Health {
    /// So many failures in a row, and it is gone: one alone may be a packet that was lost.
    pub(crate) const GONE: u32 = 3;
    /// How long between two questions to a store that is gone: 1 s.
    pub(crate) const PAUSE: u64 = 1_000_000_000;

    /// Whether the store is to be asked now.
    pub(crate) fn may_ask(&self, now: u64) -> bool {
        if !self.is_gone() {
            return true;
        }
        let next = self.next.load(Relaxed);
        let later = now.saturating_add(Self::PAUSE);
        now >= next && self.next.compare_exchange(next, later, Relaxed, Relaxed).is_ok()
    }

    /// Whether it is taken for gone.
    pub(crate) fn is_gone(&self) -> bool {
        self.failures.load(Relaxed) >= Self::GONE
    }

    /// Hears of an answer, and says whether the store had been gone.
    pub(crate) fn answered(&self) -> bool {
        self.failures.load(Relaxed) > 0 && self.failures.swap(0, Relaxed) >= Self::GONE
    }

    /// Hears that there was no answer, and says whether the store is gone from now on.
    pub(crate) fn failed(&self, now: u64) -> bool {
        let count = |failures: u32| (failures < Self::GONE).then_some(failures + 1);
        let goes = self.failures.fetch_update(Relaxed, Relaxed, count) == Ok(Self::GONE - 1);
        if goes {
            self.next.store(now.saturating_add(Self::PAUSE), Relaxed);
        }
        goes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_row_and_it_is_asked_once_a_pause() {
        let health = Health::default();
        assert!(!health.failed(0) && !health.failed(0));
        assert!(!health.answered(), "it had not been gone");
        assert!(!health.failed(0) && !health.failed(0) && health.may_ask(0));
        assert!(health.failed(5) && !health.failed(6), "it goes once");

        let back = 5 + Health::PAUSE;
        assert!(!health.may_ask(back - 1));
        assert!(health.may_ask(back) && !health.may_ask(back), "one asks for all");
        assert!(!health.failed(back) && health.is_gone());
        assert!(!health.may_ask(back + Health::PAUSE - 1) && health.may_ask(back + Health::PAUSE));

        assert!(health.answered() && !health.answered(), "it comes back once");
        assert!(health.may_ask(0) && !health.is_gone());
    }
}
