/// Bounds for what exports histograms, in seconds: powers of two from 131 µs to 34 s. A length of time that a layer has counted is on the same
/// side of each of them as it was when it was measured.
///
/// ```
/// use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
///
/// # fn main() -> Result<(), metrics_exporter_prometheus::BuildError> {
/// let bartizan = Matcher::Prefix("bartizan".into());
/// let builder = PrometheusBuilder::new()
///     .with_recommended_naming(true)
///     .set_buckets_for_metric(bartizan, &bartizan_metrics::BUCKETS)?;
/// # drop(builder.build_recorder());
/// # Ok(())
/// # }
/// ```
pub const BUCKETS: [f64; 19] = bounds();

#[allow(clippy::cast_precision_loss, reason = "a power of two is exact")]
const fn bounds() -> [f64; 19] {
    let (mut bounds, mut at) = ([0.0; 19], 0);
    while at < bounds.len() {
        bounds[at] = (1_u64 << (17 + at)) as f64 / 1e9;
        at += 1;
    }
    bounds
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_core::TimesSnapshot;
    use std::time::Duration;

    #[test]
    fn each_bound_is_the_end_of_a_bucket() {
        let ends: Vec<Duration> = TimesSnapshot::default().buckets().filter_map(|(end, _)| end).collect();
        for bound in BUCKETS {
            assert!(ends.contains(&Duration::from_secs_f64(bound)), "{bound}");
        }
        assert!(ends.last().is_some_and(|last| last.as_secs_f64() < 2.0 * BUCKETS[18]));
    }
}
