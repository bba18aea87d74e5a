use super::counts::{Count, Counts, Gauge, Snapshot};
use super::events;
use super::flights::Flights;
use super::key::{AsItIs, Key};
use super::store::Store;
use super::value::Stale;
use crate::Failure;
use bartizan_core::registry::{self, Observed};
use bartizan_core::{Dice, Instant, Invalid, Name};
use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// What all services of one layer share.
pub(crate) struct Shared {
    enabled: AtomicBool,
    pub(crate) store: Store,
    pub(crate) flights: Arc<Flights>,
    pub(crate) counts: Counts,
    pub(crate) in_flight: Gauge,
    /// Bytes of bodies that are being copied.
    pub(crate) recording: Gauge,
    pub(crate) dice: Dice,
    refreshing: Mutex<HashSet<Key, AsItIs>>,
    /// When a stale answer was last served in place of a failure; none while all is well.
    degraded: Mutex<Option<Instant>>,
    is_degraded: AtomicBool,
    value: Mutex<Arc<Stale>>,
    name: OnceLock<Name>,
}

/// How long after the last stale answer a call has to be answered, so that all is well again.
const WELL: Duration = Duration::from_secs(10);

impl Shared {
    pub(crate) fn new(value: Stale) -> Self {
        Self {
            enabled: value.enabled.into(),
            store: Store::new(&value),
            flights: Arc::default(),
            counts: Counts::default(),
            in_flight: Gauge::default(),
            recording: Gauge::default(),
            dice: Dice::new(value.seed),
            refreshing: Mutex::default(),
            degraded: Mutex::default(),
            is_degraded: false.into(),
            value: Mutex::new(Arc::new(value)),
            name: OnceLock::new(),
        }
    }

    #[inline]
    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled.load(Relaxed)
    }

    /// Whether a read was ever looked at: there may be something that a write outdates.
    #[inline]
    pub(crate) fn was_used(&self) -> bool {
        self.counts.of(Count::Reads) > 0
    }

    pub(crate) fn value(&self) -> Arc<Stale> {
        lock(&self.value).clone()
    }

    pub(crate) fn update(&self, value: Stale) {
        let _always = self.change(|_| Ok(value));
    }

    /// Puts what is made of the value in its place, or nothing.
    pub(crate) fn change(&self, make: impl FnOnce(&Stale) -> Result<Stale, Invalid>) -> Result<(), Invalid> {
        let mut value = lock(&self.value);
        let new = Arc::new(make(&value)?);
        let old = std::mem::replace(&mut *value, new.clone());
        self.enabled.store(new.enabled, Relaxed);
        let out = self.store.update(&new);
        drop(value);
        // What goes holds errors of somebody else's, who may ask for the value.
        drop(out);
        events::changed(self.name(), &old, &new);
        Ok(())
    }

    pub(crate) fn switch(&self, enabled: bool) {
        let _always = self.change(|value| Ok(value.clone().enabled(enabled)));
    }

    /// Forgets all answers.
    pub(crate) fn purge(&self) {
        self.store.purge();
        events::purged(self.name());
    }

    /// Counts a read, as long as what is returned lives.
    pub(crate) fn enter(self: &Arc<Self>) -> InFlight {
        self.counts.count(Count::Reads);
        self.in_flight.take(1, usize::MAX);
        InFlight(self.clone())
    }

    /// Takes a place among the refreshes, if there is one and the key has none.
    pub(crate) fn refresh(self: &Arc<Self>, key: Key, most: usize) -> Option<Refreshing> {
        let mut refreshing = lock(&self.refreshing);
        let begins = refreshing.len() < most && refreshing.insert(key);
        drop(refreshing);
        begins.then(|| Refreshing { shared: self.clone(), key })
    }

    /// Hears that a stale answer was served in place of a failure.
    pub(crate) fn degraded(&self, now: Instant, failure: &Failure) {
        events::served(self.name(), failure);
        let begins = lock(&self.degraded).replace(now).is_none();
        if begins {
            self.is_degraded.store(true, Relaxed);
            events::begins(self.name(), failure);
        }
    }

    /// Hears that a call was answered.
    pub(crate) fn answered(&self, now: Instant) {
        if !self.is_degraded() {
            return;
        }
        let mut degraded = lock(&self.degraded);
        let ends = degraded.is_some_and(|last| now.saturating_duration_since(last) >= WELL);
        if ends {
            *degraded = None;
            self.is_degraded.store(false, Relaxed);
        }
        drop(degraded);
        if ends {
            events::ends(self.name());
        }
    }

    pub(super) fn is_degraded(&self) -> bool {
        self.is_degraded.load(Relaxed)
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let (entries, bytes) = self.store.size();
        let count = |what| self.counts.of(what);
        Snapshot {
            entries,
            bytes,
            in_flight: self.in_flight.get(),
            waiting: self.flights.waiting(),
            refreshing: lock(&self.refreshing).len(),
            recording: self.recording.get(),
            reads: count(Count::Reads),
            stored: count(Count::Stored),
            hits: count(Count::Hits),
            stale_if_error: count(Count::IfError),
            spared: count(Count::Spared),
            stale_while_revalidate: count(Count::WhileRevalidate),
            coalesced: count(Count::Coalesced),
            revalidated: count(Count::Revalidated),
            refreshes: count(Count::Refreshes),
            refreshes_failed: count(Count::RefreshesFailed),
            refreshes_late: count(Count::RefreshesLate),
            unanswered: count(Count::Unanswered),
            refused_not_kept: count(Count::NotKept),
        }
    }

    /// Gives the state its name, the first time, and registers it.
    pub(crate) fn set_name(self: &Arc<Self>, name: Name) {
        if self.name.set(name).is_ok() {
            let observed: Arc<dyn Observed> = self.clone();
            if !registry::register(&observed) {
                events::twin(observed.name());
            }
        }
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.name.get().map(Name::as_str)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A read under way.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Shared>);

impl InFlight {
    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.give_back(1);
    }
}

/// A refresh under way.
#[derive(Debug)]
pub(crate) struct Refreshing {
    shared: Arc<Shared>,
    key: Key,
}

impl Drop for Refreshing {
    fn drop(&mut self) {
        lock(&self.shared.refreshing).remove(&self.key);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let snapshot = self.snapshot();
        f.debug_struct("Shared")
            .field("name", &self.name())
            .field("snapshot", &snapshot)
            .finish_non_exhaustive()
    }
}
