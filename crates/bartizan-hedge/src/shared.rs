use crate::counts::{Counts, Snapshot};
use crate::events;
use crate::hedge::Hedge;
use crate::latencies::Latencies;
use crate::wins::Wins;
use bartizan_core::registry::{self, Observed};
use bartizan_core::{Instant, Invalid, Name, Purse, Token};
use bartizan_http::ReplayLimit;
use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// What all services of one layer share.
pub(crate) struct Shared {
    flags: AtomicU32,
    /// The delay that was set, in nanoseconds, or [`LEARNT`].
    delay: AtomicU64,
    /// What is learnt, and not below the floor, in nanoseconds.
    floor: AtomicU64,
    warm_up: AtomicU32,
    pub(crate) own: Purse,
    purse: Option<Purse>,
    pub(crate) limit: ReplayLimit,
    pub(crate) counts: Counts,
    latencies: Latencies,
    pub(crate) wins: Wins,
    settings: Mutex<Arc<Hedge>>,
    name: OnceLock<Name>,
}

/// What a call has to know at once, in one word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flags(u32);

impl Flags {
    pub(crate) const ENABLED: u32 = 1;
    /// Somebody can read the counts. Not part of the value.
    pub(crate) const WATCHED: u32 = 1 << 1;

    #[inline]
    pub(crate) const fn has(self, flag: u32) -> bool {
        self.0 & flag != 0
    }
}

const LEARNT: u64 = u64::MAX;

/// The tokens that a copy costs: of the layer's own purse, and of the shared one.
pub(crate) type Tokens = (Token, Option<Token>);

impl Shared {
    pub(crate) fn new(value: Hedge, purse: Option<Purse>) -> Self {
        Self {
            flags: AtomicU32::new(u32::from(value.enabled)),
            delay: AtomicU64::new(delay_of(&value)),
            floor: AtomicU64::new(nanos(value.min_delay)),
            warm_up: AtomicU32::new(value.warm_up),
            own: Purse::new(value.own_budget()),
            purse,
            limit: ReplayLimit::new(value.max_body, value.max_bodies),
            counts: Counts::default(),
            latencies: Latencies::new(),
            wins: Wins::new(value.seed),
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

    pub(crate) fn settings(&self) -> Arc<Hedge> {
        self.locked().clone()
    }

    pub(crate) fn update(&self, value: Hedge) {
        let _always = self.change(|_| Ok(value));
    }

    /// Puts what is made of the value in its place, or nothing.
    pub(crate) fn change(&self, make: impl FnOnce(&Hedge) -> Result<Hedge, Invalid>) -> Result<(), Invalid> {
        let mut settings = self.locked();
        let new = Arc::new(make(&settings)?);
        self.limit.update(new.max_body, new.max_bodies);
        self.own.update(new.own_budget());
        self.delay.store(delay_of(&new), Relaxed);
        self.floor.store(nanos(new.min_delay), Relaxed);
        self.warm_up.store(new.warm_up, Relaxed);
        let old = std::mem::replace(&mut *settings, new.clone());
        let keep_watched = |flags| Some(flags & Flags::WATCHED | u32::from(new.enabled));
        let _always = self.flags.fetch_update(Relaxed, Relaxed, keep_watched);
        drop(settings);
        events::changed(self.name(), &old, &new);
        Ok(())
    }

    pub(crate) fn switch(&self, enabled: bool) {
        let _always = self.change(|value| Ok(value.clone().enabled(enabled)));
    }

    /// After how long a copy is sent. `None` while that is not known.
    #[inline]
    pub(crate) fn delay(&self) -> Option<Duration> {
        match self.delay.load(Relaxed) {
            LEARNT => {
                let floor = Duration::from_nanos(self.floor.load(Relaxed));
                self.latencies.quantile().map(|learnt| learnt.max(floor))
            }
            set => Some(Duration::from_nanos(set)),
        }
    }

    /// Whether a copy that is due by the delay is worth it. A delay that was set by hand is taken at its word.
    pub(crate) fn is_useful(&self) -> bool {
        self.delay.load(Relaxed) != LEARNT || self.wins.allow()
    }

    pub(crate) fn median(&self) -> Option<Duration> {
        self.latencies.median()
    }

    /// Learns how long a first copy took, or how long at least.
    #[inline]
    pub(crate) fn learn(&self, took: Duration, cut: bool) {
        let warm_up = self.warm_up.load(Relaxed);
        let first =
            self.latencies.learn(took, cut, warm_up, || self.settings().quantile(self.counts.copies()));
        if let (Some(_), Some(delay)) = (first, self.delay()) {
            events::learnt(self.name(), delay);
        }
    }

    /// Pays for a copy out of both purses, or out of none.
    pub(crate) fn withdraw(&self, now: Instant) -> Option<Tokens> {
        let shared = match &self.purse {
            Some(purse) => Some(purse.withdraw_hedge(now)?),
            None => None,
        };
        Some((self.own.withdraw_hedge(now)?, shared))
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.counts.snapshot(self.delay(), self.median())
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

    fn locked(&self) -> MutexGuard<'_, Arc<Hedge>> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn delay_of(value: &Hedge) -> u64 {
    // The longest delay is never over, whatever it is.
    value.delay.map_or(LEARNT, |delay| nanos(delay).min(LEARNT - 1))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("name", &self.name())
            .field("snapshot", &self.snapshot())
            .finish_non_exhaustive()
    }
}
