//! Why the shop, or one of its services, could not start.

use std::error::Error;
use std::fmt;

/// One sentence for the person who started the shop.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }

    /// A variable names a server, and the feature that speaks to it is left out.
    pub fn left_out(variable: &str, server: &str, feature: &str) -> Self {
        Self(format!("{variable} names {server}, but this shop was built without the feature `{feature}`."))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Failure {}

/// What an error comes down to.
pub fn root(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), root)
}
