//! Those who wait, behind a lock: how they join, and are given their turn.

mod place;

pub use self::place::Place;

use crate::asks::Wish;
use crate::backlog::Backlog;
use crate::denial::{Denial, Why};
use crate::line::{Joined, Key, Line};
use crate::permit::{Pass, Ticket};
use crate::settings::Settings;
use crate::shared::{Asked, Shared, Way};
use crate::sync::{Mutex, MutexGuard, PoisonError};
use bartizan_core::{Instant, Refusing, Times, Turn};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Waker;
use std::time::Duration;

/// The queue of a layer.
pub(crate) struct Waiting {
    value: Backlog,
    line: Mutex<Line<Waits>>,
    /// How long requests took lately, in nanoseconds.
    service: AtomicU64,
    /// How long those had waited who are gone.
    pub(crate) waited: Times,
}

/// One who waits, as the line knows it.
struct Waits {
    asked: Asked,
    deadline: Option<Instant>,
    turn: Arc<Mutex<Came>>,
}

/// What has come of one who waits.
enum Came {
    Nothing(Option<Waker>),
    Outcome(Result<Ticket, Denial>),
    Taken,
}

/// One whom a turn, or a refusal, was given: to be woken once no lock is held.
type Woken = Option<Waker>;

/// How much a request weighs against what was known of their times.
const SHARE: i64 = 8;

impl Waits {
    /// Gives it what has come of it.
    fn give(self, outcome: Result<Ticket, Denial>) -> Woken {
        let mut came = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *came, Came::Outcome(outcome)) {
            Came::Nothing(waker) => waker,
            Came::Outcome(_) | Came::Taken => None,
        }
    }

    /// Whether it cannot be done in time, should it begin now.
    fn is_late(&self, service: Duration, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline.saturating_duration_since(now) <= service)
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("value", &self.value).finish_non_exhaustive()
    }
}

impl Waiting {
    pub(crate) fn new(value: Backlog) -> Self {
        Self { value, line: Mutex::new(Line::new(value)), service: AtomicU64::new(0), waited: Times::new() }
    }

    fn line(&self) -> MutexGuard<'_, Line<Waits>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn len(&self) -> usize {
        self.line().len()
    }

    pub(crate) const fn places(&self) -> usize {
        self.value.places
    }

    /// For how long the one who waits longest has waited.
    pub(crate) fn age(&self, now: Instant) -> Duration {
        self.line().oldest(now).unwrap_or_default()
    }

    pub(crate) fn reset(&self, now: Instant) {
        self.line().reset(now);
        self.service.store(0, Relaxed);
    }

    /// Learns how long a request took, in nanoseconds.
    pub(crate) fn learn(&self, took: u64) {
        let known = self.service.load(Relaxed);
        let took = took.min(i64::MAX as u64);
        let moved = known as i64 + (took as i64 - known as i64) / SHARE;
        self.service.store(if known == 0 { took } else { moved as u64 }, Relaxed);
    }

    fn service(&self) -> Duration {
        Duration::from_nanos(self.service.load(Relaxed))
    }
}

impl Shared {
    /// Lets a request in, lets it wait, or says why not.
    pub(crate) fn queue(self: &Arc<Self>, wish: Wish, settings: Settings) -> Turn<Ticket, Place> {
        let Some(waiting) = self.waiting().filter(|_| !settings.is_disabled()) else {
            return match self.admit(wish, settings) {
                Ok(ticket) => Turn::Admitted(ticket),
                Err(denial) => Turn::Refused(denial.into()),
            };
        };
        let now = Instant::now();
        let asked = self.ask(wish, now);
        if settings.is_pressed() {
            self.arrive(&asked, settings, now);
        }
        if !self.gate.is_waiting() {
            match self.enter(&asked, settings, Way::Coming, now) {
                Ok(entry) => return Turn::Admitted(Ticket::new(self.clone(), entry)),
                Err(Why::Cpu) if !settings.is_shadow() => return self.refused_in_line(&asked, Why::Cpu, now),
                Err(_) => {}
            }
        }
        if settings.is_shadow() {
            let entry = self.admit_anyway(&asked, settings, now);
            return Turn::Admitted(Ticket::new(self.clone(), entry));
        }
        match self.join(waiting, asked, now) {
            Ok(place) => Turn::Waiting(place),
            Err(why) => self.refused_in_line(&asked, why, now),
        }
    }

    fn refused_in_line<W>(&self, asked: &Asked, why: Why, now: Instant) -> Turn<Ticket, W> {
        self.press(asked, why, now);
        Turn::Refused(Refusing::from(Denial { why, class: asked.class() }))
    }

