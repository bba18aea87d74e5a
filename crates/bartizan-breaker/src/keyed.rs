use crate::admit::admit;
use crate::breaker::{Breaker, Mode};
use crate::circuit::{Circuit, Label};
use crate::denial::Denial;
use crate::event;
use crate::handle::Handle;
use crate::layer::BreakerLayer;
use crate::machine::Machine;
use crate::permit::Ticket;
use crate::state::Change;
use crate::totals::Totals;
use bartizan_core::{Invalid, Name, Refused, Refusing};
use std::collections::HashMap;
use std::fmt::{self, Debug};
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

/// A circuit for each key, up to a cap.
pub(crate) struct Circuits<K> {
    table: RwLock<Table<K>>,
    value: Mutex<Arc<Breaker>>,
    /// Held while somebody steers, so that all circuits follow the value that is in place last.
    steering: Mutex<()>,
    /// Serves the keys that find no room.
    overflow: Arc<Circuit>,
    name: OnceLock<Name>,
    cap: usize,
}

struct Table<K> {
    index: HashMap<K, usize>,
    slots: Vec<Slot<K>>,
    /// The slot that was found last: a client mostly calls the same one.
    last: AtomicUsize,
    /// Where the search for a circuit to evict goes on.
    hand: usize,
    /// What those had counted that were evicted.
    gone: Totals,
}

struct Slot<K> {
    key: K,
    circuit: Arc<Circuit>,
    /// Used since the hand last came by.
    used: AtomicBool,
}

/// Slots that the search for room looks at before the overflow circuit serves.
const SEARCH: usize = 64;

impl<K: Eq + Hash + Clone + Debug> Circuits<K> {
    pub(crate) fn new(value: Arc<Breaker>, name: Option<Name>, cap: usize) -> Self {
        let table = Table {
            index: HashMap::new(),
            slots: Vec::new(),
            last: AtomicUsize::new(0),
            hand: 0,
            gone: Totals::default(),
        };
        let label = name.clone().map(|name| Label { name: Some(name), number: None });
        let overflow = Arc::new(Circuit::new(&value, label));
        let name = name.map_or_else(OnceLock::new, OnceLock::from);
        Self {
            table: RwLock::new(table),
            value: Mutex::new(value),
            steering: Mutex::new(()),
            overflow,
            name,
            cap,
        }
    }

    /// The circuit of a key, made at its first use.
    pub(crate) fn of(&self, key: &K) -> Arc<Circuit> {
        if let Some(circuit) = self.find(key) {
            return circuit;
        }
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(&slot) = table.index.get(key) {
            return table.slots[slot].circuit.clone();
        }
        let room = if table.slots.len() < self.cap { Some(None) } else { table.evictable().map(Some) };
        let Some(evicted) = room else { return self.overflow.clone() };
        let number = evicted.unwrap_or(table.slots.len());
        let label = Label { name: self.name.get().cloned(), number: Some(number) };
        let circuit = Arc::new(Circuit::new(&self.value(), Some(label)));
        table.insert(key.clone(), circuit.clone(), evicted);
        circuit
    }

    pub(crate) fn admit(&self, key: &K) -> Result<Ticket, Refusing> {
        let circuit = self.of(key);
        admit(&circuit).inspect_err(|refusing| circuit.count_refusal((*refusing).into()))
    }

    pub(crate) fn refuse(&self, refusing: Refusing) -> Refused {
        Denial::from(refusing).refusal(self.name.get())
    }

    pub(crate) fn find(&self, key: &K) -> Option<Arc<Circuit>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let slot = table.find(key)?;
        if !slot.used.load(Ordering::Relaxed) {
            slot.used.store(true, Ordering::Relaxed);
        }
        Some(slot.circuit.clone())
    }
}

