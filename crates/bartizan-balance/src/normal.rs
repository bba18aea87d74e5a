/// Which share of the calls of a set fails, over about the last thousand.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    share: f64,
    /// Good answers until the last failure.
    good: u64,
}

impl Failures {
    const CALLS: f64 = 1000.0;
    /// How much more than the share of all must fail at a member to say something of it.
    const FACTOR: f64 = 1.5;
    /// Bounds of what counts as normal.
    pub(crate) const LEAST: f32 = 0.0005;
    const MOST: f64 = 0.25;

    /// A call has failed, after so many good answers in all. Returns the share of failures that says nothing against a member.
    pub(crate) fn failed(&mut self, good: u64) -> f32 {
        // Answers of members that have left are missed, which does no harm.
        let since = good.saturating_sub(self.good);
        self.good = good;
        let kept = 1.0 - 1.0 / Self::CALLS;
        self.share = self.share * kept.powf(since as f64 + 1.0) + 1.0 / Self::CALLS;
        ((Self::FACTOR * self.share).min(Self::MOST) as f32).max(Self::LEAST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learns_the_share_of_failures() {
        let mut failures = Failures::default();
        let mut share = 0.0;
        for n in 1..=300 {
            share = failures.failed(19 * n);
        }
        assert!((share / (1.5 * 0.05) - 1.0).abs() < 0.05, "one in twenty: {share}");
        for n in 0..3000 {
            share = failures.failed(19 * 300 + n / 2);
        }
        assert_eq!(share, 0.25);
        assert_eq!(Failures::default().failed(100), 0.0015);
    }
}
