//! Layers that can be switched off and on by the call that they guard, and that no policy knows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The switches of this process. Clones share them.
#[derive(Clone, Default)]
pub struct Switches(Arc<Mutex<Known>>);

type Turn = Box<dyn Fn(bool) + Send>;

#[derive(Default)]
struct Known {
    /// Calls and layers.
    off: BTreeSet<(String, &'static str)>,
    /// By call, layer, and the instance that makes the call: one that takes over from another takes its place here as well.
    turns: BTreeMap<(String, &'static str, String), Turn>,
}

impl Switches {
    /// Adds the layer of a call that `here` makes, and turns it to where its switch is.
    pub fn add(&self, call: &str, layer: &'static str, here: &str, turn: impl Fn(bool) + Send + 'static) {
        let mut known = self.known();
        let on = !known.off.contains(&(call.to_owned(), layer));
        turn(on);
        known.turns.insert((call.to_owned(), layer, here.to_owned()), Box::new(turn));
    }

    /// Switches a layer of a call off or on, wherever it is made, now and later.
    pub fn turn(&self, call: &str, layer: &'static str, on: bool) {
        let mut known = self.known();
        let switch = (call.to_owned(), layer);
        let turned = if on { known.off.remove(&switch) } else { known.off.insert(switch) };
        let of = known.turns.iter().filter(|((to, kind, _), _)| turned && to == call && *kind == layer);
        of.for_each(|(_, turn)| turn(on));
    }

    /// The calls and layers that are switched off.
    pub fn off(&self) -> Vec<(String, &'static str)> {
        self.known().off.iter().cloned().collect()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Switches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Switches").field("off", &self.known().off).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU8, Ordering};

    /// What a switch was turned to last: nothing, off or on.
    fn lamp(switches: &Switches, here: &str) -> Arc<AtomicU8> {
        let lamp = Arc::new(AtomicU8::new(0));
        let told = lamp.clone();
        switches
            .add("order->user", "bulkhead", here, move |on| told.store(1 + u8::from(on), Ordering::Relaxed));
        lamp
    }

    #[test]
    fn who_comes_later_is_turned_as_those_who_are_there() {
        let switches = Switches::default();
        let first = lamp(&switches, "order");
        let is = |lamp: &AtomicU8| lamp.load(Ordering::Relaxed);
        assert_eq!(is(&first), 2);
        switches.turn("order->user", "bulkhead", false);
        switches.turn("order->product", "bulkhead", false);
        let second = lamp(&switches, "order-2");
        assert_eq!((is(&first), is(&second)), (1, 1));
        let heir = lamp(&switches, "order");
        switches.turn("order->user", "bulkhead", true);
        assert_eq!((is(&first), is(&second), is(&heir)), (1, 2, 2), "the first has gone");
        assert!(format!("{switches:?}").contains("order->product"));
    }
}