impl<K> Circuits<K> {
    /// What `take` takes of every key and its circuit. To ask a circuit may make it tell of a change, and who hears of that may
    /// come back for a circuit: it is not to be done under the lock.
    fn all<T>(&self, take: impl Fn(&K, &Arc<Circuit>) -> T) -> Vec<T> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.slots.iter().map(|slot| take(&slot.key, &slot.circuit)).collect()
    }

    /// What the circuits are made of.
    pub(crate) fn value(&self) -> Arc<Breaker> {
        lock(&self.value).clone()
    }

    /// What all circuits have counted, the evicted ones too.
    pub(crate) fn totals(&self) -> Totals {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let mut totals = table.gone;
        let circuits = table.slots.iter().map(|slot| &slot.circuit).chain([&self.overflow]);
        circuits.for_each(|circuit| totals.add(&circuit.totals()));
        totals
    }

    pub(crate) fn circuits(&self) -> Vec<Arc<Circuit>> {
        self.all(|_, circuit| circuit.clone())
    }

    pub(crate) fn named(&self) -> Option<&Name> {
        self.name.get()
    }

    pub(crate) const fn overflow(&self) -> &Arc<Circuit> {
        &self.overflow
    }

    pub(crate) const fn cap(&self) -> usize {
        self.cap
    }

    /// Every circuit, that of the keys which find no room too.
    fn each(&self, act: impl FnMut(&Arc<Circuit>)) {
        self.circuits().iter().chain([&self.overflow]).for_each(act);
    }

    /// Puts another value in place for the circuits to come, has every circuit follow, and returns the old value, the new one, and
    /// whether `follow` was true of any.
    fn steer(
        &self,
        make: impl FnOnce(Breaker) -> Result<Breaker, Invalid>,
        follow: impl Fn(&Circuit, &mut Machine, &Arc<Breaker>, u64) -> (bool, Option<Change>),
    ) -> Result<(Arc<Breaker>, Arc<Breaker>, bool), Invalid> {
        let steering = lock(&self.steering);
        let mut held = lock(&self.value);
        let new = Arc::new(make(**held)?);
        let old = std::mem::replace(&mut *held, new.clone());
        // Who makes a circuit asks for the value while it holds the table.
        drop(held);
        let (mut is_any, mut untold) = (false, Vec::new());
        self.each(|circuit| {
            let follow = |machine: &mut Machine, now| follow(circuit, machine, &new, now);
            let (is_one, changes) = circuit.change_untold(circuit.now(), follow);
            is_any |= is_one;
            if changes.iter().any(Option::is_some) {
                untold.push((circuit.clone(), changes));
            }
        });
        drop(steering);
        // Who hears of it may steer.
        untold.into_iter().for_each(|(circuit, changes)| circuit.tell_all(changes));
        Ok((old, new, is_any))
    }

    /// Takes over the settings that are made of the value, but for the mode, or none.
    pub(crate) fn change(
        &self,
        make: impl FnOnce(Breaker) -> Result<Breaker, Invalid>,
    ) -> Result<(), Invalid> {
        let make = |old: Breaker| Ok(Breaker { mode: old.mode, ..make(old)? });
        let (old, new, _) = self.steer(make, |circuit, machine, new, now| {
            circuit.take_over(machine, new, now);
            (false, None)
        })?;
        event::tell_settings(self.overflow.label(), &old, &new);
        Ok(())
    }

    pub(crate) fn set_mode(&self, mode: Mode) {
        let make = |old| Ok(Breaker { mode, ..old });
        let steered = self.steer(make, |_, machine, _, _| machine.steer(mode));
        // Where that is a change of state, each circuit tells of its own.
        if steered.is_ok_and(|(_, _, is_quiet)| is_quiet) {
            event::tell_mode(self.overflow.label(), mode);
        }
    }

    pub(crate) fn reset(&self) {
        self.each(|circuit| circuit.reset());
    }

    /// Names the circuits, and says whether they had no name.
    pub(crate) fn set_name(&self, name: Name) -> bool {
        let is_first = self.name.set(name.clone()).is_ok();
        if is_first {
            self.overflow.set_label(Label { name: Some(name), number: None });
        }
        is_first
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K: Eq + Hash> Table<K> {
    /// The slot of a key. To compare it with one costs less than to hash it.
    fn find(&self, key: &K) -> Option<&Slot<K>> {
        let last = self.slots.get(self.last.load(Ordering::Relaxed)).filter(|slot| slot.key == *key);
        last.or_else(|| {
            let at = *self.index.get(key)?;
            self.last.store(at, Ordering::Relaxed);
            Some(&self.slots[at])
        })
    }

    /// A circuit that forgets nothing by leaving: closed, nothing under way, not used since the hand last came by.
    fn evictable(&mut self) -> Option<usize> {
        for _ in 0..SEARCH.min(self.slots.len()) {
            let at = self.hand;
            self.hand = (at + 1) % self.slots.len();
            let slot = &mut self.slots[at];
            let used = std::mem::replace(slot.used.get_mut(), false);
            if !used && slot.circuit.word().is_free() && Arc::strong_count(&slot.circuit) == 1 {
                return Some(at);
            }
        }
        None
    }

    fn insert(&mut self, key: K, circuit: Arc<Circuit>, evicted: Option<usize>)
    where
        K: Clone,
    {
        let slot = Slot { key: key.clone(), circuit, used: AtomicBool::new(true) };
        let at = match evicted {
            Some(at) => {
                let old = std::mem::replace(&mut self.slots[at], slot);
                self.index.remove(&old.key);
                self.gone.add(&old.circuit.totals());
                at
            }
            None => {
                self.slots.push(slot);
                self.slots.len() - 1
            }
        };
        self.index.insert(key, at);
    }
}

impl<K> Debug for Circuits<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Circuits").field("name", &self.name).field("cap", &self.cap).finish_non_exhaustive()
    }
}

