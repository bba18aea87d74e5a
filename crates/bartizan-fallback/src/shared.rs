use crate::counts::{Counts, Event, Snapshot};
use crate::events;
use crate::failure::Failure;
use crate::fallback::Fallback;
use crate::on::FallbackOn;
use bartizan_core::registry::{self, Observed};
use bartizan_core::{Instant, Invalid, Name};
use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// How long no failure must have been replaced for the layer to be called good again: so that one of which every other call fails does
/// not tell of it every time.
const CALM: Duration = Duration::from_secs(1);

/// What all services of one layer share.
pub(crate) struct Shared {
    flags: AtomicU32,
    /// When a failure was last replaced, by its [age](Self::age); zero while all is well.
    degraded: AtomicU64,
    in_flight: AtomicUsize,
    pub(crate) counts: Counts,
    settings: Mutex<Fallback>,
    name: OnceLock<Name>,
    born: Instant,
}

/// What a call has to know before anything fails, in one word. The lowest byte are the kinds of failures that are asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flags(u32);

impl Flags {
    pub(crate) const ENABLED: u32 = 1 << 8;
    pub(crate) const WRITES: u32 = 1 << 9;
    /// Answers that the classifier calls good have to be looked at.
    pub(crate) const LOOKS: u32 = 1 << 10;
    /// The layer is ready though the inner service is not.
    pub(crate) const AT_ONCE: u32 = 1 << 11;
    /// The kinds do not say all of it.
    pub(crate) const CODES: u32 = 1 << 12;
    /// Somebody can read the counts: the layer has a name or gave out a handle. Not part of the value.
    pub(crate) const WATCHED: u32 = 1 << 13;

    const fn of(value: &Fallback) -> u32 {
        let (groups, codes) = value.on.groups();
        let mut flags = groups as u32;
        if codes {
            flags |= Self::CODES;
        }
        if value.writes {
            flags |= Self::WRITES;
        }
        if value.on.looks() {
            flags |= Self::LOOKS;
        }
        if value.enabled {
            flags |= Self::ENABLED;
            if value.on.unready() {
                flags |= Self::AT_ONCE;
            }
        }
        flags
    }

    #[inline]
    pub(crate) const fn has(self, flag: u32) -> bool {
        self.0 & flag != 0
    }

    /// The failures that are asked for, unless there are [`CODES`](Self::CODES).
    pub(crate) const fn on(self) -> FallbackOn {
        FallbackOn::group(self.0 as u8)
    }
}

impl Shared {
    pub(crate) fn new(value: Fallback) -> Self {
        Self {
            flags: AtomicU32::new(Flags::of(&value)),
            degraded: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            counts: Counts::default(),
            settings: Mutex::new(value),
            name: OnceLock::new(),
            born: Instant::now(),
        }
    }

    #[inline]
    pub(crate) fn flags(&self) -> Flags {
        Flags(self.flags.load(Relaxed))
    }

    pub(crate) fn watch(&self) {
        self.flags.fetch_or(Flags::WATCHED, Relaxed);
    }

    pub(crate) fn settings(&self) -> Fallback {
        *self.locked()
    }

    pub(crate) fn update(&self, value: Fallback) {
        let _always = self.change(|_| Ok(value));
    }

    /// Puts what is made of the value in its place, or nothing.
    pub(crate) fn change(
        &self,
        make: impl FnOnce(Fallback) -> Result<Fallback, Invalid>,
    ) -> Result<(), Invalid> {
        let mut settings = self.locked();
        let new = make(*settings)?;
        let old = std::mem::replace(&mut *settings, new);
        let keep_watched = |flags| Some(flags & Flags::WATCHED | Flags::of(&new));
        let _always = self.flags.fetch_update(Relaxed, Relaxed, keep_watched);
        drop(settings);
        events::changed(self.name(), &old, &new);
        Ok(())
    }

