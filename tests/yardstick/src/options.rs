//! The command line: what every experiment takes.

use std::str::FromStr;

use clap::Args;

/// What every experiment takes.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Common {
    /// Seed of all dice: the same seed gives the same arrivals and the same outcomes.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many runs (seeds) the figures are taken over.
    #[arg(long, default_value_t = Common::RUNS, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Three runs instead of twenty.
    #[arg(long, conflicts_with = "runs")]
    pub(crate) quick: bool,
    /// Prints the tables as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Common {
    /// Runs of an experiment on which none are set.
    pub(crate) const RUNS: u32 = 20;
    /// Runs of a quick one.
    pub(crate) const QUICK_RUNS: u32 = 3;

    /// What tests of an experiment take.
    #[cfg(test)]
    pub(crate) const QUICK: Self = Self { seed: 1, runs: Self::QUICK_RUNS, quick: true, json: false };

    /// How many runs are asked for.
    pub(crate) fn runs(&self) -> u32 {
        if self.quick { Self::QUICK_RUNS } else { self.runs }
    }

    /// The seed of each run.
    pub(crate) fn seeds(&self) -> impl Iterator<Item = u64> + use<> {
        let first = self.seed;
        (0..u64::from(self.runs())).map(move |run| first.wrapping_add(run))
    }
}

/// What every timed experiment takes.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Timing {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Counts instructions under valgrind as well, where that is installed; takes a minute.
    #[arg(long)]
    pub(crate) instructions: bool,
    /// Runs one lane so many times and prints nothing: what `--instructions` runs under valgrind.
    #[arg(long, hide = true, value_name = "LANE:CALLS")]
    pub(crate) turn: Option<Turn>,
}

/// One lane, and how many calls it makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) lane: usize,
    pub(crate) calls: u64,
}

impl FromStr for Turn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed =
            text.split_once(':').and_then(|(lane, calls)| Some((lane.parse().ok()?, calls.parse().ok()?)));
        parsed.map(|(lane, calls)| Self { lane, calls }).ok_or_else(|| format!("`{text}` is not LANE:CALLS"))
    }
}

/// A number of things of which there is at least one.
pub(crate) fn positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&number| number > 0).ok_or_else(|| format!("`{text}` is not a number above 0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_a_lane_and_a_number_of_calls() {
        assert_eq!("3:2000".parse(), Ok(Turn { lane: 3, calls: 2000 }));
        assert!("3".parse::<Turn>().is_err());
        assert!("x:1".parse::<Turn>().is_err());
    }
}
