use std::fmt;

/// Any error: what is behind an [`Error`], and what a probe or a client may fail with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a source could not tell the members this time. What it told last still holds, and it asks again.
///
/// Its text names the source and what is wrong; where another error is behind it, that is its `source()`.
#[derive(Debug)]
pub struct Error {
    source: Box<str>,
    text: Box<str>,
    cause: Option<BoxError>,
}

impl Error {
    pub(crate) fn new(source: impl Into<Box<str>>, text: impl Into<Box<str>>) -> Self {
        Self { source: source.into(), text: text.into(), cause: None }
    }

    pub(crate) fn because(mut self, cause: impl Into<BoxError>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Which source it is, such as `dns product.internal`.
    #[must_use]
    pub fn of(&self) -> &str {
        &self.source
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.text)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}
