use super::Excess;
use super::tally::Calls;

/// What is known of one endpoint beside the others, of the last intervals together.
///
/// The others' failures are weighed by the endpoint's own calls, interval by interval: one that had its calls while all of them
/// failed is held against that hour, and not against a mean of good and bad ones.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Record {
    calls: f32,
    bad: f32,
    /// How many would be bad at the others' share.
    usual: f32,
    /// Σ own² / others' calls, from which follows how many calls of others that share rests on.
    thinness: f32,
    /// Whether it was above the bounds in the last interval in which it was called.
    above: bool,
}

/// The part of the record that is kept with each interval.
const KEPT: f32 = 0.9;

/// The others' share is sought in halves of what is left; the 40th is below any that matters.
const HALVES: u32 = 40;

impl Record {
    /// Adds an interval, and returns whether the endpoint is ill.
    pub(crate) fn judge(&mut self, own: Calls, others: Calls, rule: &Excess) -> bool {
        // Beside nobody there is nothing to learn.
        if own.all == 0.0 || others.all == 0.0 {
            return false;
        }
        let kept = |sum: f32, more: f64| sum * KEPT + more as f32;
        self.calls = kept(self.calls, own.all);
        self.bad = kept(self.bad, own.bad);
        self.usual = kept(self.usual, own.all * others.share());
        self.thinness = kept(self.thinness, own.all * own.all / others.all);
        let above = own.share() > rule.bound(others.share());
        let twice = std::mem::replace(&mut self.above, above) && above;
        twice && self.evidence(rule) > rule.threshold()
    }

    /// How much speaks against the bounds, in nats.
    fn evidence(&self, rule: &Excess) -> f64 {
        let [calls, bad, usual, thinness] = [self.calls, self.bad, self.usual, self.thinness].map(f64::from);
        let own = Calls { all: calls, bad: bad.min(calls) };
        let others = calls * calls / thinness;
        rule.evidence(own, Calls { all: others, bad: others * (usual / calls).min(1.0) })
    }
}

impl Excess {
    /// The share of failures that is still normal, beside others with this one.
    fn bound(&self, others: f64) -> f64 {
        (self.times * others + self.margin).min(1.0)
    }

    /// How much the calls speak against an endpoint that keeps within the bounds, in nats: of all the shares that the others may have in
    /// truth, the least of what the calls of both sides say against that one. It is convex, as divergence is.
    fn evidence(&self, own: Calls, others: Calls) -> f64 {
        let (share, usual) = (own.share(), others.share());
        let against = |truth: f64| {
            own.all * divergence(share, self.bound(truth)) + others.all * divergence(usual, truth)
        };
        if share <= self.bound(usual) {
            return 0.0;
        }
        // At the upper end the endpoint is just within the bounds.
        let (mut low, mut high) = (usual, ((share - self.margin) / self.times).min(1.0));
        for _ in 0..HALVES {
            let truth = f64::midpoint(low, high);
            let bound = self.bound(truth);
            let slope = others.all * (truth - usual) / (truth * (1.0 - truth))
                + own.all * self.times * (bound - share) / (bound * (1.0 - bound));
            if slope < 0.0 { low = truth } else { high = truth }
        }
        against(f64::midpoint(low, high))
    }

    /// The evidence, in nats, that proves an excess. Of each side it exceeds t with a probability of at most e^−t (Hoeffding,
    /// theorem 1), so their sum does with at most (1 + t) e^−t.
    fn threshold(&self) -> f64 {
        let alone = -self.chance.ln();
        // The fixed point of t = alone + ln(1 + t), reached from below within a few steps.
        (0..8).fold(alone, |t, _| alone + t.ln_1p())
    }
}

