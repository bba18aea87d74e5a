use crate::Fault;

/// The faults of a layer, and the switch without which it does nothing.
///
/// Several faults may meet in one call: their delays add up, then the first in the order in which they were put in that ends the call
/// ends it, and the first that concerns the body does that.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct Faults {
    pub(crate) enabled: bool,
    pub(crate) seed: u64,
    pub(crate) faults: Vec<Fault>,
}

impl Faults {
    /// Creates a value without faults, switched off.
    pub const fn new() -> Self {
        Self { enabled: false, seed: 0, faults: Vec::new() }
    }

    /// Switches the layer on. One that is off lets every call pass and takes no faults: neither from this value nor by its
    /// handle. Default: off, so that nobody injects faults who has not said so.
    pub const fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// Sets where the dice begin: with the same seed, the same calls in a row are hit. Default: 0.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Adds a fault.
    pub fn with(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }
}
