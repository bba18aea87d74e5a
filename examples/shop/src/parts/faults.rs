//! The places where faults can be put in: before the handlers of a service, and on the way to another.

use tower::layer::util::Identity;

pub type FaultLayer = Identity;
pub type FaultService<S> = S;
pub struct Put;

/// The places of this process. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Faults(());

impl Faults {
    pub fn switched_on() -> Self {
        Self(())
    }
    pub fn layer(&self, _place: &str) -> FaultLayer {
        Identity::new()
    }
    pub fn put(&self, _place: &str, _fault: ()) -> Option<Put> {
        None
    }
}
