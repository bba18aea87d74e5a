use crate::tally::Tallied;

/// Everything that one circuit has counted, or many together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    /// Good, failed, throttled and slow calls.
    pub(crate) calls: [u64; 4],
    pub(crate) tallied: Tallied,
}

impl Totals {
    pub(crate) fn add(&mut self, other: &Self) {
        self.calls.iter_mut().zip(other.calls).for_each(|(sum, count)| *sum += count);
        self.tallied.add(&other.tallied);
    }

    /// Shows every number under its name.
    #[allow(clippy::cast_precision_loss, reason = "shown to people")]
    pub(crate) fn show(&self, show: &mut dyn FnMut(&'static str, f64)) {
        let calls = ["successes", "failures", "throttled", "slow"].into_iter().zip(self.calls);
        let sums = [("refused", self.tallied.refused()), ("trips", self.tallied.trips())];
        for (name, count) in calls.chain(sums).chain(self.tallied.named()) {
            show(name, count as f64);
        }
    }
}
