//! What the rule has said last, for all who enter to read.

use super::counts::Seen;
use super::rule::Limits;
use super::{Patience, Settings};
use crate::nanos;
use crate::sync::{AtomicU64, Ordering};

const MILLISECOND: u64 = 1_000_000;
/// A window is closed after so long, if so many have left.
const CLOSES: [(u64, u64); 4] =
    [(25 * MILLISECOND, 16), (100 * MILLISECOND, 8), (500 * MILLISECOND, 3), (5000 * MILLISECOND, 1)];
/// The tolerance of ordinary requests, for which waiting places are counted; beyond this one, a request is critical.
const ORDINARY: f64 = 0.25;
const CRITICAL: f64 = 0.5;
/// No more of its time than this may anybody wait beyond its tolerance.
const EASED: f64 = 0.6;
/// The least share of the floor that anybody may use.
const LEAST_FLOOR: f64 = 0.9;

/// Written once in a window, read by everybody.
///
/// One who reads while it is written may find a part of it old and another new: both are at most one window apart.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Said {
    /// Nobody is refused while fewer are in flight.
    free: AtomicU64,
    /// When the window began, and how many had left by then.
    begun: AtomicU64,
    left: AtomicU64,
    /// Nanoseconds from which on a failure was work.
    work: AtomicU64,
    knee: Float,
    throughput: Float,
    service: Float,
    floor: Float,
    ease: Float,
    places: Float,
    cap: Float,
    assumed_deadline: AtomicU64,
    min: AtomicU64,
    max: AtomicU64,
}

#[derive(Debug)]
struct Float(AtomicU64);

impl Float {
    fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    #[inline]
    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }
}

impl Said {
    pub(super) fn new() -> Self {
        Self {
            free: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            left: AtomicU64::new(0),
            work: AtomicU64::new(0),
            knee: Float::new(),
            throughput: Float::new(),
            service: Float::new(),
            floor: Float::new(),
            ease: Float::new(),
            places: Float::new(),
            cap: Float::new(),
            assumed_deadline: AtomicU64::new(0),
            min: AtomicU64::new(1),
            max: AtomicU64::new(u64::MAX),
        }
    }

    /// Says what follows from what was learnt, and when the next window began.
    pub(super) fn say(&self, limits: &Limits, settings: &Settings, begun: &Seen) {
        let (min, max) = (settings.min_in_flight.max(1) as u64, settings.max_in_flight as u64);
        let deadline = nanos(settings.assumed_deadline);
        let work = if limits.service > 0.0 { limits.service * 0.5e9 } else { deadline as f64 / 4.0 };
        let free = (limits.floor * LEAST_FLOOR).min(limits.cap) as u64;
        self.free.store(free.max(min).min(max), Ordering::Relaxed);
        self.work.store(work as u64, Ordering::Relaxed);
        self.knee.set(limits.knee);
        self.throughput.set(limits.throughput);
        self.service.set(limits.service);
        self.floor.set(limits.floor);
        self.ease.set(limits.ease);
        self.places.set(limits.places);
        self.cap.set(limits.cap);
        self.assumed_deadline.store(deadline, Ordering::Relaxed);
        self.min.store(min, Ordering::Relaxed);
        self.max.store(max, Ordering::Relaxed);
        self.left.store(begun.ended(), Ordering::Relaxed);
        self.begun.store(begun.at, Ordering::Relaxed);
    }

    /// Whether the window may be closed in which so many have left by now.
    #[inline]
    pub(super) fn is_over(&self, now: u64, ended: u64) -> bool {
        let length = now.saturating_sub(self.begun.load(Ordering::Relaxed));
        length >= CLOSES[0].0 && is_over(length, Seen::count(ended, self.left.load(Ordering::Relaxed)))
    }

    /// Nobody is refused while fewer are in flight.
    #[inline]
    pub(super) fn free(&self) -> u64 {
        self.free.load(Ordering::Relaxed)
    }

    /// How many may be in flight for a request of such patience to enter.
    pub(super) fn room(&self, patience: Patience) -> u64 {
        let left = patience.left.map_or_else(|| self.assumed_deadline.load(Ordering::Relaxed), nanos);
        let left = left as f64 * 1e-9;
        let Patience { tolerance, floor, .. } = patience;
        let eased = (tolerance * self.ease.get()).min(EASED).max(tolerance);
        let willing = self.throughput.get() * eased * (left - self.service.get()).max(0.0);
        // Critical requests wait beyond the places of the others, or they would be refused beside them.
        let ordinary = tolerance / ORDINARY;
        let places = self.places.get() * if ordinary > 1.0 { ordinary.powi(3) } else { ordinary };
        let predicted = self.knee.get() * floor + willing.min(places);
        let room = predicted.max(self.floor.get() * floor);
        let room = if tolerance < CRITICAL { room.min(self.cap.get()) } else { room };
        (room.ceil() as u64).max(self.min.load(Ordering::Relaxed)).min(self.max.load(Ordering::Relaxed))
    }

    /// Whether a failure after so many nanoseconds was work, and not an answer given at once.
    #[inline]
    pub(super) fn is_work(&self, took: u64) -> bool {
        took >= self.work.load(Ordering::Relaxed)
    }
}

/// Whether so many nanoseconds, in which so many have left, make a window.
pub(super) fn is_over(length: u64, ended: u64) -> bool {
    CLOSES.iter().any(|&(time, count)| length >= time && ended >= count)
}
