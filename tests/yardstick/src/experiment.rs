//! The list of experiments.

/// One experiment, as `list` shows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Experiment {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) kind: Kind,
    /// Whether it takes `--instructions`.
    pub(crate) instructions: bool,
}

/// Where an experiment's figures come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// From the machine: they vary with it.
    Timed,
    /// From a paused clock and seeded dice: they are the same everywhere.
    Simulated,
}

impl Experiment {
    pub(crate) const fn timed(id: &'static str, title: &'static str) -> Self {
        Self { id, title, kind: Kind::Timed, instructions: true }
    }

    /// One that weighs and does not time.
    pub(crate) const fn weighed(id: &'static str, title: &'static str) -> Self {
        Self { instructions: false, ..Self::timed(id, title) }
    }

    pub(crate) const fn simulated(id: &'static str, title: &'static str) -> Self {
        Self { id, title, kind: Kind::Simulated, instructions: false }
    }
}
