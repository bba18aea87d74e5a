use super::settings::settings;
use super::{Share, Time, spelled};
use bartizan_core::Budget;

settings! {
    /// How much extra traffic may be sent.
    BudgetTable for Budget;

    /// The tokens that a success is worth: the share of extra traffic in the long run.
    #[schemars(with = "Option<Share>", extend("default" = Budget::DEFAULT_RATIO))]
    ratio: f64 = Budget::try_ratio;
    /// How many tokens a purse begins with, and can always hold.
    #[schemars(range(min = 1, max = 1000), extend("default" = Budget::DEFAULT_MIN_TOKENS))]
    min_tokens: u32 = Budget::try_min_tokens;
    /// How much traffic a full purse is worth.
    #[schemars(extend("default" = spelled(Budget::DEFAULT_CAP)))]
    cap: Time = Budget::cap;
    /// How likely a failure is retried, compared with the one before it in a row.
    #[schemars(with = "Option<Share>", extend("default" = Budget::DEFAULT_PERSISTENCE))]
    persistence: f64 = Budget::try_persistence;
    /// Whether each failure costs a token, retried or not.
    #[schemars(extend("default" = false))]
    charge_failures: bool = Budget::charge_failures;
    /// The seed of the dice, for runs that repeat.
    seed: u64 = Budget::seed;
}
