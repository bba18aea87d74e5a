use crate::counts::Counts;
use crate::events;
use crate::retry::Retry;
use bartizan_core::registry::{self, Observed};
use bartizan_core::{Dice, Name, Purse};
use bartizan_http::ReplayLimit;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// What all services of one layer share.
pub(crate) struct Shared {
    flags: AtomicU32,
    pub(crate) purse: Purse,
    pub(crate) limit: ReplayLimit,
    pub(crate) counts: Counts,
    pub(crate) dice: Dice,
    settings: Mutex<Arc<Retry>>,
    name: OnceLock<Name>,
}

/// What a call has to know before anything fails, in one word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flags(u32);

impl Flags {
    pub(crate) const ENABLED: u32 = 1;
    /// Answers that the classifier calls good have to be looked at.
    pub(crate) const LOOKS: u32 = 1 << 1;
    /// The time that a call takes matters.
    pub(crate) const TIMED: u32 = 1 << 2;
    /// Somebody can read the counts. Not part of the value.
    pub(crate) const WATCHED: u32 = 1 << 3;

    const fn of(value: &Retry) -> u32 {
        let mut flags = 0;
        if value.enabled {
            flags |= Self::ENABLED;
        }
        if value.trust_hints || value.on.looks() {
            flags |= Self::LOOKS;
        }
        if value.allowance.is_some() {
            flags |= Self::TIMED;
        }
        flags
    }

    #[inline]
    pub(crate) const fn has(self, flag: u32) -> bool {
        self.0 & flag != 0
    }
}

impl Shared {
    pub(crate) fn new(value: Retry, purse: Purse) -> Self {
        Self {
            flags: AtomicU32::new(Flags::of(&value)),
            purse,
            limit: ReplayLimit::new(value.max_body, value.max_bodies),
            counts: Counts::default(),
            dice: Dice::new(value.seed),
            settings: Mutex::new(Arc::new(value)),
            name: OnceLock::new(),
        }
    }

    #[inline]
    pub(crate) fn flags(&self) -> Flags {
        Flags(self.flags.load(Relaxed))
    }

    pub(crate) fn watch(&self) {
        self.flags.fetch_or(Flags::WATCHED, Relaxed);
    }

    pub(crate) fn settings(&self) -> Arc<Retry> {
        self.locked().clone()
    }

    pub(crate) fn update(&self, value: Retry) {
        self.limit.update(value.max_body, value.max_bodies);
        let new = Flags::of(&value);
        *self.locked() = Arc::new(value);
        let keep_watched = |old| Some(old & Flags::WATCHED | new);
        let old = self.flags.fetch_update(Relaxed, Relaxed, keep_watched).unwrap_or_default();
        if (old ^ new) & Flags::ENABLED != 0 {
            events::enabled(self.name(), new & Flags::ENABLED != 0);
        }
    }

    /// Gives the state its name, the first time, and registers it.
    pub(crate) fn set_name(self: &Arc<Self>, name: Name) {
        if self.name.set(name).is_ok() {
            self.watch();
            let observed: Arc<dyn Observed> = self.clone();
            if !registry::register(&observed) {
                events::twin(observed.name());
            }
        }
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.name.get().map(Name::as_str)
    }

    fn locked(&self) -> MutexGuard<'_, Arc<Retry>> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.counts.snapshot();
        f.debug_struct("Shared").field("name", &self.name()).field("counts", &counts).finish_non_exhaustive()
    }
}

impl Observed for Shared {
    fn layer(&self) -> &'static str {
        "retry"
    }

    fn name(&self) -> &str {
        Self::name(self).unwrap_or_default()
    }

    /// `exhausted` while the purse would pay for no retry.
    fn state(&self) -> &'static str {
        match self.flags().has(Flags::ENABLED) {
            false => "disabled",
            true if self.purse.snapshot().tokens < 1.0 => "exhausted",
            true => "enabled",
        }
    }

    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        self.counts.snapshot().each(show);
        let purse = self.purse.snapshot();
        show("budget_left", purse.tokens);
        show("budget_cap", purse.cap);
        show("bytes_kept", self.limit.kept() as f64);
    }
}
