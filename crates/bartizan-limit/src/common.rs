use crate::denial::Denial;
use crate::event;
use crate::limit::Limit;
use crate::refusals::{Counts, Refusals};
use crate::store::{Source, Store};
use bartizan_core::registry::Observed;
use bartizan_core::{Dice, Instant, Invalid, Name, Refused};
use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// What a limit has beside its buckets.
#[derive(Debug)]
pub(crate) struct Common {
    born: Instant,
    name: OnceLock<Name>,
    limit: Mutex<Limit>,
    /// The share that is only counted, as the bits of a float.
    shadow: AtomicU64,
    dice: Dice,
    refused: Counts,
    shadowed: AtomicU64,
    /// Where the buckets are kept, if not here alone.
    source: OnceLock<Arc<Source>>,
}

impl Common {
    pub(crate) fn new(limit: Limit, name: Option<Name>) -> Self {
        Self {
            born: Instant::now(),
            name: name.map_or_else(OnceLock::new, OnceLock::from),
            limit: Mutex::new(limit),
            shadow: AtomicU64::new(limit.shadow.to_bits()),
            dice: Dice::new(limit.seed),
            refused: Counts::default(),
            shadowed: AtomicU64::new(0),
            source: OnceLock::new(),
        }
    }

    /// The nanoseconds since this was made. They fit for 584 years, so that no call asks whether they do.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        let age = Instant::now().saturating_duration_since(self.born);
        age.as_secs().wrapping_mul(1_000_000_000).wrapping_add(u64::from(age.subsec_nanos()))
    }

    /// The instant of a time that [`now`](Self::now) returns.
    pub(crate) fn instant(&self, now: u64) -> Instant {
        self.born + Duration::from_nanos(now)
    }

    /// Passes a no on, or lets the request through for the shadow's share; counts either.
    #[cold]
    pub(crate) fn enforce(&self, denial: Denial) -> Result<(), Denial> {
        if self.dice.hits(f64::from_bits(self.shadow.load(Ordering::Relaxed))) {
            self.shadowed.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        self.refused.refused(denial);
        Err(denial)
    }

    pub(crate) fn refuse(&self, denial: Denial) -> Refused {
        denial.refusal(self.name.get())
    }

    pub(crate) fn limit(&self) -> Limit {
        *self.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over the settings that are made of those there are, or none, and lets the buckets follow before the next change.
    pub(crate) fn change(
        &self,
        make: impl FnOnce(Limit) -> Result<Limit, Invalid>,
        follow: impl FnOnce(Limit),
    ) -> Result<(), Invalid> {
        let mut held = self.limit.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = make(*held)?;
        if let Some(seed) = limit.seed.filter(|_| limit.seed != held.seed) {
            self.dice.reseed(seed);
        }
        self.shadow.store(limit.shadow.to_bits(), Ordering::Relaxed);
        let old = std::mem::replace(&mut *held, limit);
        follow(limit);
        drop(held);
        event::tell_settings(self.name(), &old, &limit);
        Ok(())
    }

    pub(crate) fn name(&self) -> Option<&Name> {
        self.name.get()
    }

    /// Names the limit, and says whether it had no name.
    pub(crate) fn set_name(&self, name: Name) -> bool {
        self.name.set(name).is_ok()
    }

    /// Keeps the buckets in a store; in the first that this was asked for.
    pub(crate) fn kept_in(&self, store: impl Store) -> Arc<Source> {
        self.source.get_or_init(|| Arc::new(Source::new(Box::new(store)))).clone()
    }

    /// Says what is to be said of the store.
    pub(crate) fn note(&self) -> Option<Cow<'static, str>> {
        let is_alone = self.source.get().is_some_and(|source| source.is_gone());
        is_alone.then_some("the store gives no answer, and each process limits for itself".into())
    }

    /// Shows what was counted of requests, and the numbers of the store, if there is one.
    #[allow(clippy::cast_precision_loss, reason = "shown to people")]
    pub(crate) fn show(&self, show: &mut dyn FnMut(&'static str, f64)) {
        for (name, count) in self.refusals().named() {
            show(name, count as f64);
        }
        show("shadowed", self.shadowed() as f64);
        if let Some(source) = self.source.get() {
            show("store_gone", f64::from(u8::from(source.is_gone())));
            show("store_unanswered", source.unanswered() as f64);
        }
    }

    pub(crate) fn refusals(&self) -> Refusals {
        self.refused.read()
    }

    pub(crate) fn shadowed(&self) -> u64 {
        self.shadowed.load(Ordering::Relaxed)
    }
}

/// Registers what has a name, and reports a twin of it, if there is one.
pub(crate) fn register(observed: &Arc<dyn Observed>) {
    if !observed.name().is_empty() && !bartizan_core::registry::register(observed) {
        event::tell_twin(observed.name());
    }
}
