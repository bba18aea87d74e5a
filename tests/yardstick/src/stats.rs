//! The few statistics that the tables show.

/// The middle of `samples`, which it sorts; between the two middle ones when their number is even. Zero of none.
pub(crate) fn median(samples: &mut [f64]) -> f64 {
    samples.sort_unstable_by(f64::total_cmp);
    match samples {
        [] => 0.0,
        _ => (samples[(samples.len() - 1) / 2] + samples[samples.len() / 2]) / 2.0,
    }
}

/// The mean of `samples`. Zero of none.
pub(crate) fn mean(samples: &[f64]) -> f64 {
    if samples.is_empty() { 0.0 } else { samples.iter().sum::<f64>() / samples.len() as f64 }
}

/// The mean of each figure over all runs. One that is infinite in a run is so in the mean.
pub(crate) fn means<const N: usize>(runs: &[[f64; N]]) -> [f64; N] {
    std::array::from_fn(|figure| mean(&runs.iter().map(|run| run[figure]).collect::<Vec<_>>()))
}

/// What so large a share of `samples`, which it sorts, does not exceed. Zero of none.
pub(crate) fn percentile(samples: &mut [f64], share: f64) -> f64 {
    if samples.is_empty() {
        return 0.0;
    }
    let place = ((samples.len() - 1) as f64 * share) as usize;
    *samples.select_nth_unstable_by(place, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&mut []), 0.0);
        assert_eq!(median(&mut [3.0]), 3.0);
        assert_eq!(median(&mut [9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [9.0, 1.0, 2.0, 4.0]), 3.0);
    }

    #[test]
    fn one_wild_sample_does_not_move_the_median() {
        assert_eq!(median(&mut [10.0, 11.0, 12.0, 1e9, 11.0]), 11.0);
    }

    #[test]
    fn the_mean_weighs_all_alike() {
        assert_eq!(mean(&[]), 0.0);
        assert_eq!(mean(&[1.0, 2.0, 6.0]), 3.0);
    }

    #[test]
    fn a_percentile_is_one_of_the_samples() {
        let mut samples: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&mut samples, 0.99), 99.0);
        assert_eq!(percentile(&mut samples, 0.0), 0.0);
        assert_eq!(percentile(&mut samples, 1.0), 100.0);
        assert_eq!(percentile(&mut [], 0.5), 0.0);
    }
}
