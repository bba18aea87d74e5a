use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A layer's own no, the same type for every layer.
///
/// The HTTP flavour of a layer answers it as a response and leaves it in the response's extensions; the typed
/// flavour returns it as an error, through `S::Error: From<Refused>`. Ask a boxed error with [`find_cause`].
///
/// It is three words long and is made without allocating, as it travels on the way of every result.
#[derive(Clone, PartialEq, Eq)]
pub struct Refused {
    reason: &'static Reason,
    name: Option<Name>,
    /// Nanoseconds, or [`UNKNOWN`].
    retry_after: u64,
}

const UNKNOWN: u64 = u64::MAX;

/// Why a layer refuses: a constant, so that the reasons of a layer are a closed set.
///
/// ```
/// use bartizan_core::{Kind, Reason, Refused};
///
/// const ODD: Reason = Reason::new("even", Kind::Unavailable, "odd");
/// assert_eq!(Refused::new(&ODD).to_string(), "refused by even: odd");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    layer: &'static str,
    text: &'static str,
    kind: Kind,
    reached: bool,
    by_caller: bool,
}

impl Reason {
    /// Creates the reason of a refusal by `layer` before the inner service was called.
    #[must_use]
    pub const fn new(layer: &'static str, kind: Kind, text: &'static str) -> Self {
        Self { layer, text, kind, reached: false, by_caller: false }
    }

    /// Says that the inner service was called before the layer refused.
    #[must_use]
    pub const fn reached(mut self) -> Self {
        self.reached = true;
        self
    }

    /// Says that the caller brought it on itself, by reading too slowly, say.
    #[must_use]
    pub const fn by_caller(mut self) -> Self {
        self.by_caller = true;
        self
    }
}

/// A name that the user gave to a layer. Cheap to clone; one word long.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Arc<NameText>);

#[derive(PartialEq, Eq, Hash)]
struct NameText(Box<str>);

impl Name {
    /// The name's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.0
    }
}

impl<T: Into<Box<str>>> From<T> for Name {
    fn from(name: T) -> Self {
        Self(Arc::new(NameText(name.into())))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
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
    /// Creates a refusal for a reason, with no name and no time.
    #[inline]
    #[must_use]
    pub const fn new(reason: &'static Reason) -> Self {
        Self { reason, name: None, retry_after: UNKNOWN }
    }

    /// Sets the name that the user gave to the layer. Default: none.
    #[must_use]
    pub fn with_name(mut self, name: Option<Name>) -> Self {
        self.name = name;
        self
    }

    /// Sets after how long another try makes sense. Default: unknown.
    #[inline]
    #[must_use]
    pub fn with_retry_after(self, wait: Duration) -> Self {
        self.with_retry_after_nanos(u64::try_from(wait.as_nanos()).unwrap_or(UNKNOWN))
    }

    /// As [`with_retry_after`](Self::with_retry_after), for a policy that keeps time as a number of nanoseconds.
    #[inline]
    #[must_use]
    pub fn with_retry_after_nanos(mut self, wait: u64) -> Self {
        self.retry_after = wait.min(UNKNOWN - 1);
        self
    }

    /// Takes the refusal out of its place, where one without a name is left.
    ///
    /// Word by word, for a future that answers with it: moved as a whole right after it was made, the processor would wait
    /// until what was written in words can be read in one.
    #[inline]
    #[must_use]
    pub fn take(&mut self) -> Self {
        Self { reason: self.reason, name: self.name.take(), retry_after: self.retry_after }
    }

    /// The layer that refused, such as `breaker`.
    #[must_use]
    pub const fn layer(&self) -> &'static str {
        self.reason.layer
    }

    /// The name that the user gave to the layer.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_ref().map(Name::as_str)
    }

    /// What kind of no it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.reason.kind
    }

    /// Why, in lower case, from a closed set of each layer.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.reason.text
    }

    /// After how long another try makes sense, where that is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        (self.retry_after != UNKNOWN).then_some(Duration::from_nanos(self.retry_after))
    }

    /// Whether the request had reached the inner service: then it may have had its effect.
    #[must_use]
    pub const fn reached(&self) -> bool {
        self.reason.reached
    }

    /// Whether it is a verdict on the inner service, and counts as its failure. A refusal that did not reach the service, or that
    /// the caller brought on itself, is none, and is ignored by every layer outside.
    #[must_use]
    pub const fn is_verdict(&self) -> bool {
        self.reason.reached && !self.reason.by_caller
    }
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused")
            .field("reason", &self.reason)
            .field("name", &self.name)
            .field("retry_after", &self.retry_after())
            .finish()
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused by {}", self.layer())?;
        if let Some(name) = self.name() {
            write!(f, " {name}")?;
        }
        write!(f, ": {}", self.reason())
    }
}

impl Error for Refused {}

/// Finds the first error of type `E` in a chain of sources, the error itself included.
///
/// ```
/// use bartizan_core::{Kind, Reason, Refused, find_cause};
///
/// const OPEN: Reason = Reason::new("breaker", Kind::Unavailable, "open");
/// let error: Box<dyn std::error::Error + Send + Sync> = Refused::new(&OPEN).into();
/// assert_eq!(find_cause::<Refused>(&*error).map(Refused::layer), Some("breaker"));
/// ```
#[must_use]
pub fn find_cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = beneath(error);
    }
    None
}

/// The next error of a chain.
pub(crate) fn beneath<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    // An `io::Error` shows the sources of what it wraps, and not the wrapped error itself.
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Reason = Reason::new("breaker", Kind::Unavailable, "open");
    const FULL: Reason = Reason::new("limit", Kind::Exhausted, "full");

    #[test]
    fn displays_layer_name_and_reason() {
        let refused = Refused::new(&OPEN);
        assert_eq!(refused.to_string(), "refused by breaker: open");
        assert_eq!(refused.with_name(Some("pay".into())).to_string(), "refused by breaker pay: open");
    }

    #[test]
    fn found_behind_wrappers() {
        let error = std::io::Error::other(std::io::Error::other(Refused::new(&FULL)));
        assert_eq!(find_cause::<Refused>(&error).map(Refused::kind), Some(Kind::Exhausted));
        assert!(find_cause::<Refused>(&std::io::Error::other("plain")).is_none());
    }

    #[test]
    fn is_three_words_long_and_keeps_any_wait() {
        assert_eq!(size_of::<Refused>(), 3 * size_of::<u64>());
        let wait = |wait| Refused::new(&OPEN).with_retry_after(wait).retry_after();
        assert_eq!(wait(Duration::ZERO), Some(Duration::ZERO));
        assert_eq!(wait(Duration::from_nanos(1_500)), Some(Duration::from_nanos(1_500)));
        assert!(wait(Duration::MAX) > Some(Duration::from_secs(1 << 34)));
        assert_eq!(Refused::new(&OPEN).retry_after(), None);
        assert!(format!("{:?}", Refused::new(&OPEN)).ends_with("retry_after: None }"));
    }
}
