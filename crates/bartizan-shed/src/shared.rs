//! What the clones of a layer share: the gate, what is known, and the settings.

mod entering;
mod leaving;

use crate::Mode;
use crate::asks::Wish;
use crate::ceiling::Ceiling;
use crate::cpu::Cpu;
use crate::denial::{Denial, Why};
use crate::fairness::{Bucket, Fairness};
use crate::gate::{Class, Gate};
use crate::predict::{self, Predictor};
use crate::pressure::{Pressure, Rank};
use crate::refusals::Counts;
use crate::settings::Settings;
use crate::shares::Classes;
use crate::shed::Shed;
use crate::waiting::Waiting;
use crate::{event, nanos};
use bartizan_core::{Dice, Instant, Invalid, Name, Priority, Refused};
use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

/// What every call writes stands first, beside the counts of the `Arc`; what every call reads, last, in another cache line.
#[repr(C)]
pub(crate) struct Shared {
    pub(crate) gate: Gate,
    pub(crate) counts: Counts,
    pressure: Pressure,
    /// In a place of its own, as it keeps its counts in lines apart; in here it would part the gate from the counts of the `Arc`.
    pub(crate) predictor: Box<Predictor>,
    ceiling: Ceiling,
    cpu: Cpu,
    fairness: OnceLock<Box<Fairness>>,
    classes: OnceLock<Box<Classes>>,
    waiting: OnceLock<Box<Waiting>>,
    dice: Dice,
    name: OnceLock<Name>,
    /// Itself, for who finds it in the registry.
    me: OnceLock<Weak<Self>>,
    born: Instant,
    value: Mutex<Shed>,
    /// The bits of the share that each level may be predicted to wait.
    tolerances: Box<[AtomicU32]>,
    retry_after: AtomicU64,
    settings: AtomicU64,
}

/// A request that asks for a place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) wish: Wish,
    bucket: Option<Bucket>,
    rank: Rank,
    pub(crate) left: Option<Duration>,
    /// Judged as the most important.
    pub(crate) lifted: bool,
}

/// How a place is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By one who has just come, and overtakes nobody who waits.
    Coming,
    /// By one who waits, and whose turn it is.
    InTurn,
}

impl Asked {
    pub(crate) fn class(&self) -> Class {
        class_of(self.wish.priority)
    }
}

/// The class in which a level is counted: the nearest of those that have a name.
#[inline]
pub(crate) fn class_of(priority: Priority) -> Class {
    match priority.level() {
        0..64 => 0,
        64..192 => 1,
        192.. => 2,
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("name", &self.name)
            .field("in_flight", &self.gate.in_flight())
            .field("mode", &self.settings().mode())
            .finish_non_exhaustive()
    }
}

fn predicting(value: &Shed) -> predict::Settings {
    predict::Settings {
        assumed_deadline: value.assumed_deadline,
        min_in_flight: value.min_in_flight,
        max_in_flight: value.max_in_flight,
    }
}

impl Shared {
    pub(crate) fn new(value: &Shed) -> Self {
        let now = Instant::now();
        let shared = Self {
            gate: Gate::new(),
            counts: Counts::default(),
            pressure: Pressure::new(),
            predictor: Box::new(Predictor::new(predicting(value), now)),
            ceiling: Ceiling::new(),
            cpu: Cpu::new(),
            fairness: OnceLock::new(),
            classes: OnceLock::new(),
            waiting: OnceLock::new(),
            dice: Dice::new(value.seed),
            name: OnceLock::new(),
            me: OnceLock::new(),
            born: now,
            value: Mutex::new(*value),
            tolerances: (0..=u8::MAX).map(|_| AtomicU32::new(0)).collect(),
            retry_after: AtomicU64::new(0),
            settings: AtomicU64::new(0),
        };
        shared.take_over(value);
        shared
    }

    fn take_over(&self, value: &Shed) {
        for (level, tolerance) in (0..=u8::MAX).zip(&self.tolerances) {
            let share = value.tolerance(Priority::new(level)) as f32;
            tolerance.store(share.to_bits(), Ordering::Relaxed);
        }
        self.cpu.set(value.cpu.unwrap_or(1.0));
        if let Some((factor, hold)) = value.ceiling {
            self.ceiling.set(factor, hold, value.min_in_flight);
        }
        self.retry_after.store(nanos(value.retry_after), Ordering::Relaxed);
        let settings = |old| Some(Settings::of(value, Settings(old)).0);
        let _ = self.settings.fetch_update(Ordering::AcqRel, Ordering::Acquire, settings);
    }

    /// Takes over the settings that are made of those there are, or none. Who is in flight stays, and what was learnt.
    pub(crate) fn change(
        self: &Arc<Self>,
        make: impl FnOnce(Shed) -> Result<Shed, Invalid>,
    ) -> Result<(), Invalid> {
        let mut known = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        let new = make(*known)?;
        let old = std::mem::replace(&mut *known, new);
        self.predictor.update(predicting(&new));
        self.take_over(&new);
        if old.fixed != new.fixed {
            // Places that were kept free of another limit may be all of this one.
            self.pressure.level();
        }
        drop(known);
        self.dispatch();
        event::tell_settings(self.name(), &old, &new);
        Ok(())
    }

