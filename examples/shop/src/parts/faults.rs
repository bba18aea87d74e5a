//! The places where faults can be put in, each by its name: before the handlers of an instance (`payment-2`), on the way to another
//! (`order->payment`), at the door of its store (`store of order`), and at that of the bus (`bus of order`).

mod scope;
mod wire;

#[cfg(feature = "stage")]
pub use scope::SCOPE;
pub use scope::{HeedLayer, Mark, MarkLayer};
pub use wire::{Connector, Line};
#[cfg(feature = "stage")]
pub use wire::{Detour, Detoured};

use bartizan::{FaultLayer, Faults as Value, Refused};
use std::collections::BTreeMap;
use std::future::ready;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use tower::{Layer, ServiceExt, service_fn};
use wire::Wire;

/// The places of this process. Clones share them. By default no fault can be put in anywhere.
#[derive(Clone, Debug, Default)]
pub struct Faults(Option<Arc<Places>>);

#[derive(Debug, Default)]
struct Places {
    layers: Mutex<BTreeMap<String, FaultLayer>>,
    wire: Wire,
}

impl Faults {
    /// Faults can be put in from here on.
    pub fn switched_on() -> Self {
        Self(Some(Arc::default()))
    }

    /// The layer of a place: always the same, so that what is in a place outlives who runs there.
    pub fn layer(&self, place: &str) -> FaultLayer {
        let Some(places) = &self.0 else { return FaultLayer::new(Value::new()) };
        let mut places = places.layers.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || FaultLayer::new(Value::new().enabled(true).seed(seed(place))).named(place);
        places.entry(place.to_owned()).or_insert_with(made).clone()
    }
}

/// Who passes it may be held up or refused, on purpose. By default nobody is.
#[derive(Clone, Debug, Default)]
pub struct Door(Option<FaultLayer>);

impl Faults {
    /// The way of the connections of a hop, where they can be sent by another one.
    pub fn line(&self, hop: &str) -> Option<Line> {
        self.0.as_ref().map(|places| Line { wire: places.wire.clone(), hop: hop.to_owned() })
    }

    /// Has connections of this process go another way; none where nothing can be done to them.
    #[cfg(feature = "stage")]
    pub fn divert(&self, detour: Detour) -> Option<Detoured> {
        Some(self.0.as_ref()?.wire.divert(detour))
    }

    /// What stands before handlers, so that a fault can choose its requests by their header.
    pub fn heed(&self) -> HeedLayer {
        HeedLayer(self.0.is_some())
    }

    /// The door of a place.
    pub fn door(&self, place: &str) -> Door {
        Door(self.0.is_some().then(|| self.layer(place)))
    }
}

impl Door {
    /// Returns when one is through.
    ///
    /// # Errors
    ///
    /// When one is refused.
    pub async fn pass(&self) -> Result<(), Refused> {
        let Some(layer) = &self.0 else { return Ok(()) };
        layer.clone().typed().layer(service_fn(|()| ready(Ok(())))).oneshot(()).await
    }
}

/// Every place has dice of its own, and the same each time.
fn seed(place: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    place.hash(&mut hasher);
    hasher.finish()
}
