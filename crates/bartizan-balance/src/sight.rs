//! The endpoints of a balancer, as the registry shows and steers them.

use crate::events;
use crate::fleet::{Fleet, Key};
use crate::handle::{EndpointSnapshot, Steer};
use crate::seen::Seen;
use bartizan_core::registry::{self, Observed, UNKNOWN_VERB};
use bartizan_core::{Invalid, Name};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What is registered of the endpoints of a named balancer. Empty without a name.
pub(crate) struct Sights<K>(Mutex<HashMap<K, Arc<dyn Observed>>>);

impl<K> Default for Sights<K> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

/// Gives a balancer its name, the first time, and registers it and its endpoints.
pub(crate) fn name<K: Key, M: Send + Sync + 'static>(fleet: &Arc<Fleet<K, M>>, name: Name) {
    if fleet.set_name(name) {
        let observed: Arc<dyn Observed> = fleet.clone();
        if !registry::register(&observed) {
            events::twin(observed.name());
        }
        refresh(fleet);
    }
}

/// Registers the endpoints that have come, and lets go of those that have left.
pub(crate) fn refresh<K: Key, M: Send + Sync + 'static>(fleet: &Arc<Fleet<K, M>>) {
    let Some(name) = fleet.name() else { return };
    // Who comes here last has seen the last set.
    let mut sights = fleet.sights.0.lock().unwrap_or_else(PoisonError::into_inner);
    let keys = fleet.keys();
    let mut old = std::mem::take(&mut *sights);
    for key in keys {
        let sight = old.remove(&key).unwrap_or_else(|| {
            let text = format!("{:?}", Seen(&key));
            let name = format!("{name}/{}", text.trim_matches('"'));
            let steer: Weak<dyn Steer<K>> = Arc::downgrade(&(fleet.clone() as Arc<dyn Steer<K>>));
            let sight: Arc<dyn Observed> = Arc::new(Sight { name, key: key.clone(), fleet: steer });
            let _two_balancers_of_a_name = registry::register(&sight);
            sight
        });
        sights.insert(key, sight);
    }
}

/// One endpoint.
struct Sight<K> {
    name: String,
    key: K,
    fleet: Weak<dyn Steer<K>>,
}

impl<K> Sight<K> {
    fn snapshot(&self) -> Option<EndpointSnapshot<K>> {
        self.fleet.upgrade()?.endpoint(&self.key)
    }
}

impl<K> fmt::Debug for Sight<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sight").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<K: Key> Observed for Sight<K> {
    fn layer(&self) -> &'static str {
        "endpoint"
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn state(&self) -> &'static str {
        self.snapshot().map_or("gone", |snapshot| snapshot.state())
    }

    fn note(&self) -> Option<Cow<'static, str>> {
        self.snapshot()?.cause.map(|cause| cause.as_str().into())
    }

    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        if let Some(snapshot) = self.snapshot() {
            snapshot.each(show);
        }
    }

    fn verbs(&self) -> &'static [&'static str] {
        &["drain", "undrain", "eject", "pardon"]
    }

    /// Ejected by hand, it is out for as long as the first time by a rule.
    fn act(&self, verb: &str) -> Result<(), Invalid> {
        const GONE: Invalid = Invalid::new("verb", "verb is for an endpoint that has left");
        let fleet = self.fleet.upgrade().ok_or(GONE)?;
        let done = match verb {
            "drain" => fleet.drain(&self.key, true),
            "undrain" => fleet.drain(&self.key, false),
            "eject" => fleet.eject(&self.key, fleet.pause()),
            "pardon" => fleet.pardon(&self.key),
            _ => return Err(UNKNOWN_VERB),
        };
        if done { Ok(()) } else { Err(GONE) }
    }
}
