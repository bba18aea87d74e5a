//! One circuit: the machine behind its lock, the word and the counters beside it.

use crate::breaker::{Breaker, Mode};
use crate::denial::Denial;
use crate::handle::ImpossibleChange;
use crate::machine::{Admission, Machine, Outcome};
use crate::permit::Pass;
use crate::state::{Change, State};
use crate::sync::{AtomicU64, Mutex, MutexGuard, Ordering, PoisonError};
use crate::tally::{Tallied, Tally};
use crate::totals::Totals;
use crate::word::Word;
use crate::{event, nanos};
use bartizan_core::{Instant, Invalid, Name, Verdict};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// What every call writes stands first, beside the counts of the `Arc`; what every call reads, last, in another cache line.
#[repr(C)]
pub(crate) struct Circuit {
    successes: AtomicU64,
    tally: OnceLock<Box<Tally>>,
    label: OnceLock<Box<Label>>,
    machine: Mutex<Machine>,
    born: Instant,
    slow_after: AtomicU64,
    /// Until when a refusing word refuses, or the last that did. Written before the word.
    until: AtomicU64,
    word: AtomicU64,
}

/// What the user calls it.
#[derive(Debug, Default)]
pub(crate) struct Label {
    pub(crate) name: Option<Name>,
    /// Which it is of those that share the name.
    pub(crate) number: Option<usize>,
}

impl fmt::Debug for Circuit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Circuit")
            .field("name", &self.name())
            .field("word", &self.word())
            .finish_non_exhaustive()
    }
}

/// No time at all, and for a slow threshold: never.
pub(crate) const NEVER: u64 = u64::MAX;

impl Circuit {
    pub(crate) fn new(value: &Arc<Breaker>, label: Option<Label>) -> Self {
        let machine = Machine::new(value);
        Self {
            word: AtomicU64::new(Word::of(&machine).0),
            until: AtomicU64::new(machine.refusing_until().unwrap_or(NEVER)),
            successes: AtomicU64::new(0),
            tally: OnceLock::new(),
            slow_after: AtomicU64::new(value.slow_after.map_or(NEVER, nanos)),
            born: Instant::now(),
            machine: Mutex::new(machine),
            label: label.map_or_else(OnceLock::new, |label| OnceLock::from(Box::new(label))),
        }
    }

    /// Names the circuit; the first name stays.
    pub(crate) fn set_label(&self, label: Label) {
        let _ = self.label.set(Box::new(label));
    }

    pub(crate) fn label(&self) -> Option<&Label> {
        self.label.get().map(|label| &**label)
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.label()?.name.as_ref().map(Name::as_str)
    }

    pub(crate) fn now(&self) -> u64 {
        nanos(Instant::now().saturating_duration_since(self.born))
    }

    #[inline]
    pub(crate) fn word(&self) -> Word {
        Word(self.word.load(Ordering::Acquire))
    }

    /// Says why everything is refused now, as far as that can be told without the machine.
    #[inline]
    pub(crate) fn refusing(&self) -> Option<Denial> {
        let word = self.word();
        if word.is_free() {
            return None;
        }
        if word.is_forced() {
            return Some(Denial::FORCED);
        }
        self.refusing_in(word)
    }

    #[inline]
    fn refusing_in(&self, word: Word) -> Option<Denial> {
        if word.is_shadow() || !word.is_refusing() {
            return None;
        }
        let left = self.until.load(Ordering::Acquire).saturating_sub(self.now());
        let denial = match word.cause() {
            Some(cause) if word.is_open() => Denial::open(cause, left),
            _ => Denial::PROBING,
        };
        (left > 0).then_some(denial)
    }

    /// Counts a refusal, unless the circuit is forced open.
    #[inline]
    pub(crate) fn count_refusal(&self, denial: Denial) {
        self.tally().refused(denial);
    }

    #[inline]
    fn tally(&self) -> &Tally {
        self.tally.get_or_init(Box::default)
    }

