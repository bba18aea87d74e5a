use super::settings::{Judged, settings};
use super::{AboveOne, AboveZero, BelowOne, Between, Share, Switch, Time, spelled};
use crate::tree::Fault;
use bartizan_balance::{Ejection, Excess, FailureRatio, Slowness, SuccessRate};

settings! {
    /// When an endpoint is ejected for how the calls to it end, for how long, and how many may be out at a time.
    EjectionTable for Ejection;

    /// How many failures in a row eject. Zero: none do.
    #[schemars(extend("default" = Ejection::DEFAULT_CONSECUTIVE))]
    consecutive: u32 = Ejection::consecutive;
    /// How many answers 502, 503 or 504 in a row eject. Zero: none do.
    #[schemars(extend("default" = 0))]
    consecutive_gateway: u32 = Ejection::consecutive_gateway;
    /// How many calls in a row without an answer eject. Zero: none do.
    #[schemars(extend("default" = Ejection::DEFAULT_CONSECUTIVE_LOCAL))]
    consecutive_local: u32 = Ejection::consecutive_local;
    /// Counts calls without an answer apart from what servers answer.
    #[schemars(extend("default" = false))]
    split_local: bool = Ejection::split_local;
    /// By how much an endpoint must fail more than the others. `false` takes the rule out.
    #[schemars(extend("default" = true))]
    excess: Switch<ExcessTable> = excess;
    /// Ejects as well by distance from the mean rate of success. Without it: off.
    success_rate: SuccessRateTable = |ejection, table: SuccessRateTable| {
        table.onto(SuccessRate::new(), Judged::Whole).map(|rule| ejection.success_rate(rule))
    };
    /// Ejects as well when the share of failures in an interval reaches a ratio. Without it: off.
    failure_ratio: FailureRatioTable = |ejection, table: FailureRatioTable| {
        table.onto(FailureRatio::new(), Judged::Whole).map(|rule| ejection.failure_ratio(rule))
    };
    /// Ejects as well who answers far more slowly than the others. Without it: off.
    slowness: SlownessTable = |ejection, table: SlownessTable| {
        table.onto(Slowness::new(), Judged::Whole).map(|rule| ejection.slowness(rule))
    };
    /// The time between two comparisons of the endpoints. Above zero.
    #[schemars(extend("default" = spelled(Ejection::DEFAULT_INTERVAL)))]
    interval: Time = Ejection::try_interval;
    /// The first pause; the n-th in a row is n times as long. Above zero.
    #[schemars(extend("default" = spelled(Ejection::DEFAULT_PAUSE)))]
    pause: Time = Ejection::try_pause;
    /// The longest pause. Not shorter than the first.
    #[schemars(extend("default" = spelled(Ejection::DEFAULT_MAX_PAUSE)))]
    max_pause: Time = Ejection::try_max_pause;
    /// The share up to which a pause is cut short at random.
    #[schemars(with = "Option<Share>", extend("default" = Ejection::DEFAULT_JITTER))]
    jitter: f64 = Ejection::try_jitter;
    /// The share of the endpoints that may be out at a time. Above zero it is at least one.
    #[schemars(with = "Option<Share>", extend("default" = Ejection::DEFAULT_MAX_EJECTED))]
    max_ejected: f64 = Ejection::try_max_ejected;
    /// The share of the others with a failed last call beyond which none is ejected. Without it: a third.
    #[schemars(with = "Option<Share>")]
    max_failing: f64 = Ejection::try_max_failing;
    /// The share of the ejections that are carried out; the others are told and counted only.
    #[schemars(with = "Option<Share>", extend("default" = 1.0))]
    enforcing: f64 = Ejection::try_enforcing;
    /// Whether a heartbeat that passes ends an ejection at once.
    #[schemars(extend("default" = true))]
    pardon: bool = Ejection::pardon;
    /// Whether any rule fires.
    #[schemars(extend("default" = true))]
    enabled: bool = Ejection::enabled;
}

settings! {
    /// Ejects an endpoint that fails more often than the others, beyond chance.
    ExcessTable for Excess;

    /// How many times the others' share of failures is still normal.
    #[schemars(range(min = 1.0), extend("default" = Excess::DEFAULT_TIMES))]
    times: f64 = Excess::try_times;
    /// The share of failures that is normal above the others'.
    #[schemars(with = "Option<BelowOne>", extend("default" = Excess::DEFAULT_MARGIN))]
    margin: f64 = Excess::try_margin;
    /// The chance of one judgement to eject an endpoint that keeps within the bounds.
    #[schemars(with = "Option<Between>", extend("default" = Excess::DEFAULT_CHANCE))]
    chance: f64 = Excess::try_chance;
}

settings! {
    /// Ejects an endpoint whose rate of success is too far below the mean.
    SuccessRateTable for SuccessRate;

    /// How many standard deviations below the mean eject.
    #[schemars(range(min = 0.0), extend("default" = SuccessRate::DEFAULT_FACTOR))]
    factor: f64 = SuccessRate::try_factor;
    /// How many endpoints with enough calls there must be.
    #[schemars(range(min = 1), extend("default" = SuccessRate::DEFAULT_MIN_HOSTS))]
    min_hosts: usize = SuccessRate::try_min_hosts;
    /// How many calls an endpoint must have had in the interval.
    #[schemars(range(min = 1), extend("default" = SuccessRate::DEFAULT_MIN_REQUESTS))]
    min_requests: u32 = SuccessRate::try_min_requests;
}

settings! {
    /// Ejects an endpoint whose share of failures in an interval reaches a ratio.
    FailureRatioTable for FailureRatio;

    /// The share that ejects.
    #[schemars(with = "Option<AboveZero>", extend("default" = FailureRatio::DEFAULT_RATIO))]
    ratio: f64 = FailureRatio::try_ratio;
    /// How many endpoints with enough calls there must be.
    #[schemars(range(min = 1), extend("default" = FailureRatio::DEFAULT_MIN_HOSTS))]
    min_hosts: usize = FailureRatio::try_min_hosts;
    /// How many calls an endpoint must have had in the interval.
    #[schemars(range(min = 1), extend("default" = FailureRatio::DEFAULT_MIN_REQUESTS))]
    min_requests: u32 = FailureRatio::try_min_requests;
}

settings! {
    /// Ejects an endpoint whose mean latency is far above the median of the others'.
    SlownessTable for Slowness;

    /// How many times the median is slow.
    #[schemars(with = "Option<AboveOne>", extend("default" = Slowness::DEFAULT_TIMES))]
    times: f64 = Slowness::try_times;
    /// The mean latency up to which nothing is slow.
    #[schemars(extend("default" = spelled(Slowness::DEFAULT_LEAST)))]
    least: Time = Slowness::least;
    /// How many endpoints with enough calls there must be.
    #[schemars(range(min = 1), extend("default" = Slowness::DEFAULT_MIN_HOSTS))]
    min_hosts: usize = Slowness::try_min_hosts;
    /// How many calls an endpoint must have had in the interval.
    #[schemars(range(min = 1), extend("default" = Slowness::DEFAULT_MIN_REQUESTS))]
    min_requests: u32 = Slowness::try_min_requests;
}

fn excess(ejection: Ejection, excess: Switch<ExcessTable>) -> Result<Ejection, Fault> {
    Ok(match excess {
        Switch::Off => ejection.without_excess(),
        Switch::On(table) => ejection.excess(table.onto(Excess::new(), Judged::Whole)?),
    })
}