    fn join(self: &Arc<Self>, waiting: &Waiting, mut asked: Asked, now: Instant) -> Result<Place, Why> {
        let deadline = asked.left.and_then(|left| now.checked_add(left));
        asked.lifted = self.settings().is_pressed() && self.is_lifted(&asked);
        let level = if asked.lifted { 0 } else { asked.wish.priority.level() };
        let turn = Arc::new(Mutex::new(Came::Nothing(None)));
        let waits = Waits { asked, deadline, turn: turn.clone() };
        let mut line = waiting.line();
        let wait = self.expected_wait(waiting, line.ahead_of(level, now));
        if waits.is_late(wait.saturating_add(waiting.service()), now) {
            return Err(Why::Late);
        }
        let (key, gone) = match line.join(level, waits, now) {
            Joined::At(key) => (key, None),
            Joined::Instead(key, gone) => (key, Some(gone)),
            Joined::Full(_) => return Err(Why::QueueFull),
        };
        // Who leaves from here on hears that somebody waits; who left before has left a place, which is looked for now.
        self.gate.set_waiting(true);
        drop(line);
        let end = now.checked_add(waiting.value.max_wait);
        let place = Place::new(self.clone(), key, turn, asked, now).until(end, deadline);
        if asked.lifted {
            // One is; those who come before it has its turn are not.
            self.lifted(&asked);
        }
        if let Some(gone) = gone {
            self.dismiss(vec![(gone, Why::QueueFull)], Vec::new(), now);
        }
        self.dispatch();
        Ok(place)
    }

    /// How long one waits before whom so many are served.
    fn expected_wait(&self, waiting: &Waiting, ahead: u64) -> Duration {
        let at_once = self.gate.in_flight().max(1) as f64;
        Duration::from_secs_f64(waiting.service().as_secs_f64() * ahead as f64 / at_once)
    }

    /// Refuses those who leave the line, wakes them and all others who are to be woken, and then tells of it: a subscriber of events that
    /// panics leaves nobody asleep.
    fn dismiss(&self, gone: Vec<(Waits, Why)>, mut woken: Vec<Waker>, now: Instant) {
        let told: Vec<_> = gone.iter().map(|(waits, why)| (waits.asked, *why)).collect();
        for (waits, why) in gone {
            let class = waits.asked.class();
            woken.extend(waits.give(Err(Denial { why, class })));
        }
        woken.into_iter().for_each(Waker::wake);
        told.iter().for_each(|(asked, why)| self.press(asked, *why, now));
    }

    /// Gives turns to those who wait, as long as there are places for them, and refuses those who waited in vain.
    pub(crate) fn dispatch(self: &Arc<Self>) {
        let Some(waiting) = self.waiting() else { return };
        let (settings, now, service) = (self.settings(), Instant::now(), waiting.service());
        let (mut woken, mut dismissed) = (Vec::new(), Vec::new());
        let mut line = waiting.line();
        while let Some(overdue) = line.overdue(now) {
            dismissed.push((overdue, Why::TooLong));
        }
        while let Some((key, why)) = self.next_turn(&line, service, settings, now) {
            let Some(waits) = line.leave(key) else { break };
            match why {
                Ok(entry) => woken.extend(waits.give(Ok(Ticket::new(self.clone(), entry)))),
                Err(why) => dismissed.push((waits, why)),
            }
        }
        if line.is_empty() {
            self.gate.set_waiting(false);
        }
        drop(line);
        self.dismiss(dismissed, woken, now);
    }

    /// Who has its turn now, with its place or with why it is refused; none if nobody who is next finds a place.
    fn next_turn(
        &self,
        line: &Line<Waits>,
        service: Duration,
        settings: Settings,
        now: Instant,
    ) -> Option<(Key, Result<Pass, Why>)> {
        let (key, waits) = line.next(now)?;
        let out = self.turn_of(waits, service, settings, now);
        match out {
            Err(None) if self.has_classes() => {}
            Err(None) => return None,
            Err(Some(why)) => return Some((key, Err(why))),
            Ok(entry) => return Some((key, Ok(entry))),
        }
        // A class that is next may be over its share while another is not.
        let mut tried = vec![waits.asked.wish.class];
        line.in_order(now).into_iter().find_map(|key| {
            let waits = line.get(key)?;
            let class = waits.asked.wish.class;
            if tried.contains(&class) {
                return None;
            }
            tried.push(class);
            self.turn_of(waits, service, settings, now).ok().map(|entry| (key, Ok(entry)))
        })
    }

    /// Looks for a place. `Err(None)` if there is none yet.
    fn turn_of(
        &self,
        waits: &Waits,
        service: Duration,
        settings: Settings,
        now: Instant,
    ) -> Result<Pass, Option<Why>> {
        if waits.is_late(service, now) {
            return Err(Some(Why::Late));
        }
        let mut asked = waits.asked;
        asked.left = waits.deadline.map(|deadline| deadline.saturating_duration_since(now));
        if settings.is_disabled() || settings.is_shadow() {
            return Ok(self.force(&asked, settings, now));
        }
        match self.enter(&asked, settings, Way::InTurn, now) {
            Ok(entry) => Ok(entry),
            // With nobody in flight, nobody would leave and give the next turn.
            Err(_) if self.is_idle() => Ok(self.force(&asked, settings, now)),
            Err(_) => Err(None),
        }
    }

    fn is_idle(&self) -> bool {
        self.gate.in_flight() == 0 && self.predictor.in_flight() == 0
    }
}
