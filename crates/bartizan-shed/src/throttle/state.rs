//! What a throttle knows, and what it does with it: atomics, no lock on the way of a request.

use super::class::Class;
use super::event;
use super::rule::Rule;
use super::value::Throttle;
use super::window::{Counts, TENTHS, Window};
use super::word::Word;
use crate::sync::{AtomicU64, Mutex, MutexGuard, Ordering, PoisonError};
use crate::{Mode, nanos};
use bartizan_core::{Dice, Instant, Invalid, Name, Verdict};
use std::fmt;
use std::sync::OnceLock;

/// What a throttle does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Lets everything through.
    Passing,
    /// Refuses some.
    Throttling,
    /// Lets everything through and counts nothing.
    Disabled,
}

impl State {
    /// The state in one word, as events and metrics name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Throttling => "throttling",
            Self::Disabled => "disabled",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What every request reads stands first; what it writes, its window, apart from that.
#[repr(C)]
pub(super) struct Shared {
    word: AtomicU64,
    /// The share of each class that is refused, as it was weighed last.
    rejections: [AtomicU64; Class::ALL.len()],
    /// A tenth of the window, in nanoseconds.
    tenth: AtomicU64,
    born: Instant,
    rule: Rule,
    name: OnceLock<Name>,
    windows: [Window; Class::ALL.len()],
    dice: Dice,
    /// Requests refused here.
    pub(super) refused: AtomicU64,
    /// Those that would have been, had it not been in shadow mode.
    pub(super) shadowed: AtomicU64,
    /// Requests refused by the server.
    pub(super) throttled: AtomicU64,
    /// The tenth in which a request was refused here last.
    last: AtomicU64,
    /// Turns between passing and throttling so far: odd while it throttles.
    turns: AtomicU64,
    /// What it is set to. Held while somebody steers.
    value: Mutex<Throttle>,
}

/// The word under which a request was admitted, and its class.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass {
    word: Word,
    class: Class,
}

impl Shared {
    pub(super) fn new(value: &Throttle) -> Self {
        Self {
            word: AtomicU64::new(Word::new(value).0),
            rejections: Class::ALL.map(|_| AtomicU64::new(0)),
            tenth: AtomicU64::new(tenth_of(value)),
            born: Instant::now(),
            rule: Rule::new(value),
            name: OnceLock::new(),
            windows: Class::ALL.map(|_| Window::new()),
            dice: Dice::new(value.seed),
            refused: AtomicU64::new(0),
            shadowed: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
            last: AtomicU64::new(0),
            turns: AtomicU64::new(0),
            value: Mutex::new(*value),
        }
    }

    /// Names the throttle, and says whether it had no name before.
    pub(super) fn set_name(&self, name: Name) -> bool {
        self.name.set(name).is_ok()
    }

    pub(super) fn name(&self) -> Option<&Name> {
        self.name.get()
    }

    pub(super) fn mode(&self) -> Mode {
        self.word().mode()
    }

    /// Lets a request pass, or does not.
    #[inline]
    pub(super) fn admit(&self, class: Class) -> Option<Pass> {
        let pass = Pass { word: self.word(), class };
        if self.is_calm(class) || self.lets_pass(pass) { Some(pass) } else { None }
    }

    /// Throws the dice for a request of a class of which some are refused.
    #[cold]
    fn lets_pass(&self, Pass { word, class }: Pass) -> bool {
        if word.mode() == Mode::Disabled {
            return true;
        }
        let tenth = self.now();
        let share = self.weigh(class, tenth);
        if !self.dice.hits(share) {
            return true;
        }
        let shadow = word.mode() == Mode::Shadow;
        let counter = if shadow { &self.shadowed } else { &self.refused };
        counter.fetch_add(1, Ordering::Relaxed);
        self.last.fetch_max(tenth, Ordering::Relaxed);
        // In shadow the request counts by what becomes of it.
        if word.counts_rejections() && !shadow {
            self.windows[class as usize].count(tenth, false);
        }
        self.turn(State::Throttling, Some((class, share)));
        shadow
    }

    /// Counts a request that has ended.
    #[inline]
    pub(super) fn record(&self, pass: Pass, verdict: Verdict) {
        let word = self.word();
        let accepted = match verdict {
            Verdict::Success => true,
            Verdict::Failure => !word.counts_failures(),
            Verdict::Throttled(_) => false,
            _ => return,
        };
        // What was admitted before a reset, or while nothing was counted, counts nowhere.
        let disabled = |word: Word| word.mode() == Mode::Disabled;
        if !word.is_of_generation(pass.word) || disabled(pass.word) || disabled(word) {
            return;
        }
        let tenth = self.now();
        let first = self.windows[pass.class as usize].count(tenth, accepted);
        if first || !accepted || !self.is_calm(pass.class) {
            self.heard(pass.class, tenth, accepted);
        }
    }

