use std::fmt::{self, Display};

/// A part of a stack that is another in the stack it is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    field: &'static str,
    from: String,
    to: String,
}

impl Difference {
    /// The part, by the name of its setter.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        self.field
    }

    /// What it is here, in one line.
    #[must_use]
    pub fn from(&self) -> &str {
        &self.from
    }

    /// What it is there, in one line.
    #[must_use]
    pub fn to(&self) -> &str {
        &self.to
    }
}

impl Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, from, to } = self;
        write!(f, "{field}: {from} -> {to}")
    }
}

/// Compares one part.
pub(crate) fn part<T: PartialEq + Display>(field: &'static str, old: &T, new: &T) -> Option<Difference> {
    (old != new).then(|| {
        let (from, mut to) = (old.to_string(), new.to_string());
        if from == to {
            to.push_str(", with other details");
        }
        Difference { field, from, to }
    })
}

pub(crate) fn differences<const N: usize>(parts: [Option<Difference>; N]) -> Vec<Difference> {
    parts.into_iter().flatten().collect()
}
