use std::error::Error;
use std::fmt;
use std::sync::Arc;

#[cfg(feature = "http")]
type BoxError = Box<dyn Error + Send + Sync>;

/// Why a policy was not taken: where it stands, and what is allowed there. What held before holds on.
///
/// Its text is one sentence, such as
/// `bartizan.toml, line 7, clients.stock.breaker.probes: probes must be within 1..=1000`.
#[derive(Clone, Debug)]
pub struct PolicyError {
    origin: Option<Box<str>>,
    part: Option<Box<str>>,
    line: Option<usize>,
    field: Option<Box<str>>,
    message: Box<str>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl PolicyError {
    pub(crate) fn new(message: &str) -> Self {
        Self { origin: None, part: None, line: None, field: None, message: message.into(), cause: None }
    }

    pub(crate) fn line(self, line: usize) -> Self {
        Self { line: Some(line), ..self }
    }

    pub(crate) fn field(self, field: &str) -> Self {
        Self { field: (!field.is_empty()).then(|| field.into()), ..self }
    }

    /// Sets which part of what a server sent it is about.
    #[cfg(feature = "http")]
    pub(crate) fn part(self, part: &str) -> Self {
        Self { part: Some(part.into()), ..self }
    }

    /// Adds that it cannot be done without what is missing.
    pub(crate) fn in_use(self) -> Self {
        Self { message: format!("{}; but its layer is in use", self.message).into(), ..self }
    }

    pub(crate) fn origin(self, origin: &str) -> Self {
        Self { origin: Some(origin.into()), ..self }
    }

    #[cfg(feature = "http")]
    pub(crate) fn because(self, cause: impl Into<BoxError>) -> Self {
        Self { cause: Some(Arc::from(cause.into())), ..self }
    }

    /// In which line it stands, from 1 on. `None` where there are no lines, or it is not about any.
    #[must_use]
    pub fn at_line(&self) -> Option<usize> {
        self.line
    }

    /// The path to the setting, such as `clients.stock.breaker.probes`. `None` where it is about no single one.
    #[must_use]
    pub fn at_field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// What is wrong, and what is allowed, without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut places: Vec<String> = Vec::new();
        places.extend(self.origin.iter().map(ToString::to_string));
        places.extend(self.part.iter().map(ToString::to_string));
        places.extend(self.line.map(|line| format!("line {line}")));
        places.extend(self.field.iter().map(ToString::to_string));
        if places.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", places.join(", "), self.message)
        }
    }
}

impl Error for PolicyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}