    /// What was counted in bad times.
    pub(crate) fn tallied(&self) -> Tallied {
        self.tally.get().map(|tally| tally.read()).unwrap_or_default()
    }

    /// Lets a request pass or says why not.
    #[inline]
    pub(crate) fn admit(&self) -> Result<Pass, Denial> {
        let word = self.word();
        if word.is_free() { Ok(Pass::of(word)) } else { self.decide_in(word) }
    }

    #[cold]
    fn decide_in(&self, word: Word) -> Result<Pass, Denial> {
        if word.is_disabled() {
            return Ok(Pass::UNCOUNTED);
        }
        if word.is_forced() {
            return Err(Denial::FORCED);
        }
        if let Some(denial) = self.refusing_in(word) {
            return Err(denial);
        }
        let now = self.now();
        let (admission, word) = self.decide(now);
        let denial = match admission {
            Admission::Admitted => return Ok(Pass::of(word)),
            Admission::Probe(probe) => return Ok(Pass::of(word).of_probe(probe)),
            Admission::Disabled => return Ok(Pass::UNCOUNTED),
            Admission::ForcedOpen => Denial::FORCED,
            Admission::Open(cause, until) => Denial::open(cause, until.saturating_sub(now)),
            Admission::Probing => Denial::PROBING,
            Admission::Recovering => Denial::RECOVERING,
        };
        if word.is_shadow() {
            self.tally().shadowed();
            return Ok(Pass::UNCOUNTED);
        }
        Err(denial)
    }

    /// Brings the machine up to `now` and asks it.
    pub(crate) fn decide(&self, now: u64) -> (Admission, Word) {
        let mut machine = self.lock();
        let settled = machine.settle(now);
        let admission = machine.admit(now);
        if let Admission::Probe(_) = admission {
            self.tally().probe();
        }
        let word = self.publish(&machine);
        self.count(settled);
        drop(machine);
        self.tell(settled);
        (admission, word)
    }

    /// Counts a good call that changes nothing else, or says that it may.
    #[inline]
    pub(crate) fn counts_quietly(&self, generation: u64) -> bool {
        let quiet = self.word().is_quiet_in(generation);
        if quiet {
            self.successes.fetch_add(1, Ordering::Relaxed);
        }
        quiet
    }

    /// Shows a call that has ended to the machine.
    pub(crate) fn record(&self, mut outcome: Outcome, now: u64) {
        let mut machine = self.lock();
        if machine.hears(&outcome) {
            if outcome.verdict == Verdict::Success {
                self.successes.fetch_add(1, Ordering::Relaxed);
            }
            if outcome.is_bad_probe() {
                self.tally().probe_failed();
            }
        }
        outcome.successes = self.successes.load(Ordering::Relaxed);
        let change = machine.record(outcome, now);
        self.publish(&machine);
        self.count(change);
        drop(machine);
        self.tell(change);
    }

    #[cold]
    pub(crate) fn answered(&self, generation: u64, probe: u16) {
        self.lock().answered(generation, probe);
    }

    #[cold]
    pub(crate) fn abandon(&self, generation: u64, probe: u16) {
        let mut machine = self.lock();
        machine.abandon(generation, probe);
        self.publish(&machine);
    }

    /// Whether a call that began then and is answered now is slow.
    pub(crate) fn is_slow(&self, started: u64) -> bool {
        self.now().saturating_sub(started) >= self.slow_after.load(Ordering::Relaxed)
    }

    pub(crate) fn state(&self) -> State {
        self.change(|machine, _| (machine.state(), None))
    }

    /// Has the machine take over new settings. Called under its lock, so that of two the later holds in all of it.
    pub(crate) fn take_over(&self, machine: &mut Machine, value: &Arc<Breaker>, now: u64) {
        self.slow_after.store(value.slow_after.map_or(NEVER, nanos), Ordering::Relaxed);
        machine.update(value, now);
    }

