use crate::pause::{Pause, expect};
use crate::rule::{Consecutive, Evidence, Ratio};
use bartizan_core::Invalid;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// When a circuit opens, for how long, and how it closes again.
///
/// It opens on the first of its rules that fires. [`Evidence`] is on by default; a ratio of failures or of slow calls and a
/// number of failures in a row can be added. After its [`Pause`] a few *probes* are let through: each is a
/// lease that expires, so that a probe which hangs or is dropped blocks nobody. When all have
/// ended, too many bad ones open the circuit again, for longer; else it closes, and traffic comes back along a linear ramp.
///
/// ```
/// use bartizan_breaker::{Breaker, Consecutive, Ratio};
/// use std::time::Duration;
///
/// const PAYMENT: Breaker = Breaker::new()
///     .consecutive(Consecutive::new(5))
///     .failure_ratio(Ratio::new(0.5))
///     .slow_after(Duration::from_millis(250))
///     .open_for(Duration::from_secs(2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Breaker {
    pub(crate) evidence: Option<Evidence>,
    pub(crate) failure_ratio: Option<Ratio>,
    pub(crate) slow_ratio: Option<Ratio>,
    pub(crate) consecutive: Option<Consecutive>,
    pub(crate) slow_after: Option<Duration>,
    pub(crate) pause: Pause,
    pub(crate) probes: u32,
    pub(crate) strict_probes: bool,
    pub(crate) probe_lease: Duration,
    pub(crate) ramp: Duration,
    pub(crate) mode: Mode,
    pub(crate) start_open: bool,
    pub(crate) seed: Option<u64>,
}

/// What the breaker does with what it knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Refuses while the circuit is open.
    #[default]
    Normal,
    /// Runs the whole state machine and refuses nothing; what it would refuse is counted.
    Shadow,
    /// Refuses everything until told otherwise.
    ForcedOpen,
    /// Admits everything and records nothing.
    Disabled,
}

/// The settings of which a breaker was made last.
static LAST: Mutex<Weak<Breaker>> = Mutex::new(Weak::new());

impl Breaker {
    /// The settings as circuits hold them. Those that are made one after the other, as the breakers of endpoints are, share equal ones: they
    /// are four times as large as a circuit.
    pub(crate) fn shared(self) -> Arc<Self> {
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = last.upgrade().filter(|known| **known == self) {
            return known;
        }
        let shared = Arc::new(self);
        *last = Arc::downgrade(&shared);
        shared
    }
}

impl Breaker {
    /// Probes that are let through at a time, and judged together: 1.
    pub const DEFAULT_PROBES: u32 = 1;
    /// How long a probe keeps its place: 10 s.
    pub const DEFAULT_PROBE_LEASE: Duration = Duration::from_secs(10);
    /// How long traffic takes to come back: 10 s.
    pub const DEFAULT_RAMP: Duration = Duration::from_secs(10);
    /// Most probes: 1000.
    pub const MAX_PROBES: u32 = 1000;
    /// Rate up to which a recovering circuit refuses nothing: 10 requests a second.
    pub const RAMP_FLOOR: u32 = 10;
    /// Longest `Retry-After` that lengthens a pause: 300 s.
    pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

