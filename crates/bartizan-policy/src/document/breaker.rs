use super::settings::{Judged, settings};
use super::{AboveZero, Between, Nats, NumberOr, Share, Switch, Time, spelled};
use crate::tree::Fault;
use bartizan_breaker::{Breaker, Consecutive, Evidence, Mode, Pause, Ratio, Window};
use bartizan_stack::ClientStack;
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

settings! {
    /// When a circuit opens, for how long, and how it closes again.
    BreakerTable for Breaker;

    /// The rule that trips when failures have become too many to be chance. `false` takes it out.
    evidence: Switch<EvidenceTable> = evidence;
    /// Trips as well when the share of failed and throttled calls reaches a ratio. Without it: off.
    failure_ratio: RatioTable = |breaker, ratio: RatioTable| {
        ratio.make().map(|ratio| breaker.failure_ratio(ratio))
    };
    /// Trips as well when the share of slow calls reaches a ratio. Without it: off.
    slow_ratio: SlowRatioTable = |breaker, slow: SlowRatioTable| {
        let SlowRatioTable { slow_after, ratio, min_requests, window, pause } = slow;
        let ratio = RatioTable { ratio, min_requests, window, pause };
        ratio.make().map(|ratio| breaker.slow_ratio(slow_after.0, ratio))
    };
    /// Trips as well after failures in a row: their number, or a table. Without it: off.
    #[schemars(with = "Option<NumberOr<ConsecutiveTable>>")]
    consecutive: ConsecutiveTable = |breaker, table: ConsecutiveTable| consecutive(breaker, &table);
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
    slow_after: Time,
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

/// How far back a ratio looks: a duration, or a number of calls.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Span {
    Calls(u32),
    Past(Time),
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnySpan)
    }
}

struct AnySpan;

impl serde::de::Visitor<'_> for AnySpan {
    type Value = Span;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(r#"a duration as text, such as "10s", or a number of calls"#)
    }

    fn visit_u64<E: serde::de::Error>(self, calls: u64) -> Result<Span, E> {
        Ok(Span::Calls(u32::try_from(calls).unwrap_or(u32::MAX)))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Span, E> {
        match (text.parse(), humantime::parse_duration(text)) {
            (Ok(calls), _) => Ok(Span::Calls(calls)),
            (_, Ok(past)) => Ok(Span::Past(Time(past))),
            _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
        }
    }
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

super::given!(RatioTable, SlowRatioTable, ConsecutiveTable, Shares, BreakerMode);

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

fn consecutive(breaker: Breaker, table: &ConsecutiveTable) -> Result<Breaker, Fault> {
    let failures = table.failures.unwrap_or(Consecutive::DEFAULT_FAILURES);
    let rule = Consecutive::try_new(failures).map_err(|invalid| Fault::from(invalid).within("failures"))?;
    Ok(breaker.consecutive(match pause(table.pause.as_ref())? {
        Some(pause) => rule.pause(pause),
        None => rule,
    }))
}

impl RatioTable {
    fn make(&self) -> Result<Ratio, Fault> {
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
        Ok(match pause(self.pause.as_ref())? {
            Some(pause) => ratio.pause(pause),
            None => ratio,
        })
    }
}

fn pause(table: Option<&PauseTable>) -> Result<Option<Pause>, Fault> {
    let made = table.map(|table| table.onto(Pause::new(), Judged::Whole)).transpose();
    made.map_err(|fault| fault.within("pause"))
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Window".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let time = generator.subschema_for::<Time>();
        schemars::json_schema!({
            "description": "How far back a ratio looks: a duration, or a number of calls.",
            "anyOf": [time, { "type": "integer", "minimum": 1, "maximum": Window::MAX_CALLS }],
        })
    }
}