    #[cold]
    fn heard(&self, class: Class, tenth: u64, accepted: bool) {
        if !accepted {
            self.throttled.fetch_add(1, Ordering::Relaxed);
        }
        self.weigh(class, tenth);
        self.settle(tenth);
    }

    /// Nothing of this class is refused, as far as is known.
    #[inline]
    fn is_calm(&self, class: Class) -> bool {
        self.rejections[class as usize].load(Ordering::Relaxed) == 0
    }

    /// Finds the share of a class that is to be refused.
    ///
    /// Of two threads that weigh at once the earlier may be the one that is remembered; the next refusal puts that right.
    fn weigh(&self, class: Class, tenth: u64) -> f64 {
        let share = self.rule.rejection(self.windows[class as usize].counts(tenth));
        self.rejections[class as usize].store(share.to_bits(), Ordering::Relaxed);
        share
    }

    /// Stops throttling when nothing is refused any more, and nothing was in this tenth: a share that comes and goes is one state.
    fn settle(&self, tenth: u64) {
        if self.is_throttling()
            && tenth > self.last.load(Ordering::Relaxed)
            && Class::ALL.into_iter().all(|class| self.weigh(class, tenth) <= 0.0)
        {
            self.turn(State::Passing, None);
        }
    }

    fn is_throttling(&self) -> bool {
        self.turns.load(Ordering::Relaxed) % 2 == 1
    }

    /// Begins or stops throttling, and tells of it, unless that is so already.
    fn turn(&self, to: State, cause: Option<(Class, f64)>) {
        let turns = self.turns.load(Ordering::Relaxed);
        let is = if turns % 2 == 1 { State::Throttling } else { State::Passing };
        let turned = || self.turns.compare_exchange(turns, turns + 1, Ordering::Relaxed, Ordering::Relaxed);
        if is != to && turned().is_ok() {
            event::tell(self.name(), is, to, cause, turns + 1);
        }
    }

    pub(super) fn state(&self) -> State {
        self.settle(self.now());
        self.seen()
    }

    fn seen(&self) -> State {
        match self.is_throttling() {
            _ if self.mode() == Mode::Disabled => State::Disabled,
            true => State::Throttling,
            false => State::Passing,
        }
    }

    /// What the window of a class holds, and the share of it that is refused now.
    pub(super) fn look(&self, class: Class) -> (Counts, f64) {
        let tenth = self.now();
        let share = self.weigh(class, tenth);
        (self.windows[class as usize].counts(tenth), share)
    }

    /// Takes over the settings that are made of those there are, but for the seed, or none. The window stays, unless its length is another.
    pub(super) fn change(
        &self,
        make: impl FnOnce(Throttle) -> Result<Throttle, Invalid>,
    ) -> Result<(), Invalid> {
        let mut settings = self.steer();
        let new = Throttle { seed: settings.seed, ..make(*settings)? };
        let old = std::mem::replace(&mut *settings, new);
        self.rule.update(&new);
        let tenth = tenth_of(&new);
        if self.tenth.swap(tenth, Ordering::Relaxed) != tenth {
            self.forget();
        }
        self.word.store(Word::new(&new).of_generation(self.word()).0, Ordering::Relaxed);
        let now = self.now();
        for class in Class::ALL {
            self.weigh(class, now);
        }
        drop(settings);
        event::tell_settings(self.name(), &old, &new);
        Ok(())
    }

    /// Forgets everything that was seen. What was admitted before counts nowhere.
    pub(super) fn reset(&self) {
        let steering = self.steer();
        self.word.store(self.word().next_generation().0, Ordering::Relaxed);
        self.forget();
        drop(steering);
        // Who hears of it may steer.
        self.turn(State::Passing, None);
    }

    fn forget(&self) {
        self.windows.iter().for_each(Window::clear);
        self.rejections.iter().for_each(|share| share.store(0, Ordering::Relaxed));
        self.last.store(0, Ordering::Relaxed);
    }

    pub(super) fn value(&self) -> Throttle {
        *self.steer()
    }

    fn steer(&self) -> MutexGuard<'_, Throttle> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    fn word(&self) -> Word {
        Word(self.word.load(Ordering::Relaxed))
    }

    /// The number of the tenth that it is now.
    #[inline]
    fn now(&self) -> u64 {
        // The first is number one, as no tenth at all is number zero.
        1 + nanos(Instant::now().saturating_duration_since(self.born)) / self.tenth.load(Ordering::Relaxed)
    }
}

fn tenth_of(value: &Throttle) -> u64 {
    nanos(value.window).div_ceil(TENTHS)
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttle")
            .field("name", &self.name())
            .field("state", &self.seen())
            .finish_non_exhaustive()
    }
}
