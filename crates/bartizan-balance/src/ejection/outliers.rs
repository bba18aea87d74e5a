use super::rules::{Enough, Excess, Slowness, SuccessRate};
use super::tally::Calls;
use super::{Cause, Ejection, Record, Tally};
use std::time::Duration;

/// One endpoint that was not out, as an interval has found it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    /// Its calls of the interval.
    pub(crate) tally: Tally,
    /// What was known before, and after the judgement what is known now.
    pub(crate) memory: Memory,
}

/// What one endpoint's judgements remember, forgotten when it comes back from a pause.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    answers: Record,
    /// Of the calls by whether there was an answer, where these are counted apart.
    arrivals: Option<Box<Record>>,
    slow: bool,
}

/// Compares the endpoints at the end of an interval, and returns which ones are ill, the worst first.
pub(crate) fn outliers(ejection: &Ejection, samples: &mut [Sample]) -> Vec<(usize, Cause)> {
    if !ejection.enabled {
        return Vec::new();
    }
    let split = ejection.split_local;
    let answers: Vec<Calls> = samples.iter().map(|sample| sample.tally.answers(split)).collect();
    let mut causes = vec![None; samples.len()];
    // Each rule sees all endpoints, as some remember what they saw; the first that fires for one is its cause.
    let mut found = |ill: Vec<usize>, cause| {
        for at in ill {
            causes[at].get_or_insert(cause);
        }
    };
    if let Some(rule) = &ejection.excess {
        let records = samples.iter_mut().map(|sample| &mut sample.memory.answers);
        found(in_excess(rule, &answers, records), Cause::Excess);
    }
    if let Some(rule) = ejection.excess.as_ref().filter(|_| split) {
        let arrivals: Vec<Calls> = samples.iter().map(|sample| sample.tally.arrivals()).collect();
        let records = samples.iter_mut().map(|sample| &mut **sample.memory.arrivals.get_or_insert_default());
        found(in_excess(rule, &arrivals, records), Cause::ExcessLocal);
    }
    if let Some(rule) = ejection.success_rate {
        found(below_the_mean(rule, &answers), Cause::SuccessRate);
    }
    if let Some(rule) = ejection.failure_ratio {
        let mut judged = enough(&answers, rule.enough);
        judged.retain(|at| answers[*at].share() >= rule.ratio);
        found(judged, Cause::FailureRatio);
    }
    if let Some(rule) = ejection.slowness {
        found(slow(rule, samples), Cause::Slowness);
    }
    let mut ill: Vec<(usize, Cause)> =
        causes.into_iter().enumerate().filter_map(|(at, cause)| Some((at, cause?))).collect();
    // There may not be room for all of them.
    let latency = |at: usize| samples[at].tally.latency;
    let share = |at: usize| samples[at].tally.answers(false).share();
    ill.sort_by(|(a, _), (b, _)| share(*b).total_cmp(&share(*a)).then(latency(*b).cmp(&latency(*a))));
    ill
}

/// Those that fail more than the others, by what their records say together with these calls.
fn in_excess<'a>(
    rule: &Excess,
    calls: &[Calls],
    records: impl Iterator<Item = &'a mut Record>,
) -> Vec<usize> {
    let all = calls.iter().fold(Calls::default(), |sum, calls| sum.and(*calls));
    let judge = |((at, own), record): ((usize, &Calls), &mut Record)| {
        record.judge(*own, all.without(*own), rule).then_some(at)
    };
    calls.iter().enumerate().zip(records).filter_map(judge).collect()
}

/// Those whose rate of success is too many standard deviations below the mean.
fn below_the_mean(rule: SuccessRate, calls: &[Calls]) -> Vec<usize> {
    let mut judged = enough(calls, rule.enough);
    let rate = |at: &usize| 1.0 - calls[*at].share();
    let mean = judged.iter().map(rate).sum::<f64>() / judged.len() as f64;
    let variance = judged.iter().map(|at| (rate(at) - mean).powi(2)).sum::<f64>() / judged.len() as f64;
    let least = mean - rule.factor * variance.sqrt();
    judged.retain(|at| rate(at) < least);
    judged
}

