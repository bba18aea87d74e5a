use crate::counts::Counts;
use crate::ejection::Origin;
use crate::float::Float;
use crate::normal::Failures;
use crate::seat::{Memory, Normal, Seat};
use crate::turns::Turns;
use bartizan_core::Instant;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

/// What all members of a set share, and calls need to know beside the set itself.
pub(crate) struct Common {
    begun: Instant,
    /// When the book of the set has something to do, in nanoseconds on its clock.
    pub(crate) due: AtomicU64,
    per_second: Float,
    peak: AtomicBool,
    failures: Mutex<Failures>,
    failure_rate: Float,
    mean_latency: Float,
    pub(crate) in_flight: AtomicUsize,
    /// Whose turn it is, where members have their turns.
    pub(crate) round: AtomicUsize,
    pub(crate) counts: Arc<Counts>,
    pub(crate) turns: Turns,
    keeper: OnceLock<Weak<dyn Keeper>>,
}

/// Who keeps the book of a set, whatever its keys and services are.
pub(crate) trait Keeper: Send + Sync {
    /// A member is in trouble, in a way that may have it ejected.
    fn trouble(&self, seat: &Seat, origin: Origin);
    /// An answer of a member says that it is about to leave.
    fn drains(&self, seat: &Seat);
    /// How many good answers all members gave so far, and their mean latency.
    fn sum(&self) -> (u64, f32);
}

impl Common {
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self {
            begun: Instant::now(),
            due: AtomicU64::new(u64::MAX),
            per_second: Float::default(),
            peak: AtomicBool::new(false),
            failures: Mutex::default(),
            failure_rate: Float::default(),
            mean_latency: Float::default(),
            in_flight: AtomicUsize::new(0),
            round: AtomicUsize::new(0),
            counts: Arc::default(),
            turns: Turns::new(seed),
            keeper: OnceLock::new(),
        }
    }

    /// Sets who keeps the book. Once.
    pub(crate) fn keep(&self, keeper: Weak<dyn Keeper>) {
        let _kept_by_another = self.keeper.set(keeper);
    }

    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    #[inline]
    pub(crate) fn at(&self, instant: Instant) -> u64 {
        // 584 years fit.
        let since = instant.saturating_duration_since(self.begun);
        since.as_secs().wrapping_mul(1_000_000_000).wrapping_add(u64::from(since.subsec_nanos()))
    }

    /// The same of an instant that may be too far away for that.
    pub(crate) fn at_most(&self, instant: Instant) -> u64 {
        u64::try_from(instant.saturating_duration_since(self.begun).as_nanos()).unwrap_or(u64::MAX)
    }

    #[inline]
    pub(crate) fn memory(&self) -> Memory {
        Memory { per_second: self.per_second.get(), peak: self.peak.load(Relaxed) }
    }

    /// Over how long is averaged, as far as calls are not too slow for that.
    pub(crate) fn remember(&self, tau: Duration, peak: bool) {
        let slow = Self::CALLS * self.mean_latency.get();
        self.per_second.set(1.0 / tau.as_secs_f32().max(slow));
        self.peak.store(peak, Relaxed);
    }

    /// So many calls of the mean latency are remembered at least.
    const CALLS: f32 = 256.0;

    #[inline]
    pub(crate) fn normal(&self) -> Normal {
        Normal { latency: self.mean_latency.get(), failures: self.failure_rate.get().max(Failures::LEAST) }
    }

    /// A call failed, whatever the reason: learns from it what is normal here.
    #[cold]
    pub(crate) fn failed(&self) -> Normal {
        if let Some(keeper) = self.keeper() {
            let (good, latency) = keeper.sum();
            let share = self.failures.lock().unwrap_or_else(PoisonError::into_inner).failed(good);
            self.failure_rate.set(share);
            self.mean_latency.set(latency);
        }
        self.normal()
    }

    pub(crate) fn set_mean_latency(&self, latency: f32) {
        self.mean_latency.set(latency);
    }

    #[cold]
    pub(crate) fn trouble(&self, seat: &Seat, origin: Origin) {
        if let Some(keeper) = self.keeper() {
            keeper.trouble(seat, origin);
        }
    }

    #[cold]
    pub(crate) fn drains(&self, seat: &Seat) {
        if let Some(keeper) = self.keeper() {
            keeper.drains(seat);
        }
    }

    fn keeper(&self) -> Option<Arc<dyn Keeper>> {
        self.keeper.get().and_then(Weak::upgrade)
    }
}

impl fmt::Debug for Common {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Common").field("normal", &self.normal()).finish_non_exhaustive()
    }
}
