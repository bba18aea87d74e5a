//! The rules by which a circuit opens.

use super::pause::{self, PauseTable};
use super::settings::{Judged, settings};
use super::span::Span;
use super::{AboveZero, Between, Nats, Time};
use crate::tree::Fault;
use bartizan_breaker::{Consecutive, Evidence, Pause, Ratio, Window};
use schemars::JsonSchema;
use serde::Deserialize;

settings! {
    /// Trips when failures have become too many to be chance.
    EvidenceTable for Evidence;

    /// Fits the rule to one endpoint of many.
    endpoint: bool = |evidence, on| if on { evidence.endpoint() } else { evidence };
    /// The shares of failures that are normal, and an outage. Without them: learnt within bounds.
    shares: Shares = |evidence, shares: Shares| evidence.try_shares(shares.normal, shares.outage);
    /// The evidence that trips, in nats.
    #[schemars(with = "Option<Nats>", extend("default" = Evidence::DEFAULT_THRESHOLD))]
    threshold: f64 = Evidence::try_threshold;
    /// The pause after a trip of this rule. Without it: the breaker's.
    pause: PauseTable = |evidence, pause: PauseTable| {
        pause.onto(Pause::new(), Judged::Whole).map(|pause| evidence.pause(pause))
    };
}

/// Shares of failures, `0 < normal < outage < 1`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shares {
    /// The share that is normal.
    #[schemars(with = "Between")]
    normal: f64,
    /// The share that is an outage.
    #[schemars(with = "Between")]
    outage: f64,
}

/// Trips when the share of bad calls within a sliding window reaches a ratio.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RatioTable {
    /// The share that trips.
    #[schemars(with = "AboveZero")]
    ratio: f64,
    /// How many calls the window must hold before the rule judges.
    #[schemars(range(min = 1), extend("default" = Ratio::DEFAULT_MIN_REQUESTS))]
    min_requests: Option<u32>,
    /// How far back the rule looks: a duration, or a number of calls.
    #[schemars(extend("default" = "10s"))]
    window: Option<Span>,
    /// The pause after a trip of this rule. Without it: the breaker's.
    pause: Option<PauseTable>,
}

/// Trips when the share of slow calls within a sliding window reaches a ratio.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SlowRatioTable {
    /// From when on a call is slow.
    pub(super) slow_after: Time,
    /// The share that trips.
    #[schemars(with = "AboveZero")]
    ratio: f64,
    /// How many calls the window must hold before the rule judges.
    #[schemars(range(min = 1), extend("default" = Ratio::DEFAULT_MIN_REQUESTS))]
    min_requests: Option<u32>,
    /// How far back the rule looks: a duration, or a number of calls.
    #[schemars(extend("default" = "10s"))]
    window: Option<Span>,
    /// The pause after a trip of this rule. Without it: the breaker's.
    pause: Option<PauseTable>,
}

/// Trips after failures in a row.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConsecutiveTable {
    /// How many.
    #[schemars(range(min = 1), extend("default" = Consecutive::DEFAULT_FAILURES))]
    failures: Option<u32>,
    /// The pause after a trip of this rule. Without it: the breaker's.
    pause: Option<PauseTable>,
}

super::given!(RatioTable, SlowRatioTable, ConsecutiveTable, Shares);

impl RatioTable {
    pub(super) fn make(&self) -> Result<Ratio, Fault> {
        let within = |field: &'static str| move |invalid| Fault::from(invalid).within(field);
        let mut ratio = Ratio::try_new(self.ratio).map_err(within("ratio"))?;
        if let Some(window) = self.window {
            let window = match window {
                Span::Calls(calls) => Window::try_calls(calls),
                Span::Past(Time(past)) => Window::try_time(past),
            };
            ratio = ratio.window(window.map_err(within("window"))?);
        }
        if let Some(min_requests) = self.min_requests {
            ratio = ratio.try_min_requests(min_requests).map_err(within("min_requests"))?;
        }
        Ok(match pause::of_rule(self.pause.as_ref())? {
            Some(pause) => ratio.pause(pause),
            None => ratio,
        })
    }
}

impl SlowRatioTable {
    /// The same rule of another share.
    pub(super) fn ratio(self) -> RatioTable {
        let Self { ratio, min_requests, window, pause, .. } = self;
        RatioTable { ratio, min_requests, window, pause }
    }
}

impl ConsecutiveTable {
    pub(super) fn make(&self) -> Result<Consecutive, Fault> {
        let failures = self.failures.unwrap_or(Consecutive::DEFAULT_FAILURES);
        let rule =
            Consecutive::try_new(failures).map_err(|invalid| Fault::from(invalid).within("failures"))?;
        Ok(match pause::of_rule(self.pause.as_ref())? {
            Some(pause) => rule.pause(pause),
            None => rule,
        })
    }
}
