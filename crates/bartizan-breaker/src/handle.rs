use crate::breaker::{Breaker, Mode};
use crate::circuit::Circuit;
use crate::state::{Cause, State};
use crate::window::Counts;
use bartizan_core::registry::Observed;
use std::borrow::Cow;
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
    /// Requests refused so far, in shadow mode those that would have been. While the circuit is forced open, refusals are not counted.
    pub refused: u64,
    /// Trips so far.
    pub trips: u64,
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

    /// Takes over new settings. Windows, evidence and state stay; a window of another kind starts empty. The mode changes
    /// only through [`set_mode`](Self::set_mode) and its like.
    pub fn update(&self, value: Breaker) {
        self.0.update(&value);
    }

    /// Sets what the breaker does with what it knows. A circuit that was forced open or disabled goes on where it was.
    pub fn set_mode(&self, mode: Mode) {
        self.0.set_mode(mode);
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
        self.0.change(|machine, _| match machine.half_open() {
            Ok(change) => (Ok(()), change),
            Err(impossible) => (Err(impossible), None),
        })
    }

    /// Closes the circuit at once and forgets what it has seen. Ends a forced opening; leaves shadow mode and a disabled
    /// breaker as they are.
    pub fn reset(&self) {
        self.0.change(|machine, _| ((), machine.reset()));
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
                refused: self.refused(),
                trips: u64::from(machine.trips),
            };
            (snapshot, None)
        })
    }
}

impl Observed for Circuit {
    fn layer(&self) -> &'static str {
        "breaker"
    }

    fn name(&self) -> &str {
        Self::name(self).unwrap_or_default()
    }

    fn state(&self) -> &'static str {
        Self::state(self).as_str()
    }

    /// Why it refuses, or would.
    fn note(&self) -> Option<Cow<'static, str>> {
        let snapshot = self.snapshot();
        let cause = match snapshot.state {
            State::Open | State::HalfOpen => snapshot.cause?.as_str(),
            State::Closed | State::ForcedOpen | State::Disabled => return None,
        };
        let in_shadow = || format!("{cause}; in shadow, nothing is refused").into();
        Some(if snapshot.mode == Mode::Shadow { in_shadow() } else { cause.into() })
    }

    #[allow(clippy::cast_precision_loss, reason = "shown to people")]
    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        let snapshot = self.snapshot();
        show("evidence", snapshot.evidence);
        show("share", snapshot.share);
        for (name, number) in [
            ("successes", snapshot.successes),
            ("failures", snapshot.failures),
            ("throttled", snapshot.throttled),
            ("slow", snapshot.slow),
            ("refused", snapshot.refused),
            ("trips", snapshot.trips),
        ] {
            show(name, number as f64);
        }
        for (name, number) in [
            ("failure_ratio", snapshot.failure_ratio),
            ("slow_ratio", snapshot.slow_ratio),
            ("retry_after_seconds", snapshot.retry_after.map(|wait| wait.as_secs_f64())),
        ] {
            number.into_iter().for_each(|number| show(name, number));
        }
    }
}
