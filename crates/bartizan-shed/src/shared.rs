//! What the clones of a layer share: the gate, what is known, and the settings.

use crate::Mode;
use crate::asks::Wish;
use crate::ceiling::Ceiling;
use crate::cpu::Cpu;
use crate::denial::{Denial, Why};
use crate::fairness::{Bucket, Fairness};
use crate::gate::{Class, Gate};
use crate::permit::{Entry, NEVER, Pass, Ticket};
use crate::predict::{self, Patience, Predictor};
use crate::pressure::{Outlook, Pressure, Rank, Standing};
use crate::settings::Settings;
use crate::shares::Classes;
use crate::shed::Shed;
use crate::waiting::Waiting;
use crate::{event, nanos};
use bartizan_core::{Context, Dice, Instant, Name, Priority, Refused};
use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// What every call writes stands first, beside the counts of the `Arc`; what every call reads, last, in another cache line.
#[repr(C)]
pub(crate) struct Shared {
    pub(crate) gate: Gate,
    refused: [AtomicU64; 3],
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

/// The share of the floor, below which nothing is predicted, that a class may use.
#[inline]
fn floor_of(class: Class) -> f64 {
    if class == 2 { 0.9 } else { 1.0 }
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
            refused: std::array::from_fn(|_| AtomicU64::new(0)),
            pressure: Pressure::new(),
            predictor: Box::new(Predictor::new(predicting(value), now)),
            ceiling: Ceiling::new(),
            cpu: Cpu::new(),
            fairness: OnceLock::new(),
            classes: OnceLock::new(),
            waiting: OnceLock::new(),
            dice: Dice::new(value.seed),
            name: OnceLock::new(),
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
            self.ceiling.set(factor, hold);
        }
        self.retry_after.store(nanos(value.retry_after), Ordering::Relaxed);
        let settings = |old| Some(Settings::of(value, Settings(old)).0);
        let _ = self.settings.fetch_update(Ordering::AcqRel, Ordering::Acquire, settings);
    }

    /// Takes over new settings. Who is in flight stays, and what was learnt.
    pub(crate) fn update(self: &Arc<Self>, value: &Shed) {
        let mut known = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        *known = *value;
        self.predictor.update(predicting(value));
        self.take_over(value);
        drop(known);
        self.dispatch();
    }

    /// Forgets what was learnt. Who is in flight stays.
    pub(crate) fn reset(&self) {
        self.predictor.reset(Instant::now());
        self.ceiling.reset();
        if let Some(waiting) = self.waiting() {
            waiting.reset(Instant::now());
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
    pub(crate) fn set_name(&self, name: Name) -> bool {
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

    pub(crate) fn refused(&self) -> [u64; 3] {
        std::array::from_fn(|class| self.refused[class].load(Ordering::Relaxed))
    }

    #[inline]
    pub(crate) fn since_born(&self, now: Instant) -> u64 {
        nanos(now.saturating_duration_since(self.born))
    }

    /// Lets a request in or says why not.
    ///
    /// What is beyond a fixed limit is out of line and returns words: the way of a good call then keeps to its registers.
    #[inline]
    pub(crate) fn admit(self: &Arc<Self>, wish: Wish, settings: Settings) -> Result<Ticket, Denial> {
        let is_plain = wish.key.is_none() && wish.class.is_none();
        let plain_limit = settings.plain_limit().filter(|_| is_plain);
        let entry = match plain_limit {
            Some(limit) if self.gate.enter(limit, class_of(wish.priority)) => {
                Entry { pass: Pass::new(wish.priority, settings.is_to_head()), entered: NEVER }
            }
            None if is_plain && settings.is_plainly_adaptive() => self.predict(wish.priority, settings)?,
            _ => self.decide(wish, settings)?,
        };
        Ok(Ticket::new(self.clone(), entry))
    }

    /// Lets a request in by the prediction alone.
    #[inline(never)]
    fn predict(&self, priority: Priority, settings: Settings) -> Result<Entry, Denial> {
        let now = Instant::now();
        let class = class_of(priority);
        let left = Context::current().and_then(|context| context.remaining(now));
        let patience = Patience { tolerance: self.tolerance(priority), left, floor: floor_of(class) };
        if self.predictor.enter(patience, now) {
            self.gate.enter_anyway(class);
            let pass = Pass::new(priority, settings.is_to_head()).predicted();
            return Ok(Entry { pass, entered: self.since_born(now) });
        }
        let wish = Wish { priority, key: None, class: None };
        self.turn_away(self.ask(wish, now), Why::Wait, settings, now)
    }

    #[inline(never)]
    fn decide(&self, wish: Wish, settings: Settings) -> Result<Entry, Denial> {
        if settings.is_disabled() {
            self.gate.enter_anyway(class_of(wish.priority));
            return Ok(Entry { pass: Pass::new(wish.priority, settings.is_to_head()), entered: NEVER });
        }
        let now = Instant::now();
        let asked = self.ask(wish, now);
        if settings.is_pressed() {
            self.arrive(&asked, settings, now);
        }
        match self.enter(&asked, settings, Way::Coming, now) {
            Ok(entry) => Ok(entry),
            Err(why) => self.turn_away(asked, why, settings, now),
        }
    }

    pub(crate) fn ask(&self, wish: Wish, now: Instant) -> Asked {
        let left = Context::current().and_then(|context| context.remaining(now));
        let fairness = wish.key.and_then(|key| Some((self.fairness.get()?, key)));
        let bucket = fairness.map(|(fairness, key)| fairness.bucket(key));
        let beyond = fairness
            .zip(bucket)
            .is_some_and(|((fairness, _), bucket)| fairness.is_beyond_share(bucket, self.gate.in_flight()));
        Asked { wish, bucket, rank: Rank::new(wish.priority.level(), beyond), left, lifted: false }
    }

    /// Sees who comes while the layer sheds.
    pub(crate) fn arrive(&self, asked: &Asked, settings: Settings, now: Instant) {
        let in_flight = self.gate.in_flight();
        let outlook = self.pressure.arrive(asked.rank, in_flight, settings.limit(), self.since_born(now));
        match outlook {
            None => {}
            Some(Outlook::Calm) => self.relax(),
            Some(Outlook::Shedding) => {
                if let Some(fairness) = self.fairness.get() {
                    fairness.stir();
                }
            }
        }
    }

    /// Takes a place, if there is one for such a request.
    pub(crate) fn enter(
        &self,
        asked: &Asked,
        settings: Settings,
        way: Way,
        now: Instant,
    ) -> Result<Entry, Why> {
        if settings.has_cpu() && self.cpu.refuses(asked.class(), self.since_born(now)) {
            return Err(Why::Cpu);
        }
        let why = match self.find_place(asked, settings, way, now) {
            Ok(()) => {
                if let Some((classes, class)) = self.classes.get().zip(asked.wish.class) {
                    classes.enter(class);
                }
                return Ok(self.entry(asked, settings, now));
            }
            Err(why) => why,
        };
        if let Some((classes, class)) = self.classes.get().zip(asked.wish.class) {
            let limit = settings.limit().unwrap_or_else(|| self.predictor.look(now).limit as u64);
            if !classes.enter_within(class, limit) {
                return Err(Why::Share);
            }
            self.take_place(asked, settings, now);
            return Ok(self.entry(asked, settings, now));
        }
        Err(why)
    }

    #[inline]
    fn find_place(&self, asked: &Asked, settings: Settings, way: Way, now: Instant) -> Result<(), Why> {
        let why = |why| if asked.rank.is_beyond_share() { Why::Share } else { why };
        let class = asked.class();
        // Where there is a queue, its order is that of priorities.
        let is_ranked = settings.is_pressed() && !asked.lifted && self.waiting().is_none();
        if let Some(limit) = settings.limit() {
            let kept = if is_ranked { self.pressure.kept_from(asked.rank) } else { 0 };
            let room = limit.saturating_sub(kept);
            let entered = match way {
                Way::Coming => self.gate.enter(room, class),
                Way::InTurn => self.gate.enter_in_turn(room, class),
            };
            return if entered { Ok(()) } else { Err(why(Why::Limit)) };
        }
        if settings.has_ceiling() && self.is_at_ceiling(now) {
            return Err(Why::Ceiling);
        }
        let standing = if is_ranked { self.pressure.standing(asked.rank) } else { Standing::At };
        if !self.predictor.enter(self.patience(asked, standing), now) {
            return Err(why(Why::Wait));
        }
        self.gate.enter_anyway(class);
        Ok(())
    }

    /// Takes a place whether there is one or not.
    fn take_place(&self, asked: &Asked, settings: Settings, now: Instant) {
        if settings.limit().is_none() {
            self.predictor.enter_anyway(now);
        }
        self.gate.enter_anyway(asked.class());
    }

    /// What one has taken who has a place, its bucket too.
    fn entry(&self, asked: &Asked, settings: Settings, now: Instant) -> Entry {
        let mut pass = Pass::new(asked.wish.priority, settings.is_to_head());
        if settings.limit().is_none() {
            pass = pass.predicted();
        }
        if let Some(class) = asked.wish.class.filter(|_| self.classes.get().is_some()) {
            pass = pass.of_class(class);
        }
        if let Some((fairness, bucket)) = self.fairness.get().zip(asked.bucket) {
            fairness.enter(bucket);
            pass = pass.in_bucket(bucket);
        }
        Entry { pass, entered: self.since_born(now) }
    }

    /// How long a request may be predicted to wait. The threshold of priorities moves it: what stands above may wait longer than is
    /// said for its level, what stands below less.
    fn patience(&self, asked: &Asked, standing: Standing) -> Patience {
        let most = self.tolerance(Priority::CRITICAL);
        let own = self.tolerance(asked.wish.priority);
        let own_floor = floor_of(asked.class());
        let (tolerance, floor) = match standing {
            _ if asked.lifted => (most, 1.0),
            Standing::Above => (own + (most - own) / 2.0, 1.0),
            Standing::At => (own, own_floor),
            Standing::Below => (own * 0.6, own_floor * 0.9),
        };
        Patience { tolerance, left: asked.left, floor }
    }

    #[inline]
    fn tolerance(&self, priority: Priority) -> f64 {
        let bits = self.tolerances[usize::from(priority.level())].load(Ordering::Relaxed);
        f64::from(f32::from_bits(bits))
    }

    fn is_at_ceiling(&self, now: Instant) -> bool {
        let in_flight = self.gate.in_flight();
        // With the one who comes, unless it is turned away.
        let most = (in_flight + 1).min(self.ceiling.get());
        in_flight >= self.ceiling.look(most, self.since_born(now))
    }

    /// Refuses a request, unless its level was passed over too often, or nothing is refused.
    #[cold]
    fn turn_away(
        &self,
        mut asked: Asked,
        why: Why,
        settings: Settings,
        now: Instant,
    ) -> Result<Entry, Denial> {
        if settings.is_pressed() && why != Why::Cpu && self.is_lifted(&asked) {
            asked.lifted = true;
            if let Ok(entry) = self.enter(&asked, settings, Way::Coming, now) {
                self.lifted(&asked);
                return Ok(entry);
            }
        }
        self.press(&asked, why, now);
        if settings.is_shadow() {
            return Ok(self.admit_anyway(&asked, settings, now));
        }
        Err(Denial { why, class: asked.class() })
    }

    /// Admits one that would be refused, and counts it as such.
    pub(crate) fn admit_anyway(&self, asked: &Asked, settings: Settings, now: Instant) -> Entry {
        self.refused[asked.class()].fetch_add(1, Ordering::Relaxed);
        self.force(asked, settings, now)
    }

    /// Admits a request whether there is a place or not.
    pub(crate) fn force(&self, asked: &Asked, settings: Settings, now: Instant) -> Entry {
        self.take_place(asked, settings, now);
        if let Some((classes, class)) = self.classes.get().zip(asked.wish.class) {
            classes.enter(class);
        }
        self.entry(asked, settings, now)
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
        self.refused[denial.class].fetch_add(1, Ordering::Relaxed);
        let least = self.retry_after.load(Ordering::Relaxed);
        let spread = (least as f64 * self.dice.unit()) as u64;
        Refused::new(denial.why.reason())
            .with_name(self.name.get().cloned())
            .with_retry_after_nanos(least.saturating_add(spread))
    }

    /// Gives back what a request has taken.
    #[inline]
    pub(crate) fn leave(self: &Arc<Self>, Entry { pass, entered }: Entry) {
        if entered != NEVER {
            self.learn(pass, entered);
        }
        if !pass.is_single() {
            self.leave_groups(pass);
        }
        if self.gate.leave() {
            self.dispatch();
        }
    }

    #[inline(never)]
    fn learn(&self, pass: Pass, entered: u64) {
        let waiting = self.waiting();
        if !pass.is_predicted() && waiting.is_none() {
            return;
        }
        let now = self.since_born(Instant::now());
        let took = now.saturating_sub(entered);
        if pass.is_predicted() {
            self.predictor.leave_after(took, now, pass.end());
        }
        if let Some(waiting) = waiting.filter(|_| pass.end() == predict::Leave::Good) {
            waiting.learn(took);
        }
    }

    #[cold]
    fn leave_groups(&self, pass: Pass) {
        if let Some((classes, class)) = self.classes.get().zip(pass.class()) {
            classes.leave(class);
        }
        if let Some((fairness, bucket)) = self.fairness.get().zip(pass.bucket()) {
            fairness.leave(bucket);
        }
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
