use std::error::Error;
use std::fmt::{self, Display};

/// Two settings of a stack that cannot work together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    fields: [&'static str; 2],
    message: String,
}

/// A setting and its value.
pub(crate) type Shown<'a> = (&'static str, &'a dyn Display);

impl Misfit {
    /// Creates the error: the one with its value, how it is to the other, the other with its value, and what comes of it.
    pub(crate) fn new(one: Shown<'_>, is: &str, other: Shown<'_>, so: &str) -> Self {
        let message = format!("{} ({}) {is} {} ({}): {so}", one.0, one.1, other.0, other.1);
        Self { fields: [one.0, other.0], message }
    }

    /// Both settings, each by the part of the stack and the name of its setter: `attempt.total`.
    #[must_use]
    pub const fn fields(&self) -> [&'static str; 2] {
        self.fields
    }
}

impl Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Misfit {}
