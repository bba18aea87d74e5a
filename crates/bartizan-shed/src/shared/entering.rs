//! How a request gets its place, or hears why not.

use super::{Asked, Shared, Way, class_of};
use crate::asks::Wish;
use crate::denial::{Denial, Why};
use crate::gate::Class;
use crate::permit::{Pass, Ticket};
use crate::predict::Patience;
use crate::pressure::{Outlook, Rank, Standing};
use crate::settings::Settings;
use bartizan_core::{Context, Instant, Priority};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The share of the floor, below which nothing is predicted, that a class may use.
#[inline]
fn floor_of(class: Class) -> f64 {
    if class == 2 { 0.9 } else { 1.0 }
}

impl Shared {
    /// Lets a request in or says why not.
    ///
    /// What is beyond a fixed limit is out of line and returns words: the way of a good call then keeps to its registers.
    #[inline]
    pub(crate) fn admit(self: &Arc<Self>, wish: Wish, settings: Settings) -> Result<Ticket, Denial> {
        let is_plain = wish.key.is_none() && wish.class.is_none();
        let plain_limit = settings.plain_limit().filter(|_| is_plain);
        let entry = match plain_limit {
            Some(limit) if self.gate.enter(limit, class_of(wish.priority)) => {
                Pass::new(settings.is_to_head())
            }
            None if is_plain && settings.is_plainly_adaptive() => self.predict(wish.priority, settings)?,
            _ => self.decide(wish, settings)?,
        };
        Ok(Ticket::new(self.clone(), entry))
    }

    /// Lets a request in by the prediction alone.
    #[inline(never)]
    fn predict(&self, priority: Priority, settings: Settings) -> Result<Pass, Denial> {
        let now = Instant::now();
        let class = class_of(priority);
        let left = Context::current().and_then(|context| context.remaining(now));
        let patience = Patience { tolerance: self.tolerance(priority), left, floor: floor_of(class) };
        if self.predictor.enter(patience, now) {
            self.gate.enter_anyway(class);
            let pass = Pass::new(settings.is_to_head()).predicted();
            return Ok(pass.entered_at(self.since_born(now)));
        }
        let wish = Wish { priority, key: None, class: None };
        self.turn_away(self.ask(wish, now), Why::Wait, settings, now)
    }

    #[inline(never)]
    fn decide(&self, wish: Wish, settings: Settings) -> Result<Pass, Denial> {
        if settings.is_disabled() {
            self.gate.enter_anyway(class_of(wish.priority));
            return Ok(Pass::new(settings.is_to_head()));
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
    ) -> Result<Pass, Why> {
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
            let limit = settings.limit().unwrap_or_else(|| self.predictor.look().limit as u64);
            if !classes.enter_within(class, limit) {
                return Err(Why::Share);
            }
            self.take_place(asked, settings);
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
    fn take_place(&self, asked: &Asked, settings: Settings) {
        if settings.limit().is_none() {
            self.predictor.enter_anyway();
        }
        self.gate.enter_anyway(asked.class());
    }

    /// What one has taken who has a place, its bucket too.
    fn entry(&self, asked: &Asked, settings: Settings, now: Instant) -> Pass {
        let mut pass = Pass::new(settings.is_to_head());
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
        pass.entered_at(self.since_born(now))
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
    ) -> Result<Pass, Denial> {
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

    /// Admits one that would be refused but for the shadow, and counts it as such.
    pub(crate) fn admit_anyway(&self, asked: &Asked, settings: Settings, now: Instant) -> Pass {
        self.counts.shadowed(asked.class());
        self.force(asked, settings, now)
    }

    /// Admits a request whether there is a place or not.
    pub(crate) fn force(&self, asked: &Asked, settings: Settings, now: Instant) -> Pass {
        self.take_place(asked, settings);
        if let Some((classes, class)) = self.classes.get().zip(asked.wish.class) {
            classes.enter(class);
        }
        self.entry(asked, settings, now)
    }
}
