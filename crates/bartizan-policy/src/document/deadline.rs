use super::settings::settings;
use super::{Share, Time, spelled};
use crate::tree::Fault;
use bartizan_deadline::Deadline;
use std::time::Duration;

settings! {
    /// How long a call may take, and what is refused because it could not be done in time. A duration alone is its `total`.
    DeadlineTable for Deadline, free free;

    /// The longest time from the call to the end of the answer's body. Above zero; `enabled = false` is what switches it off.
    total: Time = total, with min_remaining | margin, else ENDLESS;
    /// The longest time to the head of the answer. Without it: no bound but the total.
    head_timeout: Time = Deadline::try_head_timeout;
    /// The longest pause within the body. Without it: no bound but the total.
    idle_timeout: Time = Deadline::try_idle_timeout;
    /// The least time that must be left for a call to be tried. At most the total.
    #[schemars(extend("default" = spelled(Deadline::DEFAULT_MIN_REMAINING)))]
    min_remaining: Time = Deadline::try_min_remaining, with total, else ENDLESS;
    /// How much less than what is left a server that is called is told. Shorter than the total.
    #[schemars(extend("default" = spelled(Deadline::DEFAULT_MARGIN)))]
    margin: Time = Deadline::try_margin, with total, else ENDLESS;
    /// The share of the requests of the last ten seconds that may be refused before they start: a guard against wrong clocks.
    #[schemars(with = "Option<Share>", extend("default" = Deadline::DEFAULT_MAX_REFUSED_SHARE))]
    max_refused_share: f64 = Deadline::try_max_refused_share;
    /// Refuses a call that has less time left than nearly all took lately.
    #[schemars(extend("default" = false))]
    learn: bool = Deadline::learn;
    /// Lets the priority header of a request raise its priority, for servers whose callers are all your own.
    #[schemars(extend("default" = false))]
    trusted: bool = Deadline::trusted;
    /// Exempts bodies from the total, which then bounds the time to the head alone.
    #[schemars(extend("default" = false))]
    stream: bool = Deadline::stream;
    /// Counts the total from the call in the typed flavour as well.
    #[schemars(extend("default" = false))]
    from_call: bool = Deadline::from_call;
    /// Whether the layer does anything.
    #[schemars(extend("default" = true))]
    enabled: bool = Deadline::enabled;
}

/// Zero stands for "off" elsewhere, and here it would refuse everything.
fn total(deadline: Deadline, total: Duration) -> Result<Deadline, Fault> {
    if total.is_zero() {
        return Err(Fault::new(
            "must be above zero, which refuses every call: `enabled = false` switches it off",
        ));
    }
    deadline.try_with_total(total).map_err(Fault::from)
}

/// What every time fits to.
const ENDLESS: Deadline = Deadline::new(Duration::MAX);

/// Takes off what is named anew, so that it does not stand against a total that is named with it.
fn free(table: &DeadlineTable, deadline: Deadline) -> Deadline {
    let deadline =
        if table.min_remaining.is_some() { deadline.min_remaining(Duration::ZERO) } else { deadline };
    if table.margin.is_some() { deadline.margin(Duration::ZERO) } else { deadline }
}