    pub(crate) fn switch(&self, enabled: bool) {
        let _always = self.change(|value| Ok(value.enabled(enabled)));
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

    /// Takes a place among the asynchronous functions that are under way.
    pub(crate) fn take_place(&self) -> bool {
        let most = self.settings().max_in_flight;
        let taken = self.in_flight.fetch_update(Relaxed, Relaxed, |taken| (taken < most).then(|| taken + 1));
        if taken.is_err() {
            self.counts.count(Event::Full);
        }
        taken.is_ok()
    }

    pub(crate) fn leave_place(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }

    /// Hears that a failure is about to be replaced.
    #[cold]
    pub(crate) fn replaces(&self, failure: &Failure) {
        self.counts.count(Event::Used);
        if self.degraded.swap(self.age(), Relaxed) == 0 {
            events::degraded(self.name(), failure);
        } else {
            events::used(self.name(), failure);
        }
    }

    /// Hears that a call ended well.
    #[inline]
    pub(crate) fn went_well(&self) {
        let last = self.degraded.load(Relaxed);
        if last != 0 {
            self.recover(last);
        }
    }

    #[cold]
    fn recover(&self, last: u64) {
        let calm = self.age().saturating_sub(last) >= CALM.as_nanos() as u64;
        if calm && self.degraded.compare_exchange(last, 0, Relaxed, Relaxed).is_ok() {
            events::recovered(self.name());
        }
    }

    /// Nanoseconds since the layer was born, and one, as zero says that all is well.
    fn age(&self) -> u64 {
        let age = Instant::now().saturating_duration_since(self.born);
        u64::try_from(age.as_nanos()).unwrap_or(u64::MAX).saturating_add(1)
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.counts.snapshot(self.in_flight.load(Relaxed), self.degraded.load(Relaxed) != 0)
    }

    fn locked(&self) -> MutexGuard<'_, Fallback> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("name", &self.name())
            .field("settings", &self.settings())
            .field("counts", &self.snapshot())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_good_again_a_second_after_the_last_failure() {
        let shared = Shared::new(Fallback::new());
        let is_degraded = || shared.snapshot().degraded;
        shared.went_well();
        assert!(!is_degraded());
        for _ in 0..3 {
            shared.replaces(&Failure::unready());
            tokio::time::advance(Duration::from_millis(999)).await;
            shared.went_well();
            assert!(is_degraded());
        }
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(is_degraded(), "nobody knows of it yet");
        shared.went_well();
        assert!(!is_degraded());
        assert_eq!(shared.snapshot().used, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn flags_say_what_the_value_says() {
        let shared = Shared::new(Fallback::new());
        let has = |flag| shared.flags().has(flag);
        assert!(has(Flags::ENABLED) && has(Flags::AT_ONCE));
        assert!(!has(Flags::LOOKS | Flags::CODES | Flags::WRITES | Flags::WATCHED));
        assert_eq!(shared.flags().on(), FallbackOn::FAILURES);
        shared.watch();
        let on = FallbackOn::TIMEOUTS.and(FallbackOn::ERRORS);
        shared.update(Fallback::new().on(on).writes(true));
        assert!(has(Flags::WATCHED) && has(Flags::WRITES) && has(Flags::LOOKS) && !has(Flags::AT_ONCE));
        assert_eq!(shared.flags().on(), on);
        shared.update(Fallback::new().on(FallbackOn::code(404)).enabled(false));
        assert!(has(Flags::WATCHED) && has(Flags::CODES) && !has(Flags::ENABLED | Flags::WRITES));
    }

    #[tokio::test(start_paused = true)]
    async fn places_are_given_back() {
        let shared = Shared::new(Fallback::new().max_in_flight(2));
        assert_eq!([(); 3].map(|()| shared.take_place()), [true, true, false]);
        shared.leave_place();
        assert!(shared.take_place());
        shared.update(Fallback::new().max_in_flight(0));
        shared.leave_place();
        assert!(!shared.take_place());
        assert_eq!((shared.snapshot().in_flight, shared.snapshot().full), (1, 2));
    }
}
