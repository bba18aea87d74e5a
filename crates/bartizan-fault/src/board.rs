use crate::blow::{Asked, Blow};
use crate::counts::Counts;
use crate::events;
use crate::{Fault, Faults};
use bartizan_core::Dice;
use bartizan_core::registry::{Observed, UNKNOWN_VERB, register};
use bartizan_core::{Instant, Invalid, Name};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Names one fault of a layer, from its injection on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FaultId(u64);

/// The state that a layer, its services and its handles share.
#[derive(Debug)]
pub(crate) struct Board {
    enabled: bool,
    /// Whether there may be a fault. All that a good call reads.
    armed: AtomicBool,
    list: Mutex<List>,
    dice: Dice,
    pub(crate) counts: Counts,
    name: OnceLock<Name>,
}

#[derive(Debug, Default)]
struct List {
    entries: Vec<Entry>,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    id: FaultId,
    fault: Fault,
    since: Instant,
}

impl List {
    fn add(&mut self, fault: Fault, since: Instant) -> FaultId {
        let id = FaultId(self.next);
        self.next += 1;
        self.entries.push(Entry { id, fault, since });
        id
    }

    /// Drops the faults whose time is over.
    fn forget(&mut self, now: Instant) {
        self.entries.retain(|entry| !entry.fault.is_over(entry.since, now));
    }
}

impl Board {
    pub(crate) fn new(faults: Faults) -> Self {
        let board = Self {
            enabled: faults.enabled,
            armed: AtomicBool::new(false),
            list: Mutex::default(),
            dice: Dice::new(Some(faults.seed)),
            counts: Counts::default(),
            name: OnceLock::new(),
        };
        board.replace(faults.faults, faults.seed);
        board
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled
    }

    pub(crate) fn name(&self) -> Option<&Name> {
        self.name.get()
    }

    /// Names the state and registers it; the first name stays.
    pub(crate) fn set_name(self: &Arc<Self>, name: Name) {
        if self.name.set(name).is_ok() {
            let observed: Arc<dyn Observed> = self.clone();
            if !register(&observed) {
                events::twin(observed.name());
            }
        }
    }

    /// What is to be done to a call, or nothing.
    #[inline]
    pub(crate) fn strike<'a>(&self, asked: impl FnOnce(bool) -> Asked<'a>) -> Option<Blow> {
        if !self.armed.load(Ordering::Acquire) {
            return None;
        }
        self.strike_armed(asked)
    }

    #[cold]
    fn strike_armed<'a>(&self, asked: impl FnOnce(bool) -> Asked<'a>) -> Option<Blow> {
        let keyed = self.list().entries.iter().any(|entry| entry.fault.key.is_some());
        // The user's function runs outside of the lock.
        let asked = asked(keyed);
        let mut blow = Blow::default();
        self.change(|list, now| {
            list.forget(now);
            for Entry { fault, since, .. } in &list.entries {
                if fault.hits(*since, now, &asked, &self.dice) {
                    blow.add(fault.harm);
                }
            }
        });
        if asked.headers.is_none() {
            // The typed flavour knows no bodies.
            blow.body = None;
        }
        let struck = blow != Blow::default();
        if struck {
            self.counts.count(&blow);
        }
        struck.then_some(blow)
    }

    pub(crate) fn inject(&self, fault: Fault) -> Option<FaultId> {
        self.enabled.then(|| {
            let harm = fault.harm;
            let id = self.change(|list, now| list.add(fault, now));
            events::injected(self.name().map(Name::as_str), &harm);
            id
        })
    }

    pub(crate) fn lift(&self, id: FaultId) -> bool {
        self.change(|list, _| {
            let before = list.entries.len();
            list.entries.retain(|entry| entry.id != id);
            list.entries.len() < before
        })
    }

    pub(crate) fn clear(&self) {
        self.change(|list, _| list.entries.clear());
    }

    /// Puts other faults in the place of all that there are, and begins the dice anew.
    pub(crate) fn replace(&self, faults: Vec<Fault>, seed: u64) {
        self.change(|list, now| {
            list.entries.clear();
            for fault in faults {
                list.add(fault, now);
            }
            self.dice.reseed(seed);
        });
    }

    /// The faults whose time is not over.
    pub(crate) fn faults(&self) -> Vec<(FaultId, Fault)> {
        self.change(|list, now| {
            list.forget(now);
            list.entries.iter().map(|entry| (entry.id, entry.fault.clone())).collect()
        })
    }

    /// How many faults there are whose time is not over.
    pub(crate) fn alive(&self) -> usize {
        self.change(|list, now| {
            list.forget(now);
            list.entries.len()
        })
    }

    fn change<R>(&self, change: impl FnOnce(&mut List, Instant) -> R) -> R {
        let mut list = self.list();
        let result = change(&mut list, Instant::now());
        // Within the lock, so that the flag is that of the list which was changed last.
        let armed = self.enabled && !list.entries.is_empty();
        let was_armed = self.armed.swap(armed, Ordering::AcqRel);
        drop(list);
        if armed != was_armed {
            events::state(self.name().map(Name::as_str), armed);
        }
        result
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observed for Board {
    fn layer(&self) -> &'static str {
        "fault"
    }

    fn name(&self) -> &str {
        self.name.get().map_or("", Name::as_str)
    }

    fn state(&self) -> &'static str {
        match self.alive() {
            _ if !self.enabled => "off",
            0 => "idle",
            _ => "active",
        }
    }

    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        show("faults", self.alive() as f64);
        self.counts.show(show);
    }

    fn verbs(&self) -> &'static [&'static str] {
        &["clear"]
    }

    fn act(&self, verb: &str) -> Result<(), Invalid> {
        match verb {
            "clear" => self.clear(),
            _ => return Err(UNKNOWN_VERB),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_without_faults_reads_a_flag_and_no_more() {
        let board = Board::new(Faults::new().enabled(true));
        let untouched = |_| -> Asked<'static> { panic!("nobody looks at the request") };
        assert_eq!(board.strike(untouched), None);

        // Once the last fault is over, a call finds that out, and those after it do not look again.
        board.inject(Fault::error().lasting(std::time::Duration::ZERO));
        assert_eq!(board.strike(|_| Asked { headers: None, key: None }), None);
        assert_eq!(board.strike(untouched), None);
    }
}
