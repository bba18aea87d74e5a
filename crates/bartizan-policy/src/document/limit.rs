use super::settings::{Judged, settings};
use super::{Share, Time, spelled};
use crate::tree::Fault;
use bartizan_limit::Limit;
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// How many requests are let through: a rate, and a burst. Naming the rate switches the limit on.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitTable {
    /// Requests in a period. It makes a new limit, with a burst of as many.
    #[schemars(range(min = 1))]
    pub(crate) rate: Option<u32>,
    /// The period of the rate. With the rate alone.
    #[schemars(extend("default" = spelled(SECOND)))]
    pub(crate) per: Option<Time>,
    /// How many requests may come at once. Without it: the rate.
    #[schemars(range(min = 1))]
    pub(crate) burst: Option<u32>,
    /// The share of the requests over the limit that is only counted, and let through.
    #[schemars(with = "Option<Share>", extend("default" = 0.0))]
    pub(crate) shadow: Option<f64>,
    /// The seed of the dice, for runs that repeat.
    pub(crate) seed: Option<u64>,
    /// Whether the limit is on.
    pub(crate) enabled: Option<bool>,
}

const SECOND: Duration = Duration::from_secs(1);

settings! {
    /// What can be changed of a limit whose rate stays.
    Rest for Limit;

    /// How many requests may come at once.
    burst: u32 = Limit::try_burst;
    /// The share that is only counted.
    shadow: f64 = Limit::try_shadow;
    seed: u64 = Limit::seed;
    enabled: bool = Limit::enabled;
}

impl LimitTable {
    /// `None`: there is no limit, and none is asked for.
    pub(crate) fn onto(&self, limit: Option<Limit>, judged: Judged) -> Result<Option<Limit>, Fault> {
        let Self { rate, per, burst, shadow, seed, enabled } = *self;
        let limit = match (rate, per, limit) {
            (Some(rate), per, _) => {
                Limit::try_per(rate, per.map_or(SECOND, |Time(per)| per)).map_err(|invalid| {
                    Fault::from(invalid).within(if invalid.field() == "rate" { "rate" } else { "per" })
                })?
            }
            (None, Some(_), _) => return Err(Fault::new("a period needs a `rate` beside it").within("per")),
            (None, None, Some(limit)) => limit,
            (None, None, None) if enabled == Some(false) || judged == Judged::Alone => {
                let any = Limit::per_second(1);
                return Rest { burst, shadow, seed, enabled }.onto(any, judged).map(|_| None);
            }
            (None, None, None) => return Err(Fault::new("`rate` is missing")),
        };
        Rest { burst, shadow, seed, enabled }.onto(limit, judged).map(Some)
    }
}
