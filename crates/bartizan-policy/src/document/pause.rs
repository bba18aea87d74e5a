use super::settings::{Judged, settings};
use super::{Share, Time, spelled};
use crate::tree::Fault;
use bartizan_breaker::Pause;
use std::time::Duration;

settings! {
    /// The pause after a trip, and after every failed round of probes that follows.
    PauseTable for Pause;

    /// The first pause; each further one doubles the one before.
    #[schemars(extend("default" = spelled(Pause::DEFAULT_MIN)))]
    min: Time = Pause::min;
    /// The longest pause.
    #[schemars(extend("default" = spelled(Pause::DEFAULT_MAX)))]
    max: Time = Pause::try_max;
    /// The pauses one by one, instead; the last one stays.
    #[schemars(length(min = 1, max = Pause::MAX_LIST))]
    list: Vec<Time> = |pause, list: Vec<Time>| {
        pause.try_list(&list.iter().map(|Time(pause)| *pause).collect::<Vec<Duration>>())
    };
    /// The share by which a pause is made longer or shorter at random.
    #[schemars(with = "Option<Share>", extend("default" = Pause::DEFAULT_JITTER))]
    jitter: f64 = Pause::try_jitter;
}

/// The pause of a rule, if it has one of its own.
pub(super) fn of_rule(table: Option<&PauseTable>) -> Result<Option<Pause>, Fault> {
    let made = table.map(|table| table.onto(Pause::new(), Judged::Whole)).transpose();
    made.map_err(|fault| fault.within("pause"))
}
