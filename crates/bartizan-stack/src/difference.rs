use std::fmt::{self, Display};

/// A part of a stack that is another in the stack it is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    field: &'static str,
    old: String,
    new: String,
}

impl Difference {
    /// The part, by the name of its setter.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        self.field
    }

    /// What it is here, in one line.
    #[must_use]
    pub fn old(&self) -> &str {
        &self.old
    }

    /// What it is there, in one line.
    #[must_use]
    pub fn new(&self) -> &str {
        &self.new
    }
}

impl Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, old, new } = self;
        write!(f, "{field}: {old} -> {new}")
    }
}

/// Compares one part.
pub(crate) fn part<T: PartialEq + Display>(field: &'static str, old: &T, new: &T) -> Option<Difference> {
    (old != new).then(|| Difference { field, old: old.to_string(), new: new.to_string() })
}

pub(crate) fn differences<const N: usize>(parts: [Option<Difference>; N]) -> Vec<Difference> {
    parts.into_iter().flatten().collect()
}
