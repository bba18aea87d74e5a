//! How traffic comes back once the circuit has closed.

use crate::breaker::Breaker;

/// A share of requests that grows linearly to all of them, above a floor that always passes.
#[derive(Debug)]
pub(crate) struct Ramp {
    length: u64,
    /// The share at the instant from which on it grows. Before, it neither grows nor is cut.
    base: f64,
    from: u64,
    /// What the share has admitted in part: a request passes when it is whole.
    credit: f64,
    /// When the floor's bucket will be full again (GCRA).
    full_at: u64,
}

const SECOND: u64 = 1_000_000_000;
const FLOOR_GAP: u64 = SECOND / Breaker::RAMP_FLOOR as u64;
const CUT: f64 = 0.6;

impl Ramp {
    pub(crate) fn new(now: u64, length: u64) -> Self {
        Self { length, base: 0.0, from: now, credit: 0.0, full_at: now }
    }

    /// The share at `now`; at 1 the ramp is over.
    #[allow(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
    pub(crate) fn share(&self, now: u64) -> f64 {
        let growing = now.saturating_sub(self.from);
        (self.base + growing as f64 / self.length as f64).min(1.0)
    }

    /// Admits a request by the share, or by the floor while less than it has passed.
    pub(crate) fn admits(&mut self, now: u64) -> bool {
        self.credit += self.share(now);
        let by_share = self.credit >= 1.0;
        let full_at = self.full_at.max(now);
        let by_floor = full_at - now <= SECOND - FLOOR_GAP;
        if by_floor {
            self.full_at = full_at.saturating_add(FLOOR_GAP);
        }
        let admits = by_share || by_floor;
        if admits {
            // What the floor lets through is set off against the share, within a second's worth.
            self.credit = (self.credit - 1.0).max(-f64::from(Breaker::RAMP_FLOOR));
        }
        admits
    }

    /// Hears that there is evidence of failure again.
    pub(crate) fn cut(&mut self, now: u64) {
        if now >= self.from {
            self.base = CUT * self.share(now);
            self.from = now.saturating_add(SECOND);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(ramp: &mut Ramp, from: u64, rate: u64, seconds: u64) -> u64 {
        (0..rate * seconds).filter(|n| ramp.admits(from + n * SECOND / rate)).count() as u64
    }

    #[test]
    fn grows_linearly() {
        let mut ramp = Ramp::new(0, 10 * SECOND);
        let shares: Vec<u64> = (0..10).map(|s| admitted(&mut ramp, s * SECOND, 1000, 1)).collect();
        for (second, share) in shares.into_iter().enumerate() {
            let ought = 100 * second as u64 + 50;
            assert!(share.abs_diff(ought) <= 12, "{share} in second {second}");
        }
        assert!(ramp.share(10 * SECOND) >= 1.0);
    }

    #[test]
    fn refuses_nothing_below_the_floor() {
        let mut ramp = Ramp::new(0, 1000 * SECOND);
        assert_eq!(admitted(&mut ramp, 0, 10, 20), 200);
        let burst = (0..20).filter(|_| ramp.admits(30 * SECOND)).count();
        assert!((10..=11).contains(&burst), "{burst}");
    }

    #[test]
    fn a_cut_holds_for_a_second_and_is_not_repeated_meanwhile() {
        let mut ramp = Ramp::new(0, 10 * SECOND);
        ramp.cut(5 * SECOND);
        ramp.cut(5 * SECOND + 1);
        assert!((ramp.share(6 * SECOND) - 0.3).abs() < 1e-9);
        assert!((ramp.share(7 * SECOND) - 0.4).abs() < 1e-9);
    }
}
