use std::time::Duration;

/// How the calls of one endpoint have ended, within an interval or since it began. Each of them counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) successes: u32,
    /// Bad answers, those of gateways among them.
    pub(crate) failures: u32,
    /// Calls without an answer.
    pub(crate) local: u32,
    /// Mean latency of the good ones.
    pub(crate) latency: Duration,
}

/// Calls, and how many of them were bad.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Calls {
    pub(crate) all: f64,
    pub(crate) bad: f64,
}

impl Tally {
    /// What has come since an earlier tally of the same counters, which may wrap. The latency is the later one's.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            successes: self.successes.wrapping_sub(earlier.successes),
            failures: self.failures.wrapping_sub(earlier.failures),
            local: self.local.wrapping_sub(earlier.local),
            latency: self.latency,
        }
    }

    /// The calls by what servers answered; where those without an answer are not counted apart, they are bad answers.
    pub(crate) fn answers(&self, split_local: bool) -> Calls {
        let local = if split_local { 0.0 } else { f64::from(self.local) };
        let bad = f64::from(self.failures) + local;
        Calls { all: f64::from(self.successes) + bad, bad }
    }

    /// The calls by whether there was an answer.
    pub(crate) fn arrivals(&self) -> Calls {
        let bad = f64::from(self.local);
        Calls { all: f64::from(self.successes) + f64::from(self.failures) + bad, bad }
    }

    /// The share of successes, reported however few the calls are. None without a call.
    pub(crate) fn success_rate(&self, split_local: bool) -> Option<f64> {
        let calls = self.answers(split_local);
        (calls.all > 0.0).then(|| 1.0 - calls.bad / calls.all)
    }

    /// Whether this is evidence that the endpoint is well: most of its calls were good, and there were some.
    pub(crate) fn is_well(&self) -> bool {
        u64::from(self.successes) > u64::from(self.failures) + u64::from(self.local)
    }
}

impl Calls {
    /// The share of bad ones; nothing is wrong where nothing was called.
    pub(crate) fn share(self) -> f64 {
        if self.all > 0.0 { self.bad / self.all } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(successes: u32, failures: u32, local: u32) -> Tally {
        Tally { successes, failures, local, latency: Duration::ZERO }
    }

    #[test]
    fn calls_without_an_answer_are_bad_answers_or_none() {
        let tally = tally(6, 2, 2);
        assert_eq!(tally.answers(false), Calls { all: 10.0, bad: 4.0 });
        assert_eq!(tally.answers(true), Calls { all: 8.0, bad: 2.0 });
        assert_eq!(tally.arrivals(), Calls { all: 10.0, bad: 2.0 });
        assert_eq!((tally.success_rate(false), tally.success_rate(true)), (Some(0.6), Some(0.75)));
        assert_eq!(Tally::default().success_rate(false), None);
    }

    #[test]
    fn counters_may_wrap() {
        let since = tally(2, 1, 0).since(tally(u32::MAX, 1, 0));
        assert_eq!(since, tally(3, 0, 0));
    }

    #[test]
    fn silence_is_no_evidence_of_health() {
        let well = [tally(3, 1, 1), tally(2, 1, 1), tally(0, 0, 0)].map(|tally| tally.is_well());
        assert_eq!(well, [true, false, false]);
    }
}
