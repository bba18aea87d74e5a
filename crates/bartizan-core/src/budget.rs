use crate::Invalid;
use crate::show::{Line, Percent, Time, changed};
use std::fmt;
use std::time::Duration;

/// How much extra traffic, retries and hedges together, may be sent. A [`Purse`](crate::Purse) holds the tokens.
///
/// Successes fund it: each puts [`ratio`](Self::ratio) of a token into the purse, and each retry or hedge takes a whole one out. A
/// budget that requests fund, as those of tower and Finagle, goes on paying for retries while nothing succeeds any more, and
/// keeps the overload alive that made the calls fail.
///
/// Two rules bound it from above. The purse holds at most what a short [span](Self::cap) of traffic is worth, so that hours
/// of health do not pay for a storm. And failures in a row are [ever less likely](Self::persistence) to be retried, as
/// they say that another try is in vain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// In [`TOKEN`]s.
    pub(crate) ratio: u64,
    pub(crate) min_tokens: u32,
    pub(crate) cap: Duration,
    pub(crate) persistence: f64,
    pub(crate) charge_failures: bool,
    pub(crate) seed: Option<u64>,
}

/// One token, counted in billionths: sums of them are exact.
pub(crate) const TOKEN: u64 = 1_000_000_000;

const NO_RATIO: &str = "ratio must be within 0.0..=1.0";
const NO_TOKENS: &str = "min_tokens must be within 1..=1000";
const NO_PERSISTENCE: &str = "persistence must be within 0.0..=1.0";

impl Budget {
    /// Tokens that a success is worth: 0.1.
    pub const DEFAULT_RATIO: f64 = 0.1;
    /// Tokens that a purse can hold without any traffic: 5.
    pub const DEFAULT_MIN_TOKENS: u32 = 5;
    /// How much traffic a full purse is worth: 0.1 s.
    pub const DEFAULT_CAP: Duration = Duration::from_millis(100);
    /// How likely a failure is retried, compared with the one before it in a row: 0.5.
    pub const DEFAULT_PERSISTENCE: f64 = 0.5;

    /// Creates a budget with the defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            ratio: billionths(Self::DEFAULT_RATIO),
            min_tokens: Self::DEFAULT_MIN_TOKENS,
            cap: Self::DEFAULT_CAP,
            persistence: Self::DEFAULT_PERSISTENCE,
            charge_failures: false,
            seed: None,
        }
    }

    /// Sets the tokens that a success is worth, in `0.0..=1.0`, to the nearest billionth: the share of extra traffic that is paid
    /// for in the long run. At zero a purse never has more than it begins with. Default: [`DEFAULT_RATIO`](Self::DEFAULT_RATIO), 0.1.
    ///
    /// # Panics
    ///
    /// When `ratio` lies outside; [`try_ratio`](Self::try_ratio) returns an error instead.
    #[must_use]
    #[track_caller]
    pub const fn ratio(self, ratio: f64) -> Self {
        match self.try_ratio(ratio) {
            Ok(budget) => budget,
            Err(_) => panic!("{}", NO_RATIO),
        }
    }

    /// Sets the tokens that a success is worth, as [`ratio`](Self::ratio) does.
    ///
    /// # Errors
    ///
    /// When `ratio` lies outside of `0.0..=1.0`.
    pub const fn try_ratio(mut self, ratio: f64) -> Result<Self, Invalid> {
        if !is_share(ratio) {
            return Err(Invalid::new("ratio", NO_RATIO));
        }
        self.ratio = billionths(ratio);
        Ok(self)
    }

    /// Sets how many tokens a purse begins with, and can hold however little traffic there is, in `1..=1000`. Default:
    /// [`DEFAULT_MIN_TOKENS`](Self::DEFAULT_MIN_TOKENS), 5.
    ///
    /// # Panics
    ///
    /// When `tokens` lies outside; [`try_min_tokens`](Self::try_min_tokens) returns an error instead.
    #[must_use]
    #[track_caller]
    pub const fn min_tokens(self, tokens: u32) -> Self {
        match self.try_min_tokens(tokens) {
            Ok(budget) => budget,
            Err(_) => panic!("{}", NO_TOKENS),
        }
    }

    /// Sets how many tokens a purse begins with and can always hold, as [`min_tokens`](Self::min_tokens) does.
    ///
    /// # Errors
    ///
    /// When `tokens` lies outside of `1..=1000`.
    pub const fn try_min_tokens(mut self, tokens: u32) -> Result<Self, Invalid> {
        if tokens == 0 || tokens > 1000 {
            return Err(Invalid::new("min_tokens", NO_TOKENS));
        }
        self.min_tokens = tokens;
        Ok(self)
    }

    /// Sets how much traffic a full purse is worth: what the successes of such a span pay in. With 100 ms, 2000 successes a second lately
    /// and a [ratio](Self::ratio) of 0.1 it holds 20 tokens, and never less than [`min_tokens`](Self::min_tokens). Zero holds it there.
    /// Default: [`DEFAULT_CAP`](Self::DEFAULT_CAP), 0.1 s.
    ///
    /// Lately means since the purse was last asked for a token at least 1 s ago: that is 1 s to 2 s while it is asked often, and
    /// all the time since the last failure or hedge where those are rarer. A purse that is younger than 1 s counts as that old.
    #[must_use]
    pub const fn cap(mut self, span: Duration) -> Self {
        self.cap = span;
        self
    }

    /// Sets how likely a failure is retried, compared with the one before it in a row, in `0.0..=1.0`: the k-th failure since the last
    /// success, of all calls that share the purse, is retried with probability persistence^(k−1). At zero only the first is, at one
    /// all of them are. Default: [`DEFAULT_PERSISTENCE`](Self::DEFAULT_PERSISTENCE), 0.5.
    ///
    /// # Panics
    ///
    /// When `persistence` lies outside; [`try_persistence`](Self::try_persistence) returns an error instead.
    #[must_use]
    #[track_caller]
    pub const fn persistence(self, persistence: f64) -> Self {
        match self.try_persistence(persistence) {
            Ok(budget) => budget,
            Err(_) => panic!("{}", NO_PERSISTENCE),
        }
    }

    /// Sets how likely failures in a row are retried, as [`persistence`](Self::persistence) does.
    ///
    /// # Errors
    ///
    /// When `persistence` lies outside of `0.0..=1.0`.
    pub const fn try_persistence(mut self, persistence: f64) -> Result<Self, Invalid> {
        if !is_share(persistence) {
            return Err(Invalid::new("persistence", NO_PERSISTENCE));
        }
        self.persistence = persistence;
        Ok(self)
    }

    /// Sets whether each failure costs a token, retried or not, and retries are paid for, as hedges are, only while more than half is
    /// left. With a persistence of one and a cap of zero that is the retry throttling of gRPC (gRFC A6), of which
    /// [`min_tokens`](Self::min_tokens) is `maxTokens` and [`ratio`](Self::ratio) is `tokenRatio`. Default: false.
    #[must_use]
    pub const fn charge_failures(mut self, charge: bool) -> Self {
        self.charge_failures = charge;
        self
    }

    /// Sets the seed of the dice behind [`persistence`](Self::persistence), so that a run can be repeated. Default: a random one.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The tokens that a success is [worth](Self::ratio), in `0.0..=1.0`.
    #[must_use]
    pub const fn share(&self) -> f64 {
        self.ratio as f64 / TOKEN as f64
    }

    /// How many tokens a purse [begins with](Self::min_tokens).
    #[must_use]
    pub const fn least_tokens(&self) -> u32 {
        self.min_tokens
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new()
    }
}

