//! The named handles that are alive in this process, for a console and for metrics.
//!
//! It holds them weakly: a handle leaves when the last layer, service and handle of its state is dropped.

use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The state of one named layer, as an observer sees it.
pub trait Observed: Debug + Send + Sync {
    /// The kind of layer, such as `breaker`.
    fn layer(&self) -> &'static str;

    /// The name that the user gave to it.
    fn name(&self) -> &str;

    /// The state in one word, from a closed set of the layer.
    fn state(&self) -> &'static str;

    /// Says in a few words, for people, why the state is what it is. `None`, the default, where there is nothing to add.
    fn note(&self) -> Option<Cow<'static, str>> {
        None
    }

    /// Shows every number of the layer's snapshot under its name, from a closed set of the layer.
    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64));
}

static HANDLES: Mutex<Vec<Weak<dyn Observed>>> = Mutex::new(Vec::new());

/// Adds a handle, and says whether it is the only one alive of its layer and name.
///
/// Equal names are two handles: nothing is merged or replaced, and the layer reports the twin as an event.
pub fn register(handle: &Arc<dyn Observed>) -> bool {
    let mut handles = HANDLES.lock().unwrap_or_else(PoisonError::into_inner);
    handles.retain(|known| known.strong_count() > 0);
    let alive: Vec<Arc<dyn Observed>> = handles.iter().filter_map(Weak::upgrade).collect();
    handles.push(Arc::downgrade(handle));
    drop(handles);
    !alive.iter().any(|known| known.layer() == handle.layer() && known.name() == handle.name())
}

/// The handles that are alive, in the order in which they were registered.
#[must_use]
pub fn handles() -> Vec<Arc<dyn Observed>> {
    let handles = HANDLES.lock().unwrap_or_else(PoisonError::into_inner);
    handles.iter().filter_map(Weak::upgrade).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Lamp(&'static str);

    impl Observed for Lamp {
        fn layer(&self) -> &'static str {
            "lamp"
        }
        fn name(&self) -> &str {
            self.0
        }
        fn state(&self) -> &'static str {
            "lit"
        }
        fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
            show("watts", 60.0);
        }
    }

    #[test]
    fn twins_are_two_and_told_apart_and_the_dead_leave() {
        let lamp = |name| Arc::new(Lamp(name)) as Arc<dyn Observed>;
        let count = || handles().iter().filter(|known| known.layer() == "lamp").count();
        let (hall, attic, twin) = (lamp("hall"), lamp("attic"), lamp("hall"));
        assert!(register(&hall));
        assert!(register(&attic));
        assert!(!register(&twin));
        assert_eq!(count(), 3);
        drop((hall, twin));
        assert_eq!(count(), 1);
        assert!(register(&lamp("hall")));
    }
}