    /// Creates a breaker that trips on [`Evidence`], pauses for 5 s doubled up to 60 s, probes one at a time and ramps up over 10 s.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            evidence: Some(Evidence::new()),
            failure_ratio: None,
            slow_ratio: None,
            consecutive: None,
            slow_after: None,
            pause: Pause::new(),
            probes: Self::DEFAULT_PROBES,
            strict_probes: false,
            probe_lease: Self::DEFAULT_PROBE_LEASE,
            ramp: Self::DEFAULT_RAMP,
            mode: Mode::Normal,
            start_open: false,
            seed: None,
        }
    }

    /// Sets the evidence rule. Default: [`Evidence::new`].
    #[must_use]
    pub const fn evidence(mut self, evidence: Evidence) -> Self {
        self.evidence = Some(evidence);
        self
    }

    /// Takes the evidence rule out, to trip on the other rules alone. Without any rule the circuit never trips.
    #[must_use]
    pub const fn without_evidence(mut self) -> Self {
        self.evidence = None;
        self
    }

    /// Trips as well when the share of failed and throttled calls reaches a ratio. Default: off.
    #[must_use]
    pub const fn failure_ratio(mut self, ratio: Ratio) -> Self {
        self.failure_ratio = Some(ratio);
        self
    }

    /// Trips as well when the share of calls that take `slow_after` or longer reaches a ratio. Default: off.
    #[must_use]
    pub const fn slow_ratio(mut self, slow_after: Duration, ratio: Ratio) -> Self {
        self.slow_ratio = Some(ratio);
        self.slow_after(slow_after)
    }

    /// Trips as well after failures in a row. Default: off.
    #[must_use]
    pub const fn consecutive(mut self, consecutive: Consecutive) -> Self {
        self.consecutive = Some(consecutive);
        self
    }

    /// Sets from when on a call is slow, counted to the head of its answer. It costs two clock reads a call. A slow
    /// call weighs half a failure as evidence and fails a probe. Default: never.
    #[must_use]
    pub const fn slow_after(mut self, slow_after: Duration) -> Self {
        self.slow_after = Some(slow_after);
        self
    }

    /// Sets the pause after a trip, where the rule that fired has none of its own. Default: [`Pause::new`].
    #[must_use]
    pub const fn pause(mut self, pause: Pause) -> Self {
        self.pause = pause;
        self
    }

    /// Sets how long the circuit refuses before it probes. Each failed probe doubles it, up to
    /// [`max_open_for`](Self::max_open_for), which is raised to it where it was shorter. Zero probes at once. Default: 5 s.
    #[must_use]
    pub const fn open_for(mut self, open_for: Duration) -> Self {
        self.pause = self.pause.min(open_for);
        self
    }

    /// Sets the longest pause. Say [`open_for`](Self::open_for) before it, as this is held against it. Default: 60 s.
    ///
    /// # Panics
    ///
    /// If it is shorter than [`open_for`](Self::open_for), which is 5 s where it was not set yet.
    #[must_use]
    #[track_caller]
    pub const fn max_open_for(self, max_open_for: Duration) -> Self {
        expect(self.try_max_open_for(max_open_for))
    }

    /// As [`max_open_for`](Self::max_open_for), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is shorter than [`open_for`](Self::open_for), which is 5 s where it was not set yet.
    pub const fn try_max_open_for(mut self, max_open_for: Duration) -> Result<Self, Invalid> {
        self.pause = match self.pause.try_max(max_open_for) {
            Ok(pause) => pause,
            Err(_) => {
                return Err(Invalid::new("max_open_for", "max_open_for must not be shorter than open_for"));
            }
        };
        Ok(self)
    }

    /// Sets how many probes are let through at a time and judged together: the circuit closes when fewer than the ratio of
    /// the failure rule (one half where there is none) have failed, and likewise of slow ones. Default: 1.
    ///
    /// # Panics
    ///
    /// If it is zero or above [`MAX_PROBES`](Self::MAX_PROBES).
    #[must_use]
    #[track_caller]
    pub const fn probes(self, probes: u32) -> Self {
        expect(self.try_probes(probes))
    }

    /// As [`probes`](Self::probes), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is zero or above [`MAX_PROBES`](Self::MAX_PROBES).
    pub const fn try_probes(mut self, probes: u32) -> Result<Self, Invalid> {
        if probes == 0 || probes > Self::MAX_PROBES {
            return Err(Invalid::new("probes", "probes must be within 1..=1000"));
        }
        self.probes = probes;
        Ok(self)
    }

    /// Opens the circuit again at the first probe that fails, instead of when all have ended. Default: off.
    #[must_use]
    pub const fn strict_probes(mut self, strict_probes: bool) -> Self {
        self.strict_probes = strict_probes;
        self
    }

    /// Sets how long a probe keeps its place. Then another is let through, and the verdict of the first no longer
    /// counts; but a probe whose answer has begun and which still streams counts as good. Default: 10 s.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub const fn probe_lease(self, probe_lease: Duration) -> Self {
        expect(self.try_probe_lease(probe_lease))
    }

    /// As [`probe_lease`](Self::probe_lease), for a value from outside.
    ///
    /// # Errors
    ///
    /// If it is zero.
    pub const fn try_probe_lease(mut self, probe_lease: Duration) -> Result<Self, Invalid> {
        if probe_lease.is_zero() {
            return Err(Invalid::new("probe_lease", "probe_lease must be above zero"));
        }
        self.probe_lease = probe_lease;
        Ok(self)
    }

    /// Sets how long traffic takes to come back once the circuit has closed: the share that is admitted grows from nothing to all,
    /// but [`RAMP_FLOOR`](Self::RAMP_FLOOR) requests a second always pass. Evidence above a third of its threshold cuts the
    /// share to 0.6 of itself, unless a cut was seen to be in vain; a trip on the way doubles the next ramp. Zero admits all
    /// at once. Default: 10 s.
    #[must_use]
    pub const fn ramp(mut self, ramp: Duration) -> Self {
        self.ramp = ramp;
        self
    }

    /// Sets the mode. Default: [`Mode::Normal`].
    #[must_use]
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Switches the breaker on, or off with `false`: [`Mode::Normal`] or [`Mode::Disabled`]. Default: on.
    #[must_use]
    pub const fn enabled(self, enabled: bool) -> Self {
        self.mode(if enabled { Mode::Normal } else { Mode::Disabled })
    }

    /// Starts with an open circuit, which serves its pause before it probes. Default: closed.
    #[must_use]
    pub const fn start_open(mut self, start_open: bool) -> Self {
        self.start_open = start_open;
        self
    }

    /// Sets the seed of the jitter, so that a run can be repeated. Default: a random one.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The [evidence rule](Self::evidence), unless it was taken out.
    #[must_use]
    pub const fn evidence_rule(&self) -> Option<Evidence> {
        self.evidence
    }

    /// The rule of [`failure_ratio`](Self::failure_ratio).
    #[must_use]
    pub const fn failure_rule(&self) -> Option<Ratio> {
        self.failure_ratio
    }

    /// The rule of [`slow_ratio`](Self::slow_ratio).
    #[must_use]
    pub const fn slow_rule(&self) -> Option<Ratio> {
        self.slow_ratio
    }

    /// The rule of [failures in a row](Self::consecutive).
    #[must_use]
    pub const fn row_rule(&self) -> Option<Consecutive> {
        self.consecutive
    }

    /// From when on a call is slow, if it ever is: [`slow_after`](Self::slow_after).
    #[must_use]
    pub const fn slow_from(&self) -> Option<Duration> {
        self.slow_after
    }

    /// The [pause](Self::pause) after a trip.
    #[must_use]
    pub const fn pauses(&self) -> Pause {
        self.pause
    }

    /// How many [probes](Self::probes) are let through at a time.
    #[must_use]
    pub const fn most_probes(&self) -> u32 {
        self.probes
    }

    /// How long a probe keeps its place: [`probe_lease`](Self::probe_lease).
    #[must_use]
    pub const fn lease(&self) -> Duration {
        self.probe_lease
    }

    /// The [mode](Self::mode).
    #[must_use]
    pub const fn in_mode(&self) -> Mode {
        self.mode
    }

    /// Whether it is on: in any mode but [`Mode::Disabled`].
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        !matches!(self.mode, Mode::Disabled)
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self::new()
    }
}
