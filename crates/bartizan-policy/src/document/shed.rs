use super::settings::settings;
use super::{AboveZero, Time, spelled};
use crate::tree::Fault;
use bartizan_shed::{Mode, Shed};
use schemars::JsonSchema;
use serde::Deserialize;

settings! {
    /// When requests are refused because there are too many of them.
    ShedTable for Shed, free free;

    /// Admits so many at a time, a bulkhead, instead of adapting. It makes a new limit.
    #[schemars(range(min = 1, max = Shed::MAX_FIXED))]
    fixed: usize = |_, limit| Shed::try_fixed(limit);
    /// Adapts to what can be served, where code says a fixed limit. It makes a new limit.
    adaptive: bool = adapt;
    /// The share of the time to its deadline that a critical request may be predicted to wait.
    #[schemars(with = "Option<AboveZero>", extend("default" = Shed::DEFAULT_CRITICAL))]
    critical: f64 = Shed::try_critical;
    /// The same for a normal request.
    #[schemars(with = "Option<AboveZero>", extend("default" = Shed::DEFAULT_NORMAL))]
    normal: f64 = Shed::try_normal;
    /// The same for a sheddable request.
    #[schemars(with = "Option<AboveZero>", extend("default" = Shed::DEFAULT_SHEDDABLE))]
    sheddable: f64 = Shed::try_sheddable;
    /// The time to its deadline that a request has which has none. Above zero.
    #[schemars(extend("default" = spelled(Shed::DEFAULT_ASSUMED_DEADLINE)))]
    assumed_deadline: Time = Shed::try_assumed_deadline;
    /// How many an adaptive limit admits at most. Without it: no such bound.
    #[schemars(range(min = 1))]
    max_in_flight: usize = Shed::try_max_in_flight, with min_in_flight, else Shed::new();
    /// How many an adaptive limit admits at least.
    #[schemars(range(min = 1), extend("default" = 1))]
    min_in_flight: usize = Shed::try_min_in_flight, with max_in_flight, else Shed::new();
    /// Bounds an adaptive limit by what was in flight lately. Without it: no such bound.
    ceiling: Ceiling = |shed, ceiling: Ceiling| shed.try_ceiling(ceiling.factor, ceiling.hold.0);
    /// Whether a request is in flight to the end of its answer's body, and not to the head alone.
    #[schemars(extend("default" = true))]
    count_bodies: bool = Shed::count_bodies;
    /// Lets the header `x-request-priority` raise the priority of a request.
    #[schemars(extend("default" = false))]
    trusted_edge: bool = Shed::trusted_edge;
    /// Refuses as well while this process uses more than a share of its CPUs. Without it: off.
    #[schemars(with = "Option<AboveZero>")]
    cpu: f64 = Shed::try_cpu;
    /// After how long a refused request may come again, at the earliest.
    #[schemars(extend("default" = spelled(Shed::DEFAULT_RETRY_AFTER)))]
    retry_after: Time = Shed::retry_after;
    /// The seed of the dice, for runs that repeat.
    seed: u64 = Shed::seed;
    /// Whether the layer does anything.
    #[schemars(extend("default" = true))]
    enabled: bool = Shed::enabled;
    /// What the layer does with what it knows. Not beside `enabled`.
    #[schemars(extend("default" = "normal"))]
    mode: ShedMode = |shed, mode: ShedMode| shed.mode(mode.into());
}

/// Bounds an adaptive limit by what was in flight lately.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ceiling {
    /// How many times the most of any second lately.
    #[schemars(range(min = 1.0))]
    factor: f64,
    /// How long lately is. At least `1s`.
    hold: Time,
}

/// What the layer does with what it knows.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ShedMode {
    /// Refuses when it is time to.
    Normal,
    /// Decides and refuses nothing; what it would refuse is counted.
    Shadow,
    /// Admits everything and counts nothing.
    Disabled,
}

super::given!(Ceiling, ShedMode);

impl From<ShedMode> for Mode {
    fn from(mode: ShedMode) -> Self {
        match mode {
            ShedMode::Normal => Self::Normal,
            ShedMode::Shadow => Self::Shadow,
            ShedMode::Disabled => Self::Disabled,
        }
    }
}

fn adapt(_: Shed, adaptive: bool) -> Result<Shed, Fault> {
    if adaptive {
        Ok(Shed::new())
    } else {
        Err(Fault::new("adaptive must be true, or `fixed` be named instead"))
    }
}

/// Takes off what is named anew, so that it does not stand against what is named with it.
fn free(table: &ShedTable, shed: Shed) -> Shed {
    if table.min_in_flight.is_some() { shed.min_in_flight(1) } else { shed }
}