/// Watches and steers the circuits of a breaker with keys. Cheap to clone.
pub struct KeyedHandle<K>(pub(crate) Arc<Circuits<K>>);

impl<K: Eq + Hash + Clone + Debug> KeyedHandle<K> {
    /// A layer over the circuit of one key alone, which is made if there is none. Where it is known beforehand whom calls go to, it
    /// saves each the search for its circuit.
    #[must_use]
    pub fn layer(&self, key: &K) -> BreakerLayer {
        BreakerLayer::over(self.0.of(key), self.0.value())
    }

    /// The circuit of a key, if it has one: keys that were not seen, were evicted, or found no room have none.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<Handle> {
        self.0.find(key).map(Handle)
    }
}

impl<K> KeyedHandle<K> {
    /// The name given with [`BreakerLayer::named`](crate::BreakerLayer::named).
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.named().map(Name::as_str)
    }

    /// The circuit that serves the keys which find no room.
    #[must_use]
    pub fn overflow(&self) -> Handle {
        Handle(self.0.overflow.clone())
    }

    /// Every key that has a circuit, with its handle.
    #[must_use]
    pub fn all(&self) -> Vec<(K, Handle)>
    where
        K: Clone,
    {
        self.0.all(|key, circuit| (key.clone(), Handle(circuit.clone())))
    }

    /// What the circuits are set to, and those to come.
    #[must_use]
    pub fn value(&self) -> Breaker {
        *self.0.value()
    }

    /// Takes over new settings for every circuit and those to come. Windows, evidence and states stay, and the mode, which changes
    /// only through [`set_mode`](Self::set_mode).
    pub fn update(&self, value: Breaker) {
        let _always = self.0.change(|_| Ok(value));
    }
}

impl<K> KeyedHandle<K> {
    /// Sets what all circuits, and those to come, do with what they know, as [`Handle::set_mode`] does for one.
    pub fn set_mode(&self, mode: Mode) {
        self.0.set_mode(mode);
    }

    /// Closes all circuits at once and lets them forget what they have seen, as [`Handle::reset`] does for one.
    pub fn reset(&self) {
        self.0.reset();
    }
}

impl<K> Clone for KeyedHandle<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K> Debug for KeyedHandle<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyedHandle").field(&self.0).finish()
    }
}
