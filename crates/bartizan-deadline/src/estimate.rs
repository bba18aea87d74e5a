use crate::Deadline;
use crate::span::Span;
use std::time::Duration;

/// The time below which few calls ended lately, and what follows for a call with little time left.
///
/// The method and its source are described at [`Deadline`].
#[derive(Debug, Default)]
pub(crate) struct Estimate {
    nanos: f64,
    successes: u32,
    hopeless: u32,
}

/// Share of itself by which the estimate moves, λ: large enough to halve within ten fast calls, so that a faster service is
/// seen soon; what it costs is noise, and at this quantile noise is mostly towards serving.
const STEP: f64 = 0.1;

impl Estimate {
    /// Learns from a call that succeeded.
    pub(crate) fn learn(&mut self, took: Span) {
        let took = took.nanos().max(1) as f64;
        if self.successes < Deadline::LEARN_WARM_UP {
            self.nanos = if self.successes == 0 { took } else { self.nanos.min(took) };
            self.successes += 1;
        } else if took > self.nanos {
            self.nanos *= 1.0 + STEP * Deadline::LEARN_QUANTILE;
        } else {
            self.nanos *= 1.0 - STEP * (1.0 - Deadline::LEARN_QUANTILE);
        }
    }

    /// The estimate, once it is warm.
    pub(crate) fn time(&self) -> Option<Duration> {
        (self.successes == Deadline::LEARN_WARM_UP).then(|| Duration::from_nanos(self.nanos as u64))
    }

    /// Says whether a call with so much time left should be refused.
    pub(crate) fn refuses(&mut self, left: Span) -> bool {
        if self.time().is_none_or(|time| left >= time.into()) {
            return false;
        }
        self.hopeless = self.hopeless.wrapping_add(1);
        self.hopeless % Deadline::LEARN_PROBES != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Exponential service times by inversion, from a fixed seed.
    fn learn_exponential(estimate: &mut Estimate, mean: Duration, calls: usize) {
        let mut dice = 7u64;
        for _ in 0..calls {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let uniform = ((dice >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
            estimate.learn(mean.mul_f64(-uniform.ln()).into());
        }
    }

    #[test]
    fn refuses_nothing_before_it_is_warm() {
        let mut estimate = Estimate::default();
        for _ in 1..Deadline::LEARN_WARM_UP {
            estimate.learn((100 * MS).into());
        }
        assert!(!estimate.refuses(Span::ZERO));
        estimate.learn((80 * MS).into());
        assert_eq!(estimate.time(), Some(80 * MS));
        assert!(estimate.refuses((79 * MS).into()));
        assert!(!estimate.refuses((80 * MS).into()));
    }

    #[test]
    fn finds_the_quantile() {
        let mut estimate = Estimate::default();
        let mean = 100 * MS;
        learn_exponential(&mut estimate, mean, 20_000);
        let found = estimate.time().unwrap().as_secs_f64();
        let ought = mean.as_secs_f64() * -(1.0 - Deadline::LEARN_QUANTILE).ln();
        assert!((0.5..2.0).contains(&(found / ought)), "{found} is not near {ought}");
    }

    #[test]
    fn notices_a_service_that_became_faster_by_its_probes() {
        let mut estimate = Estimate::default();
        learn_exponential(&mut estimate, 1000 * MS, 5_000);
        let mut refused = 0;
        // Callers with 5 ms left, of a service that takes 1 ms now: only what is let through can teach.
        for _ in 0..1_000 {
            if estimate.refuses((5 * MS).into()) { refused += 1 } else { estimate.learn(MS.into()) }
        }
        assert!((100..500).contains(&refused), "{refused}");
        assert!(!estimate.refuses((5 * MS).into()));
    }
}
