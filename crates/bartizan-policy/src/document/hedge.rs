use super::budget::BudgetTable;
use super::settings::{Judged, settings};
use super::{AboveZero, Percentile, Time, spelled};
use bartizan_hedge::Hedge;

settings! {
    /// When a second copy of a request is sent, and how many.
    HedgeTable for Hedge;

    /// A delay that is not learnt. Without it: learnt.
    delay: Time = Hedge::delay;
    /// How many copies may be sent beside the calls, as a share of these.
    #[schemars(with = "Option<AboveZero>", extend("default" = Hedge::DEFAULT_EXTRA))]
    extra: f64 = Hedge::try_extra;
    /// The share of calls for which no copy is sent. Without it: by the extra load.
    #[schemars(with = "Option<Percentile>")]
    percentile: f64 = Hedge::try_percentile;
    /// How many copies are sent beside the first.
    #[schemars(range(max = 4), extend("default" = Hedge::DEFAULT_MAX_HEDGES))]
    max_hedges: u32 = Hedge::try_max_hedges;
    /// The least delay that is learnt.
    #[schemars(extend("default" = spelled(Hedge::DEFAULT_MIN_DELAY)))]
    min_delay: Time = Hedge::min_delay;
    /// How many calls are seen before the first is hedged.
    #[schemars(extend("default" = Hedge::DEFAULT_WARM_UP))]
    warm_up: u32 = Hedge::warm_up;
    /// The budget of copies alone. Without it, or without a `ratio` in it: by the extra load.
    budget: BudgetTable = |hedge, budget: BudgetTable| {
        let base = hedge.own_budget();
        budget.onto(base, Judged::Whole).map(|budget| hedge.budget(budget))
    };
    /// How many bytes of a request body are kept for copies.
    #[schemars(extend("default" = 65536))]
    max_body: usize = Hedge::max_body;
    /// How many bytes are kept of all request bodies together.
    #[schemars(extend("default" = 16777216))]
    max_bodies: usize = Hedge::max_bodies;
    /// The seed of the dice, for runs that repeat.
    seed: u64 = Hedge::seed;
    /// Whether the layer does anything.
    #[schemars(extend("default" = true))]
    enabled: bool = Hedge::enabled;
}
