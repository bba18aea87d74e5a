use super::pause::PauseTable;
use super::rules::{ConsecutiveTable, EvidenceTable, RatioTable, SlowRatioTable};
use super::settings::{Judged, settings};
use super::{NumberOr, Switch, Time, spelled};
use crate::tree::Fault;
use bartizan_breaker::{Breaker, Mode, Pause};
use bartizan_stack::ClientStack;
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

settings! {
    /// When a circuit opens, for how long, and how it closes again.
    BreakerTable for Breaker;

    /// The rule that trips when failures have become too many to be chance. `false` takes it out.
    #[schemars(extend("default" = true))]
    evidence: Switch<EvidenceTable> = evidence;
    /// Trips as well when the share of failed and throttled calls reaches a ratio. Without it: off.
    failure_ratio: RatioTable = |breaker, ratio: RatioTable| {
        ratio.make().map(|ratio| breaker.failure_ratio(ratio))
    };
    /// Trips as well when the share of slow calls reaches a ratio. Without it: off.
    slow_ratio: SlowRatioTable = |breaker, slow: SlowRatioTable| {
        let Time(slow_after) = slow.slow_after;
        slow.ratio().make().map(|ratio| breaker.slow_ratio(slow_after, ratio))
    };
    /// Trips as well after failures in a row: their number, or a table. Without it: off.
    #[schemars(with = "Option<NumberOr<ConsecutiveTable>>")]
    consecutive: ConsecutiveTable = |breaker, row: ConsecutiveTable| {
        row.make().map(|row| breaker.consecutive(row))
    };
    /// From when on a call is slow. Without it: never.
    slow_after: Time = Breaker::slow_after;
    /// The pause after a trip, where the rule that fired has none of its own.
    pause: PauseTable = |breaker, pause: PauseTable| {
        pause.onto(Pause::new(), Judged::Whole).map(|pause| breaker.pause(pause))
    };
    /// How long the circuit refuses before it probes. Each failed probe doubles it.
    #[schemars(extend("default" = spelled(ClientStack::DEFAULT_BREAKER.pauses().first())))]
    open_for: Time = Breaker::open_for;
    /// The longest pause. Not shorter than `open_for`.
    #[schemars(extend("default" = spelled(ClientStack::DEFAULT_BREAKER.pauses().longest())))]
    max_open_for: Time = Breaker::try_max_open_for, with open_for, else Breaker::new().open_for(Duration::ZERO);
    /// How many probes are let through at a time.
    #[schemars(range(min = 1, max = Breaker::MAX_PROBES), extend("default" = Breaker::DEFAULT_PROBES))]
    probes: u32 = Breaker::try_probes;
    /// Opens the circuit again at the first probe that fails.
    #[schemars(extend("default" = false))]
    strict_probes: bool = Breaker::strict_probes;
    /// How long a probe keeps its place. Above zero.
    #[schemars(extend("default" = spelled(Breaker::DEFAULT_PROBE_LEASE)))]
    probe_lease: Time = Breaker::try_probe_lease;
    /// How long traffic takes to come back once the circuit has closed.
    #[schemars(extend("default" = spelled(Breaker::DEFAULT_RAMP)))]
    ramp: Time = Breaker::ramp;
    /// Starts with an open circuit.
    #[schemars(extend("default" = false))]
    start_open: bool = Breaker::start_open;
    /// The seed of the jitter, for runs that repeat.
    seed: u64 = Breaker::seed;
    /// Whether the layer does anything.
    #[schemars(extend("default" = true))]
    enabled: bool = Breaker::enabled;
    /// What the breaker does with what it knows. Not beside `enabled`.
    #[schemars(extend("default" = "normal"))]
    mode: BreakerMode = |breaker, mode: BreakerMode| breaker.mode(mode.into());
}

/// What the breaker does with what it knows.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BreakerMode {
    /// Refuses while the circuit is open.
    Normal,
    /// Runs the whole state machine and refuses nothing.
    Shadow,
    /// Refuses everything until told otherwise.
    ForcedOpen,
    /// Admits everything and records nothing.
    Disabled,
}

super::given!(BreakerMode);

impl From<BreakerMode> for Mode {
    fn from(mode: BreakerMode) -> Self {
        match mode {
            BreakerMode::Normal => Self::Normal,
            BreakerMode::Shadow => Self::Shadow,
            BreakerMode::ForcedOpen => Self::ForcedOpen,
            BreakerMode::Disabled => Self::Disabled,
        }
    }
}

fn evidence(breaker: Breaker, evidence: Switch<EvidenceTable>) -> Result<Breaker, Fault> {
    Ok(match evidence {
        Switch::Off => breaker.without_evidence(),
        Switch::On(table) => {
            let rule = breaker.evidence_rule().unwrap_or_default();
            breaker.evidence(table.onto(rule, Judged::Whole)?)
        }
    })
}
