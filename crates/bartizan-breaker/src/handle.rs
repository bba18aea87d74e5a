use crate::breaker::{Breaker, Mode};
use crate::circuit::Circuit;
use crate::state::{Cause, State};
use crate::tally::{Refusals, Trips};
use crate::window::Counts;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Watches and steers one circuit. Cheap to clone; reading it turns an open circuit half-open when its pause is over.
#[derive(Clone)]
pub struct Handle(pub(crate) Arc<Circuit>);

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("name", &self.name()).field("snapshot", &self.snapshot()).finish()
    }
}

/// Plain numbers of one circuit at one instant.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Where the circuit is.
    pub state: State,
    /// What the breaker does with that.
    pub mode: Mode,
    /// Why it is open, or was last; `None` before the first trip and after a reset.
    pub cause: Option<Cause>,
    /// How long the pause still lasts, while it is open.
    pub retry_after: Option<Duration>,
    /// The evidence of failure, as a share of what trips, in `0.0..=1.0`.
    pub evidence: f64,
    /// The share of requests that is admitted, in `0.0..=1.0`; below 1 while it recovers.
    pub share: f64,
    /// The share of failed calls in the window of the failure ratio; `None` without that rule, or with fewer calls than it asks for.
    pub failure_ratio: Option<f64>,
    /// The share of slow calls in the window of the slow ratio; `None` without that rule, or with fewer calls than it asks for.
    pub slow_ratio: Option<f64>,
    /// The calls in the window of the failure ratio, bad being failed and throttled.
    pub failure_window: Option<Counts>,
    /// The calls in the window of the slow ratio, bad being slow.
    pub slow_window: Option<Counts>,
    /// Good calls so far.
    pub successes: u64,
    /// Failed calls so far.
    pub failures: u64,
    /// Throttled calls so far.
    pub throttled: u64,
    /// Slow calls so far, good or failed.
    pub slow: u64,
    /// Requests refused so far. While the circuit is forced open, refusals are not counted.
    pub refused: u64,
    /// The same by their reasons.
    pub refusals: Refusals,
    /// Requests so far that would have been refused, had the breaker not been in shadow mode.
    pub shadowed: u64,
    /// Trips so far.
    pub trips: u64,
    /// The same by the rules that fired.
    pub tripped: Trips,
    /// Probes let through so far.
    pub probes: u64,
    /// Of these, those that failed, were throttled or slow.
    pub probes_failed: u64,
    /// Rounds of probes so far after which the circuit opened again.
    pub reopened: u64,
    /// Rounds of probes so far after which the circuit closed.
    pub recovered: u64,
}

/// A change that the state of the circuit does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImpossibleChange {
    pub(crate) from: State,
    pub(crate) to: State,
}

impl ImpossibleChange {
    /// The state in which the circuit is, and stays.
    #[must_use]
    pub const fn from(&self) -> State {
        self.from
    }

    /// The state that was asked for.
    #[must_use]
    pub const fn to(&self) -> State {
        self.to
    }
}

impl fmt::Display for ImpossibleChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a circuit that is {} cannot become {}", self.from, self.to)
    }
}

impl Error for ImpossibleChange {}

impl Handle {
    /// The name given with [`BreakerLayer::named`](crate::BreakerLayer::named).
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.name()
    }

    /// Where the circuit is now.
    #[must_use]
    pub fn state(&self) -> State {
        self.0.state()
    }

    /// All numbers of the circuit now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.0.snapshot()
    }

    /// What the breaker is set to, with the mode that it is in, from which a part is changed:
    /// `handle.update(handle.value().open_for(pause))`.
    #[must_use]
    pub fn value(&self) -> Breaker {
        self.0.value()
    }

    /// Takes over new settings. Windows, evidence and state stay; a window of another kind starts empty. The mode changes
    /// only through [`set_mode`](Self::set_mode) and its like.
    pub fn update(&self, value: Breaker) {
        let _always = self.0.change_value(|_| Ok(value));
    }

    /// Sets what the breaker does with what it knows. A circuit that was forced open or disabled goes on where it was.
    pub fn set_mode(&self, mode: Mode) {
        self.0.steer(mode);
    }

    /// Refuses everything from now on: [`Mode::ForcedOpen`].
    pub fn force_open(&self) {
        self.set_mode(Mode::ForcedOpen);
    }

    /// Opens the circuit for a while, whatever it has seen; afterwards it probes.
    pub fn force_open_for(&self, pause: Duration) {
        self.0.change(|machine, now| ((), machine.force_open_for(pause, now)));
    }

    /// Admits everything and records nothing from now on: [`Mode::Disabled`].
    pub fn disable(&self) {
        self.set_mode(Mode::Disabled);
    }

    /// Runs on and refuses nothing from now on: [`Mode::Shadow`].
    pub fn shadow(&self) {
        self.set_mode(Mode::Shadow);
    }

    /// Goes back to [`Mode::Normal`].
    pub fn resume(&self) {
        self.set_mode(Mode::Normal);
    }

    /// Lets an open circuit probe before its time.
    ///
    /// # Errors
    ///
    /// If the circuit is neither open nor half-open; it stays as it is.
    pub fn half_open(&self) -> Result<(), ImpossibleChange> {
        self.0.half_open()
    }

    /// Closes the circuit at once and forgets what it has seen. Ends a forced opening; leaves shadow mode and a disabled
    /// breaker as they are.
    pub fn reset(&self) {
        self.0.reset();
    }
}

impl Circuit {
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.change(|machine, now| {
            let [failure, slow] = machine.windows(now);
            let ratio = |window: Option<(Counts, bool)>| match window {
                Some((counts, true)) => counts.ratio(),
                _ => None,
            };
            let state = machine.state();
            let left = machine.refusing_until().filter(|_| state == State::Open);
            let tallied = self.tallied();
            let [probes, probes_failed, reopened, recovered] = tallied.probing();
            let snapshot = Snapshot {
                state,
                mode: machine.mode(),
                cause: machine.cause(),
                retry_after: left.map(|until| Duration::from_nanos(until.saturating_sub(now))),
                evidence: machine.evidence(),
                share: machine.share(now),
                failure_ratio: ratio(failure),
                slow_ratio: ratio(slow),
                failure_window: failure.map(|(counts, _)| counts),
                slow_window: slow.map(|(counts, _)| counts),
                successes: self.successes(),
                failures: machine.failures,
                throttled: machine.throttled,
                slow: machine.slow,
                refused: tallied.refused(),
                refusals: tallied.refusals(),
                shadowed: tallied.withheld(),
                trips: tallied.trips(),
                tripped: tallied.rules(),
                probes,
                probes_failed,
                reopened,
                recovered,
            };
            (snapshot, None)
        })
    }
}
