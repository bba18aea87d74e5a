//! How traffic comes back once the circuit has closed.

use crate::breaker::Breaker;

/// A share of requests that grows to all of them, above a floor that always passes.
///
/// It grows linearly until there is evidence of failure. Each time there is, it is cut: for half a second the floor alone
/// passes, so that what has queued up can drain; then the share goes on at 0.6 of what it was, and from the end of the second on it
/// grows in proportion to itself, as a cold service warms up with what it serves. Where calls fail as before although less
/// is asked, the load is not to blame, and the share grows linearly again, not to be cut any more.
#[derive(Debug)]
pub(crate) struct Ramp {
    length: u64,
    growth: Growth,
    /// The share at the instant from which on it grows. Before, it neither grows nor is cut.
    base: f64,
    from: u64,
    cut: Cut,
    /// What the share has admitted in part: a request passes when it is whole.
    credit: f64,
    /// When the floor's bucket will be full again (GCRA).
    full_at: u64,
}

#[derive(Clone, Copy, Debug)]
enum Growth {
    /// From nothing to all in the ramp's length.
    Linear,
    /// By [`RATE`] of itself a second.
    Proportional,
}

/// What has come of the last cut.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// It helped, or there was none.
    Fine,
    /// What has queued up drains.
    Draining,
    /// The first calls since are watched.
    Watching { calls: u8, bad: u8 },
    /// It did not help.
    InVain,
}

const SECOND: u64 = 1_000_000_000;
const FLOOR_GAP: u64 = SECOND / Breaker::RAMP_FLOOR as u64;
/// What a cut leaves of the share.
const CUT: f64 = 0.6;
/// What a cut leaves at least: out of nothing, nothing would grow.
const LEAST: f64 = 0.001;
/// How much of itself the share grows by in a second after a cut.
const RATE: f64 = 0.1;
/// Calls that are watched after a cut, and how many bad ones among them show that it was in vain.
const WATCHED: u8 = 5;
const IN_VAIN: u8 = 2;

impl Ramp {
    pub(crate) fn new(now: u64, length: u64) -> Self {
        let (growth, cut) = (Growth::Linear, Cut::Fine);
        Self { length, growth, base: 0.0, from: now, cut, credit: 0.0, full_at: now }
    }

    /// The share at `now`; at 1 the ramp is over.
    #[allow(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
    pub(crate) fn share(&self, now: u64) -> f64 {
        let growing = now.saturating_sub(self.from) as f64;
        let share = match self.growth {
            Growth::Linear => self.base + growing / self.length as f64,
            Growth::Proportional => self.base * (RATE * growing / SECOND as f64).exp(),
        };
        share.min(1.0)
    }

    /// Admits a request by the share, or by the floor while less than it has passed.
    pub(crate) fn admits(&mut self, now: u64) -> bool {
        if !matches!(self.cut, Cut::Draining) {
            self.credit += self.share(now);
        }
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

    /// Says once after a cut that what had queued up has drained.
    pub(crate) fn has_drained(&mut self, now: u64) -> bool {
        let has_drained = matches!(self.cut, Cut::Draining) && now.saturating_add(SECOND / 2) >= self.from;
        if has_drained {
            self.cut = Cut::Watching { calls: 0, bad: 0 };
        }
        has_drained
    }

    /// Hears of a call that has ended.
    pub(crate) fn hear(&mut self, bad: bool, now: u64) {
        if let Cut::Watching { calls, bad: before } = self.cut {
            let (calls, bad) = (calls + 1, before + u8::from(bad));
            self.cut = if bad >= IN_VAIN {
                (self.base, self.from, self.growth) = (self.share(now), now, Growth::Linear);
                Cut::InVain
            } else if calls >= WATCHED {
                Cut::Fine
            } else {
                Cut::Watching { calls, bad }
            };
        }
    }

    /// Hears that there is evidence of failure again, and says whether it cuts the share.
    pub(crate) fn cut(&mut self, now: u64) -> bool {
        let cuts = now >= self.from && !matches!(self.cut, Cut::InVain);
        if cuts {
            (self.base, self.from) = ((CUT * self.share(now)).max(LEAST), now.saturating_add(SECOND));
            (self.growth, self.cut) = (Growth::Proportional, Cut::Draining);
        }
        cuts
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
        assert!(ramp.cut(5 * SECOND));
        assert!(!ramp.cut(5 * SECOND + 1));
        assert!((ramp.share(6 * SECOND) - 0.3).abs() < 1e-9);
        assert!((ramp.share(7 * SECOND) - 0.3 * 1.105).abs() < 1e-3);
    }

    #[test]
    fn a_share_that_is_cut_at_once_grows_all_the_same() {
        let mut ramp = Ramp::new(0, 10 * SECOND);
        assert!(ramp.cut(0));
        assert!(ramp.share(71 * SECOND) >= 1.0);
        assert!(ramp.share(u64::MAX) >= 1.0);
    }

    #[test]
    fn what_has_queued_up_drains_after_a_cut() {
        let mut ramp = Ramp::new(0, 10 * SECOND);
        admitted(&mut ramp, 0, 1000, 8);
        assert!(ramp.cut(8 * SECOND));
        let mut within = |from: u64, to| {
            let times = (from..to).map(|ms| 8 * SECOND + ms * (SECOND / 1000));
            times.filter(|now| (ramp.has_drained(*now), ramp.admits(*now)).1).count()
        };
        assert!(within(0, 500) <= 15);
        assert!(within(500, 1000).abs_diff(240) <= 15);
    }

    #[test]
    fn a_cut_in_vain_is_the_last() {
        let half = 5 * SECOND + SECOND / 2;
        let cut = |bad: [bool; 5]| {
            let mut ramp = Ramp::new(0, 10 * SECOND);
            assert!(ramp.cut(5 * SECOND) && !ramp.has_drained(half - 1) && ramp.has_drained(half));
            assert!(!ramp.has_drained(half), "said once");
            bad.into_iter().for_each(|bad| ramp.hear(bad, half));
            (ramp.cut(7 * SECOND), ramp.share(7 * SECOND))
        };
        assert!(cut([true, false, false, false, false]).0);
        let (cuts, share) = cut([false, true, false, false, true]);
        assert!(!cuts && (share - 0.45).abs() < 1e-9, "{share}");
    }
}