/// The divergence of Kullback and Leibler of two coins, in nats: how badly the second explains a throw of the first.
fn divergence(seen: f64, truth: f64) -> f64 {
    let part = |seen: f64, truth: f64| if seen > 0.0 { seen * (seen / truth).ln() } else { 0.0 };
    part(seen, truth) + part(1.0 - seen, 1.0 - truth)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(all: u32, bad: u32) -> Calls {
        Calls { all: f64::from(all), bad: f64::from(bad) }
    }

    /// After how many equal intervals, of at most a hundred, the endpoint is ill.
    fn intervals(own: Calls, others: Calls) -> Option<usize> {
        let mut record = Record::default();
        (1..=100).find(|_| record.judge(own, others, &Excess::new()))
    }

    #[test]
    fn the_threshold_is_where_both_sides_together_reach_the_chance() {
        for chance in [1e-3, 1e-6, 1e-15] {
            let threshold = Excess::new().chance(chance).threshold();
            let reached = (1.0 + threshold) * (-threshold).exp();
            assert!((reached / chance - 1.0).abs() < 1e-3, "{chance}: {reached}");
        }
    }

    #[test]
    fn the_evidence_is_the_least_over_all_truths() {
        let rule = Excess::new();
        for (own, others) in
            [(calls(20, 10), calls(380, 4)), (calls(20, 8), calls(20, 0)), (calls(9, 9), calls(1, 0))]
        {
            let against = |truth: f64| {
                own.all * divergence(own.share(), rule.bound(truth)).max(0.0)
                    + others.all * divergence(others.share(), truth)
            };
            let (low, high) = (others.share(), (own.share() - rule.margin) / rule.times);
            let least = (1..10_000).map(|at| against(low + (high - low) * f64::from(at) / 10_000.0));
            let least = least.fold(f64::INFINITY, f64::min);
            assert!((rule.evidence(own, others) - least).abs() < 1e-3, "{own:?} {others:?}: {least}");
        }
    }

    #[test]
    fn a_tenth_among_hundredths_is_out_in_two() {
        assert_eq!(intervals(calls(1000, 100), calls(19_000, 190)), Some(2));
        assert_eq!(intervals(calls(1000, 100), calls(1000, 10)), Some(2), "beside a single other");
    }

    #[test]
    fn little_traffic_is_judged_by_a_few_intervals_together() {
        assert_eq!(intervals(calls(20, 10), calls(380, 4)), Some(2));
        assert_eq!(intervals(calls(20, 10), calls(380, 19)), Some(3));
        assert_eq!(intervals(calls(20, 10), calls(20, 0)), Some(5));
        assert_eq!(intervals(calls(5, 3), calls(95, 1)), Some(4));
    }

    #[test]
    fn small_differences_never_count() {
        assert_eq!(intervals(calls(100_000, 2999), calls(1_000_000, 10_000)), None, "twice and a point");
        assert_eq!(intervals(calls(100_000, 990), calls(1_000_000, 0)), None, "a point beside none");
        assert_eq!(intervals(calls(1, 1), calls(1, 0)), None);
        assert_eq!(intervals(calls(50, 50), calls(0, 0)), None, "beside nobody");
        assert_eq!(intervals(calls(0, 0), calls(50, 0)), None, "not called");
        assert_eq!(intervals(calls(50, 50), calls(500, 500)), None, "all are ill");
    }

    #[test]
    fn an_interval_without_a_comparison_is_as_if_it_had_not_been() {
        let (own, others) = (calls(1000, 100), calls(1000, 10));
        let (rule, mut record) = (Excess::new(), Record::default());
        let judged = [(own, others), (own, calls(0, 0)), (calls(0, 0), others), (own, others)]
            .map(|(own, others)| record.judge(own, others, &rule));
        assert_eq!(judged, [false, false, false, true]);
    }

    #[test]
    fn one_burst_is_one_event() {
        let mut record = Record::default();
        let rule = Excess::new();
        let judged = [calls(1000, 200), calls(1000, 0), calls(1000, 0), calls(1000, 30)]
            .map(|own| record.judge(own, calls(9000, 9), &rule));
        assert_eq!(judged, [false; 4]);
    }

    #[test]
    fn who_was_called_in_a_bad_hour_is_held_against_that_hour() {
        let rule = Excess::new();
        let mut record = Record::default();
        // The others were called for long while all was well; this one mostly while half of all calls failed.
        for _ in 0..20 {
            assert!(!record.judge(calls(1, 0), calls(10_000, 0), &rule));
        }
        for _ in 0..3 {
            assert!(!record.judge(calls(1000, 505), calls(1000, 500), &rule));
        }
        for _ in 0..3 {
            assert!(!record.judge(calls(20, 1), calls(10_000, 0), &rule));
        }
    }
}
