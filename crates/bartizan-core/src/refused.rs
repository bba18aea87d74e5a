use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A layer's own no, the same type for every layer.
///
/// The HTTP flavour of a layer answers it as a response and leaves it in the response's extensions; the typed
/// flavour returns it as an error, through `S::Error: From<Refused>`. Ask a boxed error with [`find_cause`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    layer: &'static str,
    reason: &'static str,
    name: Option<Arc<str>>,
    retry_after: Option<Duration>,
    kind: Kind,
    reached: bool,
}

/// What kind of no it is, in the words that HTTP and gRPC share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Nobody can serve it now: 503, `UNAVAILABLE` (14).
    Unavailable,
    /// The caller asked for more than its share: 429, `RESOURCE_EXHAUSTED` (8).
    Exhausted,
    /// The time was up, or would have been: 504, `DEADLINE_EXCEEDED` (4).
    DeadlineExceeded,
}

impl Refused {
    /// Creates a refusal by the named layer, with no name, reason or time, that did not reach the service.
    #[must_use]
    pub const fn new(layer: &'static str, kind: Kind) -> Self {
        Self { layer, reason: "refused", name: None, retry_after: None, kind, reached: false }
    }

    /// Sets the name that the user gave to the layer. Default: none.
    #[must_use]
    pub fn with_name(mut self, name: Option<Arc<str>>) -> Self {
        self.name = name;
        self
    }

    /// Sets the reason, one of a closed set of each layer. Default: `refused`.
    #[must_use]
    pub const fn with_reason(mut self, reason: &'static str) -> Self {
        self.reason = reason;
        self
    }

    /// Sets after how long another try makes sense. Default: unknown.
    #[must_use]
    pub const fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Marks the request as one that had reached the inner service. Default: it had not.
    #[must_use]
    pub const fn with_reached(mut self) -> Self {
        self.reached = true;
        self
    }

    /// The layer that refused, such as `breaker`.
    #[must_use]
    pub const fn layer(&self) -> &'static str {
        self.layer
    }

    /// The name that the user gave to the layer.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What kind of no it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Why, in lower case, from a closed set of each layer.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.reason
    }

    /// After how long another try makes sense, where that is known.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Whether the request had reached the inner service: then it may have had its effect, and counts as a
    /// failure. A refusal that did not reach is no verdict on the service, and is ignored by every layer outside.
    #[must_use]
    pub const fn reached(&self) -> bool {
        self.reached
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused by {}", self.layer)?;
        if let Some(name) = &self.name {
            write!(f, " {name}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl Error for Refused {}

/// Finds the first error of type `E` in a chain of sources, the error itself included.
///
/// ```
/// use bartizan_core::{Kind, Refused, find_cause};
///
/// let error: Box<dyn std::error::Error + Send + Sync> = Refused::new("breaker", Kind::Unavailable).into();
/// assert_eq!(find_cause::<Refused>(&*error).map(Refused::layer), Some("breaker"));
/// ```
#[must_use]
pub fn find_cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An `io::Error` shows the sources of what it wraps, and not the wrapped error itself.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displays_layer_name_and_reason() {
        let refused = Refused::new("breaker", Kind::Unavailable).with_reason("open");
        assert_eq!(refused.to_string(), "refused by breaker: open");
        assert_eq!(refused.with_name(Some("pay".into())).to_string(), "refused by breaker pay: open");
    }

    #[test]
    fn found_behind_wrappers() {
        let error = std::io::Error::other(std::io::Error::other(Refused::new("limit", Kind::Exhausted)));
        assert_eq!(find_cause::<Refused>(&error).map(Refused::kind), Some(Kind::Exhausted));
        assert!(find_cause::<Refused>(&std::io::Error::other("plain")).is_none());
    }
}
