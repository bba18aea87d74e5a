use crate::choice::Choice;
use crate::ejection::Ejection;
use bartizan_core::{Invalid, Name};
use std::time::Duration;

/// How calls are spread over the members of a set, and which members get none.
#[derive(Clone, Debug, PartialEq)]
pub struct Balance {
    pub(crate) choice: Choice,
    pub(crate) ejection: Ejection,
    pub(crate) panic_threshold: f64,
    pub(crate) slow_start: Duration,
    pub(crate) max_in_flight: Option<usize>,
    pub(crate) wait: Duration,
    pub(crate) zone: Option<Name>,
    pub(crate) gentle: Option<f64>,
    pub(crate) tau: Duration,
    pub(crate) seed: Option<u64>,
    pub(crate) enabled: bool,
}

impl Balance {
    /// Share of usable members below which all of them are used: 0.5.
    pub const DEFAULT_PANIC_THRESHOLD: f64 = 0.5;
    /// How long the share of a member that has come, or come back, grows: 10 s.
    pub const DEFAULT_SLOW_START: Duration = Duration::from_secs(10);
    /// Over how long latencies are averaged and failures forgotten: 10 s.
    pub const DEFAULT_MEMORY: Duration = Duration::from_secs(10);
    /// How many times its share of the calls a zone can serve: 1.4.
    pub const DEFAULT_HEADROOM: f64 = 1.4;