    /// As [`change`](Self::change), for who finds it in the registry.
    pub(crate) fn steer(&self, make: impl FnOnce(Shed) -> Result<Shed, Invalid>) -> Result<(), Invalid> {
        self.me.get().and_then(Weak::upgrade).map_or(Ok(()), |me| me.change(make))
    }

    /// Forgets what was learnt. Who is in flight stays.
    pub(crate) fn reset(&self) {
        let now = Instant::now();
        self.predictor.reset(now);
        self.ceiling.reset();
        self.pressure.reset(self.since_born(now));
        if let Some(waiting) = self.waiting() {
            waiting.reset(now);
        }
        self.relax();
    }

    #[inline]
    pub(crate) fn settings(&self) -> Settings {
        Settings(self.settings.load(Ordering::Acquire))
    }

    pub(crate) fn value(&self) -> Shed {
        *self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names it, and says whether it had no name.
    pub(crate) fn set_name(self: &Arc<Self>, name: Name) -> bool {
        let _ = self.me.set(Arc::downgrade(self));
        self.name.set(name).is_ok()
    }

    pub(crate) fn name(&self) -> Option<&Name> {
        self.name.get()
    }

    pub(crate) fn watch_keys(&self) -> u64 {
        self.fairness.get_or_init(|| Box::new(Fairness::new()));
        self.dice.unit().to_bits()
    }

    pub(crate) fn set_classes(&self, classes: Classes) {
        let _ = self.classes.set(Box::new(classes));
    }

    pub(crate) fn has_classes(&self) -> bool {
        self.classes.get().is_some()
    }

    pub(crate) fn set_waiting(&self, waiting: Waiting) {
        let _ = self.waiting.set(Box::new(waiting));
    }

    /// The queue, if there is one.
    #[inline]
    pub(crate) fn waiting(&self) -> Option<&Waiting> {
        self.waiting.get().map(|waiting| &**waiting)
    }

    #[inline]
    pub(crate) fn since_born(&self, now: Instant) -> u64 {
        nanos(now.saturating_duration_since(self.born))
    }

    /// Notes that one found no place. From the first on, the layer sheds.
    pub(crate) fn press(&self, asked: &Asked, why: Why, now: Instant) {
        let at = self.since_born(now);
        if self.settings.fetch_or(Settings::PRESSED, Ordering::AcqRel) & Settings::PRESSED == 0 {
            self.pressure.begin(at);
            event::tell(self.name(), true, self.gate.in_flight(), why.text());
        }
        self.pressure.refuse(asked.rank, at);
    }

    /// Whether the level of a request was passed over so often that it is judged as the most important.
    pub(crate) fn is_lifted(&self, asked: &Asked) -> bool {
        self.pressure.is_lifted(asked.rank)
    }

    /// Notes that a request which was judged so has found its place.
    pub(crate) fn lifted(&self, asked: &Asked) {
        self.pressure.lifted(asked.rank);
    }

    fn relax(&self) {
        if self.settings.fetch_and(!Settings::PRESSED, Ordering::AcqRel) & Settings::PRESSED != 0 {
            event::tell(self.name(), false, self.gate.in_flight(), "");
        }
    }

    /// Whether the layer sheds, told without a request that comes.
    pub(crate) fn is_shedding(&self) -> bool {
        if self.settings().is_pressed() && self.pressure.is_over(self.since_born(Instant::now())) {
            self.relax();
        }
        self.settings().is_pressed()
    }

    /// Why requests are refused while the inner service is not ready. Where there is a queue, they wait.
    #[inline]
    pub(crate) fn pending(&self) -> Option<Denial> {
        let refuses = self.settings().mode() == Mode::Normal && self.waiting().is_none();
        refuses.then_some(Denial { why: Why::NotReady, class: 1 })
    }

    #[cold]
    pub(crate) fn refuse(&self, denial: Denial) -> Refused {
        self.counts.refused(denial);
        let least = self.retry_after.load(Ordering::Relaxed);
        let spread = (least as f64 * self.dice.unit()) as u64;
        Refused::new(denial.why.reason())
            .with_name(self.name.get().cloned())
            .with_retry_after_nanos(least.saturating_add(spread))
    }

    pub(crate) fn cpu(&self) -> Option<f64> {
        self.settings().has_cpu().then(|| self.cpu.known())
    }

    /// What would be admitted now at normal priority.
    pub(crate) fn limit(&self, predicted: usize) -> usize {
        let settings = self.settings();
        let rank = Rank::new(Priority::NORMAL.level(), false);
        match settings.limit() {
            Some(limit) if settings.is_pressed() => {
                limit.saturating_sub(self.pressure.kept_from(rank)) as usize
            }
            Some(limit) => limit as usize,
            None if settings.has_ceiling() => {
                predicted.min(usize::try_from(self.ceiling.get()).unwrap_or(usize::MAX))
            }
            None => predicted,
        }
    }
}
