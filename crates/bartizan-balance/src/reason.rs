use bartizan_core::{Kind, Reason};

const LAYER: &str = "balance";

pub(crate) const NO_ENDPOINTS: Reason = Reason::new(LAYER, Kind::Unavailable, "no endpoints");
pub(crate) const NONE_USABLE: Reason = Reason::new(LAYER, Kind::Unavailable, "no endpoint is usable");
pub(crate) const FULL: Reason = Reason::new(LAYER, Kind::Unavailable, "too many calls in flight");