/// One line: `10 %`, `5 %, at least 20`.
impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Line::new(f)
            .add(format_args!("{}", Percent(self.share())))
            .some("at least", changed(self.min_tokens, Self::DEFAULT_MIN_TOKENS))
            .some("cap", changed(self.cap, Self::DEFAULT_CAP).map(Time))
            .some("persistence", changed(self.persistence, Self::DEFAULT_PERSISTENCE))
            .when(self.charge_failures, format_args!("failures charged"))
            .some("seed", self.seed)
            .finish()
    }
}

/// False for what is no number.
const fn is_share(share: f64) -> bool {
    share >= 0.0 && share <= 1.0
}

const fn billionths(share: f64) -> u64 {
    (share * TOKEN as f64 + 0.5) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const _: Budget = Budget::new().ratio(0.05).min_tokens(100).persistence(1.0).cap(Duration::ZERO);

    #[test]
    fn numbers_that_make_no_sense_are_refused() {
        for wrong in [-0.1, 1.000_001, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Budget::new().try_ratio(wrong), Err(Invalid::new("ratio", NO_RATIO)), "{wrong}");
            let persistence = Budget::new().try_persistence(wrong);
            assert_eq!(persistence, Err(Invalid::new("persistence", NO_PERSISTENCE)), "{wrong}");
        }
        for wrong in [0, 1001, u32::MAX] {
            let tokens = Budget::new().try_min_tokens(wrong);
            assert_eq!(tokens, Err(Invalid::new("min_tokens", NO_TOKENS)), "{wrong}");
        }
        for fine in [0.0, 1.0] {
            assert!(Budget::new().try_ratio(fine).and_then(|budget| budget.try_persistence(fine)).is_ok());
        }
        assert!([1, 1000].into_iter().all(|fine| Budget::new().try_min_tokens(fine).is_ok()));
    }

    #[test]
    #[should_panic(expected = "ratio must be within 0.0..=1.0")]
    fn the_plain_setter_panics_with_the_same_words() {
        let _ = Budget::new().ratio(1.5);
    }

    #[test]
    fn it_reads_as_what_was_changed() {
        for (budget, shown) in [
            (Budget::new(), "10 %"),
            (Budget::new().ratio(0.05).min_tokens(20), "5 %, at least 20"),
            (Budget::new().ratio(0.0).cap(Duration::ZERO).seed(7), "0 %, cap 0 s, seed 7"),
            (Budget::new().persistence(1.0).charge_failures(true), "10 %, persistence 1, failures charged"),
        ] {
            assert_eq!(budget.to_string(), shown);
        }
        assert_eq!((Budget::new().ratio(0.07).share(), Budget::new().least_tokens()), (0.07, 5));
    }

    #[test]
    fn decimal_ratios_are_exact() {
        for (ratio, exact) in [(0.1, 100_000_000), (0.05, 50_000_000), (0.7, 700_000_000), (1.0, TOKEN)] {
            assert_eq!(billionths(ratio), exact, "{ratio}");
        }
    }
}
