//! The places where faults can be put in: before the handlers of a service, and on the way to another.

use bartizan::{FaultLayer, Faults as Value};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

/// The places of this process. Clones share them. By default no fault can be put in anywhere.
#[derive(Clone, Debug, Default)]
pub struct Faults(Option<Arc<Mutex<BTreeMap<String, FaultLayer>>>>);

impl Faults {
    /// Faults can be put in from here on.
    pub fn switched_on() -> Self {
        Self(Some(Arc::default()))
    }

    /// The layer of a place: always the same, so that what is in a place outlives who runs there.
    pub fn layer(&self, place: &str) -> FaultLayer {
        let Some(places) = &self.0 else { return FaultLayer::new(Value::new()) };
        let mut places = places.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || FaultLayer::new(Value::new().enabled(true).seed(seed(place))).named(place);
        places.entry(place.to_owned()).or_insert_with(made).clone()
    }
}

/// Every place has dice of its own, and the same each time.
fn seed(place: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    place.hash(&mut hasher);
    hasher.finish()
}
