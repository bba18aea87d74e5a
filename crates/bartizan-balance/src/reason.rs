use bartizan_core::{Kind, Reason};

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    NoEndpoints,
    NoneUsable,
    Full,
}

const NO_ENDPOINTS: Reason = Reason::new("balance", Kind::Unavailable, "no endpoints");
const NONE_USABLE: Reason = Reason::new("balance", Kind::Unavailable, "no endpoint is usable");
const FULL: Reason = Reason::new("balance", Kind::Unavailable, "too many calls in flight");

impl Why {
    pub(crate) const ALL: [Self; 3] = [Self::NoEndpoints, Self::NoneUsable, Self::Full];

    pub(crate) const fn reason(self) -> &'static Reason {
        match self {
            Self::NoEndpoints => &NO_ENDPOINTS,
            Self::NoneUsable => &NONE_USABLE,
            Self::Full => &FULL,
        }
    }
}
