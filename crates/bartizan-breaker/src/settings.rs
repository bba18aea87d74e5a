use crate::breaker::Breaker;
use crate::pause::Steps;
use crate::rule::{Consecutive, Ratio};
use bartizan_core::Invalid;
use bartizan_core::registry::{Setting, seconds, whole};

/// What can be set of a breaker while calls run. A rule that is off has no settings, and a list of pauses none for its pauses.
pub(crate) const SETTINGS: &[Setting<Breaker>] = &[
    Setting::new(
        "open_seconds",
        |breaker| doubling(breaker).map(|(min, _)| min),
        |breaker, to| Ok(breaker.open_for(seconds(to)?)),
    ),
    Setting::new(
        "max_open_seconds",
        |breaker| doubling(breaker).map(|(_, max)| max),
        |breaker, to| breaker.try_max_open_for(seconds(to)?),
    ),
    Setting::new(
        "probes",
        |breaker| Some(breaker.probes.into()),
        |breaker, to| breaker.try_probes(whole(to)?),
    ),
    Setting::new(
        "probe_lease_seconds",
        |breaker| Some(breaker.probe_lease.as_secs_f64()),
        |breaker, to| breaker.try_probe_lease(seconds(to)?),
    ),
    Setting::new(
        "ramp_seconds",
        |breaker| Some(breaker.ramp.as_secs_f64()),
        |breaker, to| Ok(breaker.ramp(seconds(to)?)),
    ),
    Setting::new(
        "evidence_threshold",
        |breaker| breaker.evidence.map(|rule| rule.threshold),
        |breaker, to| {
            let evidence = breaker.evidence.map(|rule| rule.try_threshold(to)).transpose()?;
            Ok(Breaker { evidence, ..breaker })
        },
    ),
    Setting::new(
        "failure_ratio",
        |breaker| breaker.failure_ratio.map(|rule| rule.ratio),
        |breaker, to| Ok(Breaker { failure_ratio: with_ratio(breaker.failure_ratio, to)?, ..breaker }),
    ),
    Setting::new(
        "slow_ratio",
        |breaker| breaker.slow_ratio.map(|rule| rule.ratio),
        |breaker, to| Ok(Breaker { slow_ratio: with_ratio(breaker.slow_ratio, to)?, ..breaker }),
    ),
    Setting::new(
        "slow_after_seconds",
        |breaker| breaker.slow_after.map(|slow_after| slow_after.as_secs_f64()),
        |breaker, to| Ok(breaker.slow_after(seconds(to)?)),
    ),
    Setting::new(
        "consecutive",
        |breaker| breaker.consecutive.map(|rule| rule.failures.into()),
        |breaker, to| {
            let failures = Consecutive::try_new(whole(to)?)?.failures;
            let consecutive = breaker.consecutive.map(|rule| Consecutive { failures, ..rule });
            Ok(Breaker { consecutive, ..breaker })
        },
    ),
];

/// The shortest and the longest pause in seconds.
fn doubling(breaker: &Breaker) -> Option<(f64, f64)> {
    match breaker.pause.steps {
        Steps::Doubling { min, max } => Some((min.as_secs_f64(), max.as_secs_f64())),
        Steps::List { .. } => None,
    }
}

fn with_ratio(rule: Option<Ratio>, to: f64) -> Result<Option<Ratio>, Invalid> {
    let ratio = Ratio::try_new(to)?.ratio;
    Ok(rule.map(|rule| Ratio { ratio, ..rule }))
}
