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
use bartizan_core::{Instant, Invalid, Refused};
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
    /// What the layer is set to. Held while somebody steers.
    value: Mutex<Deadline>,
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
            value: Mutex::new(*value),
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

    /// What the layer is set to.
    pub(crate) fn value(&self) -> Deadline {
        *lock(&self.value)
    }

    /// Puts what is made of the value in its place, or nothing.
    pub(crate) fn change(
        &self,
        make: impl FnOnce(Deadline) -> Result<Deadline, Invalid>,
    ) -> Result<(), Invalid> {
        let mut held = lock(&self.value);
        let new = make(*held)?;
        self.settings.store(&new);
        let old = std::mem::replace(&mut *held, new);
        drop(held);
        if old.enabled != new.enabled {
            events::enabled(self.name(), new.enabled);
        }
        if old != new.enabled(old.enabled) {
            events::settings(self.name(), &new.enabled(true));
        }
        Ok(())
    }

    pub(crate) fn switch(&self, enabled: bool) -> Result<(), Invalid> {
        self.change(|value| Ok(value.enabled(enabled)))
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
        judged.map_err(|reason| {
            self.counts.left.record(arrival.left());
            self.refused(reason)
        })
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

    /// Whether a refusal was withheld lately.
    pub(crate) fn is_withholding(&self) -> bool {
        lock(&self.share).withholding()
    }

    pub(crate) fn learnt(&self) -> Option<Duration> {
        lock(&self.estimate).time()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