    /// Creates a value with the defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            choice: Choice::Latency,
            ejection: Ejection::new(),
            panic_threshold: Self::DEFAULT_PANIC_THRESHOLD,
            slow_start: Self::DEFAULT_SLOW_START,
            max_in_flight: None,
            wait: Duration::ZERO,
            zone: None,
            gentle: None,
            tau: Self::DEFAULT_MEMORY,
            seed: None,
            enabled: true,
        }
    }

    /// Sets how a member is chosen. Default: [`Choice::Latency`].
    #[must_use]
    pub fn choice(mut self, choice: Choice) -> Self {
        self.choice = choice;
        self
    }

    /// Sets when a member that fails is left out for a while. Default: [`Ejection::new`].
    #[must_use]
    pub fn ejection(mut self, ejection: Ejection) -> Self {
        self.ejection = ejection;
        self
    }

    /// Sets the share of members that must be usable. While fewer are in every tier, there is *panic*: those that are left would break
    /// down under all the calls, and a check that takes most for ill is often wrong itself, so all are used but those that drain. 0.0 to
    /// 1.0; zero never panics, and has calls refused when nobody is usable. Default:
    /// [`DEFAULT_PANIC_THRESHOLD`](Self::DEFAULT_PANIC_THRESHOLD), 0.5.
    ///
    /// # Panics
    ///
    /// If it is outside of 0.0 to 1.0, or no number.
    #[must_use]
    #[track_caller]
    pub fn panic_threshold(self, share: f64) -> Self {
        match self.try_panic_threshold(share) {
            Ok(balance) => balance,
            Err(invalid) => panic!("{}", invalid.message()),
        }
    }

    /// As [`panic_threshold`](Self::panic_threshold).
    ///
    /// # Errors
    ///
    /// If it is outside of 0.0 to 1.0, or no number.
    pub fn try_panic_threshold(mut self, share: f64) -> Result<Self, Invalid> {
        if !(0.0..=1.0).contains(&share) {
            return Err(Invalid::new("panic_threshold", "panic_threshold must be within 0.0 and 1.0"));
        }
        self.panic_threshold = share;
        Ok(self)
    }

    /// Sets over how long the share of a member grows to the whole after it has come, was ejected, or was unwell by its heartbeats.
    /// The members that a balancer begins with do not have to. Zero: at once. Default:
    /// [`DEFAULT_SLOW_START`](Self::DEFAULT_SLOW_START), 10 s.
    #[must_use]
    pub const fn slow_start(mut self, time: Duration) -> Self {
        self.slow_start = time;
        self
    }

    /// Sets how many calls may be in flight over all members; further ones are refused. Costs one shared counter a call. Default: no
    /// limit.
    #[must_use]
    pub const fn max_in_flight(mut self, calls: usize) -> Self {
        self.max_in_flight = Some(calls);
        self
    }

    /// Sets how long a call waits for a first member while there is none, as at the start of a process, before it is refused. Default:
    /// zero, it is refused at once.
    #[must_use]
    pub const fn wait_for_endpoints(mut self, time: Duration) -> Self {
        self.wait = time;
        self
    }

    /// Sets in which zone this process runs. Members of it are preferred: of each tier they are a tier before the others, and calls spill
    /// over as more of them are ill than the [headroom](Self::DEFAULT_HEADROOM) makes up for. Default: none, zones do not matter.
    #[must_use]
    pub fn zone(mut self, zone: impl Into<Name>) -> Self {
        self.zone = Some(zone.into());
        self
    }

    /// Has a tier give up calls to the next in proportion to what it has lost, instead of when it has lost all. `headroom` says how many
    /// times its share a member can serve: with 1.4 a tier keeps all calls while five of seven are usable, and half of them while half of
    /// that is. From 1. Default: a tier keeps all calls while one of its members is usable.
    ///
    /// # Panics
    ///
    /// If it is below 1 or no number.
    #[must_use]
    #[track_caller]
    pub fn gentle_failover(self, headroom: f64) -> Self {
        match self.try_gentle_failover(headroom) {
            Ok(balance) => balance,
            Err(invalid) => panic!("{}", invalid.message()),
        }
    }

    /// As [`gentle_failover`](Self::gentle_failover).
    ///
    /// # Errors
    ///
    /// If it is below 1 or no number.
    pub fn try_gentle_failover(mut self, headroom: f64) -> Result<Self, Invalid> {
        if headroom.is_nan() || headroom < 1.0 {
            return Err(Invalid::new("gentle_failover", "gentle_failover must be at least 1"));
        }
        self.gentle = Some(headroom);
        Ok(self)
    }

    /// Sets over how long latencies are averaged, and failures forgotten where nothing is heard of a member. At least a millisecond.
    /// Where a call takes longer than a 256th of it, it is 256 times as long as a call. Default:
    /// [`DEFAULT_MEMORY`](Self::DEFAULT_MEMORY), 10 s.
    #[must_use]
    pub fn memory(mut self, time: Duration) -> Self {
        self.tau = time.max(Duration::from_millis(1));
        self
    }

    /// Sets a seed for all that is random, so that runs are alike. Default: one that nobody knows.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets whether members are chosen by what is known of them. If not, they have their turns, ill or well. Default: true.
    #[must_use]
    pub const fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// How a member is chosen: [`choice`](Self::choice).
    #[must_use]
    pub const fn chosen_by(&self) -> Choice {
        self.choice
    }

    /// When a member that fails is left out: [`ejection`](Self::ejection).
    #[must_use]
    pub const fn ejects(&self) -> Ejection {
        self.ejection
    }

    /// The share of members that must be usable: [`panic_threshold`](Self::panic_threshold).
    #[must_use]
    pub const fn panics_below(&self) -> f64 {
        self.panic_threshold
    }

    /// How many calls may be in flight, if that is bounded: [`max_in_flight`](Self::max_in_flight).
    #[must_use]
    pub const fn most_in_flight(&self) -> Option<usize> {
        self.max_in_flight
    }

    /// How long a call waits for a first member: [`wait_for_endpoints`](Self::wait_for_endpoints).
    #[must_use]
    pub const fn longest_wait(&self) -> Duration {
        self.wait
    }

    /// Whether members are chosen by what is known of them.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.enabled
    }
}

impl Default for Balance {
    fn default() -> Self {
        Self::new()
    }
}
