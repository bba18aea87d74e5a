use std::fmt;
use std::time::Duration;

/// Where the circuit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Lets requests through; while it recovers, a growing share of them.
    Closed,
    /// Refuses.
    Open,
    /// Lets probes through and refuses the rest.
    HalfOpen,
    /// Refuses until told otherwise.
    ForcedOpen,
    /// Admits everything and records nothing.
    Disabled,
}

/// Why the circuit is open, or was last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// It started open.
    Start,
    /// The evidence of failure reached its threshold.
    Evidence,
    /// The share of failures reached its ratio.
    FailureRatio,
    /// The share of slow calls reached its ratio.
    SlowRatio,
    /// Too many failures in a row.
    Consecutive,
    /// The probes failed.
    Probe,
    /// Somebody said so.
    Forced,
}

impl State {
    /// The state in one word, as events, metrics and refusals name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
            Self::ForcedOpen => "forced open",
            Self::Disabled => "disabled",
        }
    }
}

impl Cause {
    pub(crate) const ALL: [Self; 7] = [
        Self::Start,
        Self::Evidence,
        Self::FailureRatio,
        Self::SlowRatio,
        Self::Consecutive,
        Self::Probe,
        Self::Forced,
    ];

    /// The cause in a few words, as events and metrics name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "from the start",
            Self::Evidence => "evidence of failure",
            Self::FailureRatio => "failure ratio",
            Self::SlowRatio => "slow ratio",
            Self::Consecutive => "failures in a row",
            Self::Probe => "probe failed",
            Self::Forced => "forced",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A change of state: one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) from: State,
    pub(crate) to: State,
    pub(crate) cause: Option<Cause>,
    pub(crate) pause: Option<Duration>,
    pub(crate) generation: u64,
}
