use crate::Meter;
use crate::shared::Shared;
use bartizan_core::TimesSnapshot;
use std::fmt;
use std::sync::Arc;

/// Watches and steers one meter. Cheap to clone.
#[derive(Clone)]
pub struct Handle(pub(crate) Arc<Shared>);

/// What a meter has counted so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// What it does.
    pub state: State,
    /// Calls that have begun and not ended, with those whose body is still read.
    pub in_flight: u64,
    /// Calls that ended well.
    pub successes: u64,
    /// Calls that failed.
    pub failures: u64,
    /// Calls that were answered by asking for less.
    pub throttled: u64,
    /// Calls that say nothing about the service.
    pub ignored: u64,
    /// Calls whose caller left before the head of the answer.
    pub abandoned: u64,
    /// How long calls took that have ended, in any way.
    pub durations: TimesSnapshot,
}

/// What a meter does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Counts and times.
    Enabled,
    /// Lets everything through uncounted.
    Disabled,
}

impl State {
    pub(crate) const fn of(enabled: bool) -> Self {
        if enabled { Self::Enabled } else { Self::Disabled }
    }

    /// The state in one word, as events and metrics name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Handle {
    /// The name given with [`MeterLayer::named`](crate::MeterLayer::named).
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.name()
    }

    /// What the meter does now.
    #[must_use]
    pub fn state(&self) -> State {
        self.0.state()
    }

    /// What was counted so far.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.0.snapshot()
    }

    /// What the meter is set to.
    #[must_use]
    pub fn value(&self) -> Meter {
        Meter::new().enabled(self.0.is_enabled())
    }

    /// Takes over new settings. What was counted stays, and a call that is under way is counted, or not, as it began.
    pub fn update(&self, value: Meter) {
        self.0.enable(value.is_enabled());
    }

    /// Switches the meter on.
    pub fn enable(&self) {
        self.0.enable(true);
    }

    /// Switches the meter off.
    pub fn disable(&self) {
        self.0.enable(false);
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("name", &self.name()).field("snapshot", &self.snapshot()).finish()
    }
}
