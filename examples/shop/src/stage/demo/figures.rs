//! What a scene shows: a value, and the bound that it has to keep.

use serde_json::{Value, json};
use std::fmt;

#[derive(Clone, Debug)]
pub(super) struct Figure {
    pub(super) what: &'static str,
    pub(super) bound: String,
    pub(super) value: String,
    pub(super) is_met: bool,
}

impl Figure {
    pub(super) fn json(&self) -> Value {
        json!({ "what": self.what, "bound": self.bound, "value": self.value, "met": self.is_met })
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, bound, value, is_met } = self;
        write!(f, "  {} {what}: {value} ({bound})", if *is_met { "✓" } else { "✗" })
    }
}

/// What is there to be seen of a figure at an instant.
pub(super) struct Seen {
    pub(super) value: String,
    pub(super) is_met: bool,
}

pub(super) fn seen(value: impl fmt::Display, is_met: bool) -> Seen {
    Seen { value: value.to_string(), is_met }
}

/// So many of so many, at least so many of which are to be; none of none shows nothing.
pub(super) fn of(some: usize, all: usize, least: usize) -> Seen {
    seen(format!("{some} of {all}"), some >= least.max(1))
}
