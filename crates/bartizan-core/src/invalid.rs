use std::error::Error;
use std::fmt;

/// A setting that makes no sense, with the field that holds it.
///
/// Every setter that can be given a wrong number has a `try_` form that returns this; the plain form panics with the same
/// text, so that a wrong `const` value fails to compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid {
    field: &'static str,
    message: &'static str,
}

impl Invalid {
    /// Creates the error. `message` is a whole sentence that begins with the field's name.
    #[must_use]
    pub const fn new(field: &'static str, message: &'static str) -> Self {
        Self { field, message }
    }

    /// The field, by the name of its setter.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        self.field
    }

    /// The field's name and what is wrong with its value.
    #[must_use]
    pub const fn message(&self) -> &'static str {
        self.message
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message)
    }
}

impl Error for Invalid {}
