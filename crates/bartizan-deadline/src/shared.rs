use crate::arrival::Arrival;
use crate::counts::Counts;
use crate::estimate::Estimate;
use crate::reason::Reason;
use crate::settings::{Flags, Settings};
use crate::share::Share;
use crate::span::Span;
use crate::watch::Learning;
use crate::{Deadline, events};
use bartizan_core::registry::{self, Observed};
use bartizan_core::{Instant, Refused};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// What all services of one layer share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) counts: Counts,
    pub(crate) born: Instant,
    /// What is around this, and leaves the headers to it.
    pub(crate) outer: OnceLock<Arc<Shared>>,
    name: OnceLock<bartizan_core::Name>,
    estimate: Mutex<Estimate>,
    share: Mutex<Share>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.counts.snapshot();
        f.debug_struct("Shared").field("name", &self.name()).field("counts", &counts).finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(value: &Deadline) -> Self {
        Self {
            settings: Settings::new(value),
            counts: Counts::default(),
            born: Instant::now(),
            outer: OnceLock::new(),
            name: OnceLock::new(),
            estimate: Mutex::default(),
            share: Mutex::default(),
        }
    }

    /// Gives the state its name, the first time, and registers it.
    pub(crate) fn set_name(self: &Arc<Self>, name: bartizan_core::Name) {
        if self.name.set(name).is_ok() {
            self.settings.watch();
            let observed: Arc<dyn Observed> = self.clone();
            if !registry::register(&observed) {
                events::twin(observed.name());
            }
        }
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.name.get().map(bartizan_core::Name::as_str)
    }

    pub(crate) fn update(&self, value: &Deadline) {
        let old = self.settings.store(value);
        if old.has(Flags::ENABLED) != value.enabled {
            events::enabled(self.name(), value.enabled);
        }
    }

    /// The settings of what leaves the headers to this layer, if it is on.
    #[inline]
    pub(crate) fn told_by(&self) -> Option<&Settings> {
        let outer = &self.outer.get()?.settings;
        outer.flags().has(Flags::ENABLED).then_some(outer)
    }

    /// The deadline of a context, less what the layer around this keeps back from the server.
    #[inline]
    pub(crate) fn less(&self, deadline: Option<Instant>) -> Option<Instant> {
        let margin = self.told_by().map_or(Span::ZERO, Settings::margin);
        match deadline {
            Some(deadline) if margin > Span::ZERO => {
                Some(deadline.checked_sub(margin.duration()).unwrap_or(self.born))
            }
            deadline => deadline,
        }
    }

    /// Returns the deadline of a call that may begin, none if it may take for ever.
    #[inline(always)]
    pub(crate) fn admit(&self, flags: Flags, arrival: &Arrival) -> Result<Option<Instant>, Refused> {
        match arrival.judge() {
            Ok(deadline) if !flags.has(Flags::LEARN | Flags::BOUNDED) => Ok(deadline),
            judged => self.reconsider(flags, arrival, judged),
        }
    }

    /// What has the last word where more than the clock decides. Kept out of the way of a call that may begin.
    #[inline(never)]
    fn reconsider(
        &self,
        flags: Flags,
        arrival: &Arrival,
        mut judged: Result<Option<Instant>, Reason>,
    ) -> Result<Option<Instant>, Refused> {
        if let (true, Ok(Some(deadline))) = (flags.has(Flags::LEARN), judged) {
            if lock(&self.estimate).refuses(Span::between(arrival.now, deadline)) {
                judged = Err(Reason::Hopeless);
            }
        }
        if flags.has(Flags::BOUNDED) {
            judged = self.bound(arrival, judged);
        }
        judged.map_err(|reason| self.refused(reason))
    }

    /// Withholds a refusal that is due to a deadline sent along, if there were too many of them.
    fn bound(
        &self,
        arrival: &Arrival,
        judged: Result<Option<Instant>, Reason>,
    ) -> Result<Option<Instant>, Reason> {
        let alone = arrival.alone().judge();
        let asked = judged.is_err() && alone.is_ok();
        let ruling = lock(&self.share).rule(arrival.now, asked, self.settings.max_refused_share());
        if let Some(turn) = ruling.turn {
            events::withholding(self.name(), turn);
        }
        if asked && !ruling.refuse {
            self.counts.withheld();
            return alone;
        }
        judged
    }

    /// Counts a refusal or a time-out and makes its `Refused`.
    #[cold]
    pub(crate) fn refused(&self, reason: Reason) -> Refused {
        self.counts.reason(reason);
        reason.refused().with_name(self.name.get().cloned())
    }

    /// Learns from a call that succeeded just now, if it is to be learnt from.
    #[inline]
    pub(crate) fn learn(&self, began: Learning) {
        if began < Span::ENDLESS {
            let took = Span::between(self.born, Instant::now()).minus(began);
            lock(&self.estimate).learn(took);
        }
    }

    pub(crate) fn learnt(&self) -> Option<Duration> {
        lock(&self.estimate).time()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Observed for Shared {
    fn layer(&self) -> &'static str {
        "deadline"
    }

    fn name(&self) -> &str {
        Self::name(self).unwrap_or_default()
    }

    fn state(&self) -> &'static str {
        match self.settings.flags() {
            flags if !flags.has(Flags::ENABLED) => "disabled",
            flags if flags.has(Flags::BOUNDED) && lock(&self.share).withholding() => "withholding",
            _ => "enabled",
        }
    }

    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        let counted = self.counts.snapshot();
        for (name, count) in [
            ("expired", counted.expired),
            ("too_little", counted.too_little),
            ("hopeless", counted.hopeless),
            ("timed_out", counted.timed_out),
            ("timed_out_head", counted.timed_out_head),
            ("timed_out_idle", counted.timed_out_idle),
            ("timed_out_upload", counted.timed_out_upload),
            ("read_late", counted.read_late),
            ("withheld", counted.withheld),
            ("malformed", counted.malformed),
            ("abandoned", counted.abandoned),
        ] {
            show(name, count as f64);
        }
        show("total_seconds", self.settings.total().duration().as_secs_f64());
        if let Some(learnt) = self.learnt() {
            show("learnt_seconds", learnt.as_secs_f64());
        }
    }
}
