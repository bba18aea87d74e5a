use crate::{Meter, Snapshot, State};
use bartizan_core::registry::Observed;
use bartizan_core::{Invalid, Name, Times, TimesSnapshot, Verdict, registry};
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What a meter has counted.
pub(crate) struct Shared {
    enabled: AtomicBool,
    /// Calls that have begun, ever. What is in flight is what of them has not ended.
    begun: AtomicU64,
    /// How long calls took that ended well, which counts them as well, and how long all others took.
    good: Times,
    others: Times,
    failures: AtomicU64,
    throttled: AtomicU64,
    ignored: AtomicU64,
    abandoned: AtomicU64,
    name: OnceLock<Name>,
}

impl Shared {
    pub(crate) const fn new(meter: Meter) -> Self {
        Self {
            enabled: AtomicBool::new(meter.is_enabled()),
            begun: AtomicU64::new(0),
            good: Times::new(),
            others: Times::new(),
            failures: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
            ignored: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
            name: OnceLock::new(),
        }
    }

    /// Names the meter, and says whether it had no name before.
    pub(crate) fn set_name(&self, name: Name) -> bool {
        self.name.set(name).is_ok()
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.name.get().map(Name::as_str)
    }

    #[inline]
    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled.load(Relaxed)
    }

    #[inline]
    pub(crate) fn begin(&self) {
        self.begun.fetch_add(1, Relaxed);
    }

    /// Counts a call that has ended, without a verdict if its caller left.
    #[inline]
    pub(crate) fn end(&self, verdict: Option<Verdict>, duration: Duration) {
        if verdict == Some(Verdict::Success) {
            self.good.record(duration);
        } else {
            self.end_otherwise(verdict, duration);
        }
    }

    #[cold]
    fn end_otherwise(&self, verdict: Option<Verdict>, duration: Duration) {
        let outcome = match verdict {
            Some(Verdict::Failure) => &self.failures,
            Some(Verdict::Throttled(_)) => &self.throttled,
            Some(_) => &self.ignored,
            None => &self.abandoned,
        };
        self.others.record(duration);
        outcome.fetch_add(1, Relaxed);
    }

    /// Switches the meter, and tells of it if that changes it.
    pub(crate) fn enable(&self, enabled: bool) {
        if self.enabled.swap(enabled, Relaxed) != enabled {
            let [from, to] = [!enabled, enabled].map(|enabled| State::of(enabled).as_str());
            tracing::info!(name = self.name().unwrap_or_default(), from, to, "meter changed");
        }
    }

    pub(crate) fn state(&self) -> State {
        State::of(self.is_enabled())
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        let good = self.good.snapshot();
        let successes = good.count();
        let [failures, throttled, ignored, abandoned] =
            [&self.failures, &self.throttled, &self.ignored, &self.abandoned].map(read);
        let ended = successes + failures + throttled + ignored + abandoned;
        // Read after what has ended, so that nothing ends that has not begun.
        let in_flight = read(&self.begun).saturating_sub(ended);
        let (state, durations) = (Self::state(self), good.and(&self.others.snapshot()));
        Snapshot { state, in_flight, successes, failures, throttled, ignored, abandoned, durations }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter")
            .field("name", &self.name())
            .field("state", &Self::state(self))
            .finish_non_exhaustive()
    }
}

impl Observed for Shared {
    fn layer(&self) -> &'static str {
        "meter"
    }

    fn name(&self) -> &str {
        Self::name(self).unwrap_or_default()
    }

    fn state(&self) -> &'static str {
        Self::state(self).as_str()
    }

    #[allow(clippy::cast_precision_loss, reason = "shown to people")]
    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        let snapshot = self.snapshot();
        for (name, number) in [
            ("in_flight", snapshot.in_flight),
            ("successes", snapshot.successes),
            ("failures", snapshot.failures),
            ("throttled", snapshot.throttled),
            ("ignored", snapshot.ignored),
            ("abandoned", snapshot.abandoned),
        ] {
            show(name, number as f64);
        }
    }

    fn times(&self, show: &mut dyn FnMut(&'static str, TimesSnapshot)) {
        show("duration_seconds", self.good.snapshot().and(&self.others.snapshot()));
    }

    fn verbs(&self) -> &'static [&'static str] {
        registry::SWITCHES
    }

    fn act(&self, verb: &str) -> Result<(), Invalid> {
        self.enable(registry::switched(verb)?);
        Ok(())
    }
}