/// Those that are slow for the second interval in a row.
fn slow(rule: Slowness, samples: &mut [Sample]) -> Vec<usize> {
    let successes: Vec<Calls> =
        samples.iter().map(|sample| Calls { all: f64::from(sample.tally.successes), bad: 0.0 }).collect();
    let mut judged = enough(&successes, rule.enough);
    let mut sorted: Vec<Duration> = judged.iter().map(|at| samples[*at].tally.latency).collect();
    sorted.sort_unstable();
    // Seen from an endpoint above it, this is the median of the others; and who is not above it is not slow.
    let Some(median) = sorted.get(sorted.len().saturating_sub(1) / 2) else { return Vec::new() };
    let limit = rule.times * median.as_secs_f64();
    judged.retain(|at| {
        let Sample { tally: Tally { latency, .. }, memory } = &mut samples[*at];
        let slow = *latency > rule.least && latency.as_secs_f64() > limit;
        std::mem::replace(&mut memory.slow, slow) && slow
    });
    judged
}

/// Those with enough calls, or none where they are too few.
fn enough(calls: &[Calls], least: Enough) -> Vec<usize> {
    let judged: Vec<usize> =
        (0..calls.len()).filter(|at| calls[*at].all >= f64::from(least.requests)).collect();
    if judged.len() < least.hosts { Vec::new() } else { judged }
}

impl Calls {
    fn and(self, more: Self) -> Self {
        Self { all: self.all + more.all, bad: self.bad + more.bad }
    }