    /// What it is made of, with the mode that it is in.
    pub(crate) fn value(&self) -> Breaker {
        self.change(|machine, _| (machine.in_force(), None))
    }

    /// Takes over the settings that are made of its [value](Self::value), or none, and tells of them.
    pub(crate) fn change_value(
        &self,
        make: impl FnOnce(Breaker) -> Result<Breaker, Invalid>,
    ) -> Result<(), Invalid> {
        let changed = self.change(|machine, now| {
            let old = machine.in_force();
            let changed = make(old).inspect(|new| self.take_over(machine, &new.shared(), now));
            (changed.map(|new| (old, new)), None)
        });
        changed.map(|(old, new)| event::tell_settings(self.label(), &old, &new))
    }

    /// Sets the mode, and tells of it.
    pub(crate) fn steer(&self, mode: Mode) {
        if self.change(|machine, _| machine.steer(mode)) {
            event::tell_mode(self.label(), mode);
        }
    }

    pub(crate) fn half_open(&self) -> Result<(), ImpossibleChange> {
        self.change(|machine, _| match machine.half_open() {
            Ok(change) => (Ok(()), change),
            Err(impossible) => (Err(impossible), None),
        })
    }

    pub(crate) fn reset(&self) {
        self.change(|machine, _| ((), machine.reset()));
    }

    /// Settles the machine, changes it, and tells what has changed once the lock is free.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Machine, u64) -> (T, Option<Change>)) -> T {
        self.change_at(self.now(), change)
    }

    pub(crate) fn change_at<T>(
        &self,
        now: u64,
        change: impl FnOnce(&mut Machine, u64) -> (T, Option<Change>),
    ) -> T {
        let (out, changes) = self.change_untold(now, change);
        self.tell_all(changes);
        out
    }

    /// As [`change_at`](Self::change_at), for who still holds a lock: what has changed is [told](Self::tell_all) later.
    pub(crate) fn change_untold<T>(
        &self,
        now: u64,
        change: impl FnOnce(&mut Machine, u64) -> (T, Option<Change>),
    ) -> (T, [Option<Change>; 2]) {
        let mut machine = self.lock();
        let settled = machine.settle(now);
        self.count(settled);
        let (out, changed) = change(&mut machine, now);
        self.publish(&machine);
        (out, [settled, changed])
    }

    pub(crate) fn tell_all(&self, changes: [Option<Change>; 2]) {
        changes.into_iter().for_each(|change| self.tell(change));
    }

    #[cfg(all(test, bartizan_loom))]
    pub(crate) fn until(&self) -> u64 {
        self.until.load(Ordering::Acquire)
    }

    pub(crate) fn successes(&self) -> u64 {
        self.successes.load(Ordering::Relaxed)
    }

    /// Everything that was counted so far, told without a change of state.
    pub(crate) fn totals(&self) -> Totals {
        let machine = self.lock();
        let calls = [self.successes(), machine.failures, machine.throttled, machine.slow];
        Totals { calls, tallied: self.tallied() }
    }

    /// Counts what the circuit did by itself. Called under the lock, so that a snapshot does not see the one without the other.
    fn count(&self, change: Option<Change>) {
        change.iter().for_each(|change| self.tally().changed(change));
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, machine: &Machine) -> Word {
        let word = Word::of(machine);
        // Whoever still has the former word may read this beside it: so where the new one refuses nobody, the former end stays.
        if let Some(until) = machine.refusing_until() {
            self.until.store(until, Ordering::Release);
        }
        self.word.store(word.0, Ordering::Release);
        word
    }

    fn tell(&self, change: Option<Change>) {
        if let Some(change) = change {
            event::tell(self.label(), change);
        }
    }
}

#[cfg(all(test, not(bartizan_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_circuit_fits_into_256_bytes() {
        let counts_of_arc = 2 * size_of::<usize>();
        let size = size_of::<Circuit>() + counts_of_arc;
        println!("{size} {}", size_of::<Machine>());
        assert!(size <= 256, "{size}");
    }
}
