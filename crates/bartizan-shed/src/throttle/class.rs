use bartizan_core::{Context, Priority};

/// Requests that are refused alike: each class has a window of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Critical,
    Normal,
    Sheddable,
}

impl Class {
    pub(super) const ALL: [Self; 3] = [Self::Critical, Self::Normal, Self::Sheddable];

    /// The class of the request that is being made on this thread.
    #[inline]
    pub(super) fn current() -> Self {
        Context::current().map_or(Self::Normal, |context| Self::of(context.priority()))
    }

    /// The class to which the priority is nearest.
    #[inline]
    const fn of(priority: Priority) -> Self {
        match priority.level() {
            0..=63 => Self::Critical,
            64..=191 => Self::Normal,
            192..=255 => Self::Sheddable,
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Normal => "normal",
            Self::Sheddable => "sheddable",
        }
    }
}