    fn without(self, own: Self) -> Self {
        Self { all: self.all - own.all, bad: self.bad - own.bad }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ejection::FailureRatio;
    use bartizan_core::Dice;

    fn samples(calls: &[(u32, u32)]) -> Vec<Sample> {
        let sample = |(all, bad): &(u32, u32)| {
            let tally = Tally { successes: all - bad, failures: *bad, ..Tally::default() };
            Sample { tally, ..Sample::default() }
        };
        calls.iter().map(sample).collect()
    }

    fn judge(ejection: Ejection, calls: &[(u32, u32)]) -> Vec<(usize, Cause)> {
        outliers(&ejection, &mut samples(calls))
    }

    #[test]
    fn a_rate_far_below_the_mean_is_an_outlier() {
        let rule = Ejection::new().without_excess().success_rate(SuccessRate::new());
        let mut calls = [(200, 0), (200, 0), (200, 100), (200, 0), (200, 0)];
        // The mean is 90 and the deviation 20: 52 is the least.
        assert_eq!(judge(rule, &calls), [(2, Cause::SuccessRate)]);
        assert_eq!(judge(rule.enabled(false), &calls), []);
        assert_eq!(judge(rule.success_rate(SuccessRate::new().factor(2.1)), &calls), []);
        calls[2] = (200, 0);
        assert_eq!(judge(rule, &calls), [], "all alike");
    }

    #[test]
    fn too_little_evidence_is_reported_and_not_acted_on() {
        let rule = Ejection::new().without_excess().success_rate(SuccessRate::new());
        let four = [(200, 0), (200, 0), (200, 100), (200, 0)];
        assert_eq!(judge(rule, &four), []);
        assert_eq!(judge(rule, &[(200, 0), (200, 0), (200, 100), (200, 0), (99, 0)]), []);
        assert_eq!(samples(&four)[2].tally.success_rate(false), Some(0.5));
        let five = [(99, 0), (200, 0), (200, 0), (200, 0), (200, 0), (99, 99)];
        assert_eq!(
            judge(rule.success_rate(SuccessRate::new().min_hosts(4)), &five),
            [],
            "99 calls are not judged"
        );
    }

    #[test]
    fn a_share_of_failures_that_is_reached_ejects() {
        let rule = Ejection::new().without_excess().failure_ratio(FailureRatio::new());
        let calls = [(60, 50), (70, 60), (100, 0), (100, 0), (100, 0)];
        assert_eq!(judge(rule, &calls), [(1, Cause::FailureRatio)]);
        assert_eq!(judge(rule, &calls[..4]), [], "too few endpoints");
        assert_eq!(judge(rule, &[(49, 49), (70, 0), (100, 0), (100, 0), (100, 0), (100, 0)]), []);
    }

    #[test]
    fn the_worst_comes_first() {
        let rule = Ejection::new().failure_ratio(FailureRatio::new());
        let calls = [(100, 90), (100, 0), (100, 99), (100, 0), (100, 0)];
        assert_eq!(judge(rule, &calls), [(2, Cause::FailureRatio), (0, Cause::FailureRatio)]);
    }

    #[test]
    fn missing_answers_leave_the_statistics_of_answers_alone() {
        let rule = Ejection::new().split_local(true).success_rate(SuccessRate::new());
        let mut samples = samples(&[(200, 0); 5]);
        samples[3].tally.local = 100;
        assert_eq!(outliers(&rule, &mut samples), []);
        assert_eq!(samples[3].tally.success_rate(true), Some(1.0));
        assert_eq!(outliers(&rule, &mut samples), [(3, Cause::ExcessLocal)], "they have their own");
        let joined = rule.split_local(false);
        assert_eq!(outliers(&joined, &mut samples), [(3, Cause::SuccessRate)]);
    }

    #[test]
    fn far_slower_than_the_median_twice_is_slow() {
        let rule = Ejection::new().slowness(Slowness::new());
        let twice = |millis: &[u64]| {
            let mut samples = samples(&vec![(50, 0); millis.len()]);
            for (sample, millis) in samples.iter_mut().zip(millis) {
                sample.tally.latency = Duration::from_millis(*millis);
            }
            assert_eq!(outliers(&rule, &mut samples), []);
            outliers(&rule, &mut samples)
        };
        assert_eq!(twice(&[10, 31, 10]), [(1, Cause::Slowness)]);
        assert_eq!(twice(&[10, 30, 10]), []);
        assert_eq!(twice(&[2, 9, 2]), [], "nothing is slow below 10 ms");
        assert_eq!(twice(&[10, 100]), [], "who is the slow one of two?");
        assert_eq!(twice(&[10, 41, 10, 40]), [(1, Cause::Slowness), (3, Cause::Slowness)]);
        assert_eq!(twice(&[10, 300, 10, 400, 10]), [(3, Cause::Slowness), (1, Cause::Slowness)]);
        assert_eq!(twice(&[10, 400, 400]), [], "most are slow");
    }

    /// Plays intervals with seeded dice, and returns how often an endpoint was found ill.
    fn ejections(shares: &[f64], calls: u32, intervals: u32, seed: u64) -> Vec<(u32, usize)> {
        let dice = Dice::new(Some(seed));
        let mut all = vec![Sample::default(); shares.len()];
        let mut found = Vec::new();
        for interval in 1..=intervals {
            for (sample, share) in all.iter_mut().zip(shares) {
                let failures = (0..calls).filter(|_| dice.hits(*share)).count() as u32;
                sample.tally = Tally { successes: calls - failures, failures, ..Tally::default() };
            }
            found.extend(outliers(&Ejection::new(), &mut all).into_iter().map(|(at, _)| (interval, at)));
        }
        found
    }

    #[test]
    fn endpoints_that_are_well_stay() {
        for (hosts, share, calls) in [
            (20, 0.01, 1000),
            (20, 0.05, 1000),
            (20, 0.05, 100),
            (100, 0.01, 20),
            (100, 0.05, 20),
            (2, 0.05, 20),
        ] {
            assert_eq!(ejections(&vec![share; hosts], calls, 200, 7), [], "{hosts} at {share}");
        }
        let mixed: Vec<f64> = (0..20).map(|at| 0.01 + f64::from(at) / 1000.0).collect();
        assert_eq!(ejections(&mixed, 200, 100, 7), [], "between one and three in a hundred");
    }

    #[test]
    fn one_that_is_ill_among_them_is_found() {
        let mut shares = vec![0.01; 20];
        shares[4] = 0.1;
        assert_eq!(ejections(&shares, 1000, 2, 7), [(2, 4)]);
        assert_eq!(ejections(&[0.1, 0.01], 1000, 2, 7), [(2, 0)], "beside the other, and not beside both");
        shares[4] = 0.5;
        let found = ejections(&shares, 20, 4, 7);
        assert!(!found.is_empty() && found.iter().all(|(_, at)| *at == 4), "{found:?}");
    }
}
