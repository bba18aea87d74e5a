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
}
