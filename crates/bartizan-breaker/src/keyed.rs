use crate::admit::admit;
use crate::breaker::Breaker;
use crate::circuit::{Circuit, Label};
use crate::denial::Denial;
use crate::event;
use crate::handle::Handle;
use crate::layer::BreakerLayer;
use crate::permit::Ticket;
use crate::state::State;
use bartizan_core::registry::Observed;
use bartizan_core::{Name, Refused, Refusing};
use std::collections::HashMap;
use std::fmt::{self, Debug};
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

/// A circuit for each key, up to a cap.
pub(crate) struct Circuits<K> {
    table: RwLock<Table<K>>,
    value: Mutex<Breaker>,
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
    pub(crate) fn new(value: Breaker, name: Option<Name>, cap: usize) -> Self {
        let table = Table { index: HashMap::new(), slots: Vec::new(), last: AtomicUsize::new(0), hand: 0 };
        let label = name.clone().map(|name| Label { name: Some(name), key: None });
        let overflow = Arc::new(Circuit::new(&value, label));
        let name = name.map_or_else(OnceLock::new, OnceLock::from);
        Self { table: RwLock::new(table), value: Mutex::new(value), overflow, name, cap }
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
        let label = Label { name: self.name.get().cloned(), key: Some(format!("{key:?}").into()) };
        let value = *self.value.lock().unwrap_or_else(PoisonError::into_inner);
        let circuit = Arc::new(Circuit::new(&value, Some(label)));
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

    fn circuits(&self) -> Vec<Arc<Circuit>> {
        self.all(|_, circuit| circuit.clone())
    }

    pub(crate) fn named(&self) -> Option<&Name> {
        self.name.get()
    }

    /// Names the circuits, and says whether they had no name.
    pub(crate) fn set_name(&self, name: Name) -> bool {
        let is_first = self.name.set(name.clone()).is_ok();
        if is_first {
            self.overflow.set_label(Label { name: Some(name), key: None });
        }
        is_first
    }
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
        BreakerLayer::over(self.0.of(key), *self.0.value.lock().unwrap_or_else(PoisonError::into_inner))
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

    /// Takes over new settings for every circuit and those to come. Windows, evidence and states stay.
    pub fn update(&self, value: Breaker) {
        *self.0.value.lock().unwrap_or_else(PoisonError::into_inner) = value;
        self.0.overflow.update(&value);
        self.0.circuits().iter().for_each(|circuit| circuit.update(&value));
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

impl<K: Send + Sync> Observed for Circuits<K> {
    fn layer(&self) -> &'static str {
        "breaker"
    }

    fn name(&self) -> &str {
        self.name.get().map_or("", Name::as_str)
    }

    /// The worst state of any circuit.
    fn state(&self) -> &'static str {
        let mut worst = self.overflow.state();
        for circuit in self.circuits() {
            let state = circuit.state();
            let is_worse = match worst {
                State::Closed | State::Disabled => true,
                State::HalfOpen => matches!(state, State::Open | State::ForcedOpen),
                State::Open | State::ForcedOpen => false,
            };
            if is_worse && state != State::Closed {
                worst = state;
            }
        }
        worst.as_str()
    }

    #[allow(clippy::cast_precision_loss, reason = "shown to people")]
    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        let (mut keys, mut open, mut refused) = (0u64, 0u64, self.overflow.refused());
        for circuit in self.circuits() {
            keys += 1;
            open += u64::from(!matches!(circuit.state(), State::Closed | State::Disabled));
            refused += circuit.refused();
        }
        for (name, number) in [("keys", keys), ("open", open), ("refused", refused)] {
            show(name, number as f64);
        }
    }
}

/// Reports a twin of the name, if there is one.
pub(crate) fn register(observed: &Arc<dyn Observed>) {
    if !bartizan_core::registry::register(observed) {
        event::tell_twin(observed.name());
    }
}
