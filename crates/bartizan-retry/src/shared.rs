use crate::counts::Counts;
use crate::events;
use crate::retry::Retry;
use bartizan_core::registry::{self, Observed};
use bartizan_core::{Dice, Invalid, Name, Purse};
use bartizan_http::ReplayLimit;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// What all services of one layer share.
pub(crate) struct Shared {
    flags: AtomicU32,
    pub(crate) purse: Purse,
    pub(crate) limit: ReplayLimit,
    pub(crate) counts: Counts,
    pub(crate) dice: Dice,
    settings: Mutex<Arc<Retry>>,
    /// Whether it was told that the purse pays for no retry.
    exhausted: AtomicBool,
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
            exhausted: AtomicBool::new(false),
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
        let _always = self.change(|_| Ok(value));
    }

    /// Puts what is made of the value in its place, or nothing.
    pub(crate) fn change(&self, make: impl FnOnce(&Retry) -> Result<Retry, Invalid>) -> Result<(), Invalid> {
        let mut settings = self.locked();
        let new = Arc::new(make(&settings)?);
        self.limit.update(new.max_body, new.max_bodies);
        let old = std::mem::replace(&mut *settings, new.clone());
        let keep_watched = |flags| Some(flags & Flags::WATCHED | Flags::of(&new));
        let _always = self.flags.fetch_update(Relaxed, Relaxed, keep_watched);
        drop(settings);
        events::changed(self.name(), &old, &new);
        Ok(())
    }

    pub(crate) fn switch(&self, enabled: bool) {
        let _always = self.change(|value| Ok(value.clone().enabled(enabled)));
    }

    /// Hears whether the purse paid for a retry, and tells when it begins not to, and ends.
    pub(crate) fn paid(&self, paid: bool) {
        // It may just as well have been given up because so many failures came in a row.
        let begins =
            || !self.exhausted.load(Relaxed) && self.is_exhausted() && !self.exhausted.swap(true, Relaxed);
        let ends = || self.exhausted.load(Relaxed) && self.exhausted.swap(false, Relaxed);
        if paid && ends() {
            events::exhausted(self.name(), false);
        } else if !paid && begins() {
            events::exhausted(self.name(), true);
        }
    }

    /// Whether the purse would pay for no retry.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.purse.snapshot().tokens < 1.0
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
