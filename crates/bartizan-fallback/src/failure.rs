use crate::on::{Outcome, Signs};
use bartizan_core::{Refused, recognised};
use bartizan_http::http::Response;
use bartizan_http::wire;
use std::any::Any;
use std::error::Error;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

/// How the call failed that something else took the place of.
///
/// It is an [`Error`]; its source is the error of the inner service, where that is known as one, or the [`Refused`] of a layer inside.
pub struct Failure {
    outcome: Outcome,
    refused: Option<Refused>,
    retry_after: Option<Duration>,
    error: Option<Box<dyn Any + Send + Sync>>,
}

impl Failure {
    /// The failure that an answer is, of any protocol.
    pub(crate) fn of_answer() -> Self {
        Self::new(&Signs { outcome: Outcome::Answer, refused: None })
    }

    /// The failure that an answer is, by its head.
    pub(crate) fn of_response<B>(response: &Response<B>) -> Self {
        let signs = Signs::of_response(response);
        let said = || match signs.outcome {
            Outcome::Grpc(_) => wire::read_pushback(response.headers()),
            _ => wire::read_retry_after(response.headers()),
        };
        let failure = Self::new(&signs);
        Self { retry_after: failure.retry_after.or_else(said), ..failure }
    }

    /// The failure that an error of the inner service is.
    pub(crate) fn of_error<E: Send + Sync + 'static>(error: E) -> Self {
        let failure = Self::new(&Signs::of_error(&error));
        Self { error: Some(Box::new(error)), ..failure }
    }

    /// The failure of an inner service that is not ready.
    pub(crate) fn unready() -> Self {
        Self::new(&Signs::UNREADY)
    }

    fn new(signs: &Signs<'_>) -> Self {
        let refused = signs.refused.cloned();
        let retry_after = refused.as_ref().and_then(Refused::retry_after);
        Self { outcome: signs.outcome, refused, retry_after, error: None }
    }

    /// How the call ended.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The refusal by a layer inside, if it is one.
    #[must_use]
    pub const fn refused(&self) -> Option<&Refused> {
        self.refused.as_ref()
    }

    /// After how long another try makes sense, if somebody said so.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The error of the inner service, unchanged, if it was one of this type.
    #[must_use]
    pub fn error<E: 'static>(&self) -> Option<&E> {
        self.error.as_deref()?.downcast_ref()
    }

    /// Takes the error of the inner service out.
    pub(crate) fn into_error<E: 'static>(self) -> Option<E> {
        self.error?.downcast().ok().map(|error| *error)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure")
            .field("outcome", &self.outcome)
            .field("refused", &self.refused)
            .field("source", &self.source())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.outcome {
            _ if self.refused.is_some() => f.write_str("the call was refused"),
            Outcome::Status(status) => write!(f, "the call was answered with status {status}"),
            Outcome::Grpc(code) => write!(f, "the call was answered with gRPC code {code}"),
            Outcome::Answer => f.write_str("the call was answered with a failure"),
            Outcome::Error => f.write_str("the call ended in an error"),
            Outcome::Unready => f.write_str("the inner service was not ready"),
        }
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let any: Option<&(dyn Any + Send + Sync)> = self.error.as_deref();
        let error = any.and_then(|error| recognised(error));
        error.or_else(|| self.refused.as_ref().map(|refused| refused as _))
    }
}

/// What a function is given that is to find something in place of a failure: the [`Failure`], and what was
/// [kept](crate::FallbackLayer::key) of the request.
pub struct Failed<K = ()> {
    /// What was kept of the request before it was sent.
    pub key: K,
    failure: Arc<Failure>,
}

impl<K> Failed<K> {
    pub(crate) const fn new(key: K, failure: Arc<Failure>) -> Self {
        Self { key, failure }
    }

    pub(crate) fn into_failure(self) -> Arc<Failure> {
        self.failure
    }
}

impl<K> Deref for Failed<K> {
    type Target = Failure;

    fn deref(&self) -> &Failure {
        &self.failure
    }
}

impl<K: fmt::Debug> fmt::Debug for Failed<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failed").field("key", &self.key).field("failure", &self.failure).finish()
    }
}

/// Marks an answer, in its extensions, that took the place of a failure.
///
/// ```
/// use bartizan_fallback::Degraded;
///
/// fn is_fresh<B>(answer: &http::Response<B>) -> bool {
///     answer.extensions().get::<Degraded>().is_none()
/// }
/// # assert!(is_fresh(&http::Response::new(())));
/// ```
#[derive(Clone, Debug)]
pub struct Degraded(Arc<Failure>);

impl Degraded {
    pub(crate) const fn new(failure: Arc<Failure>) -> Self {
        Self(failure)
    }

    /// How the call failed.
    #[must_use]
    pub fn failure(&self) -> &Failure {
        &self.0
    }
}

/// The error of a fallback that has failed as well, where the error type of the inner service is a boxed one.
///
/// It says what the fallback's own error says; its source is the first [`Failure`].
#[derive(Debug)]
pub struct FallbackError {
    error: Box<dyn Error + Send + Sync>,
    failure: Arc<Failure>,
}

impl FallbackError {
    /// Puts the failure behind the error of the fallback, if its type can carry that.
    pub(crate) fn join<E: 'static>(error: E, failure: Arc<Failure>) -> E {
        let mut slot = Some(error);
        let any: &mut dyn Any = &mut slot;
        if let Some(boxed) = any.downcast_mut::<Option<Box<dyn Error + Send + Sync>>>() {
            let joined = boxed.take().map(|error| Self { error, failure });
            *boxed = joined.map(|joined| Box::new(joined) as _);
        }
        slot.expect("what was taken out was put back")
    }

    /// The fallback's own error.
    #[must_use]
    pub fn error(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.error
    }

    /// How the call failed in whose place the fallback was asked.
    #[must_use]
    pub fn failure(&self) -> &Failure {
        &self.failure
    }
}

impl fmt::Display for FallbackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for FallbackError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_core::{Kind, Reason, find_cause};
    use std::io;

    const OPEN: Reason = Reason::new("breaker", Kind::Unavailable, "open");

    type BoxError = Box<dyn Error + Send + Sync>;

    #[test]
    fn an_error_stays_what_it_is() {
        let failure = Failure::of_error::<BoxError>(io::Error::from(io::ErrorKind::TimedOut).into());
        assert_eq!(failure.to_string(), "the call ended in an error");
        assert_eq!(failure.source().unwrap().to_string(), "timed out");
        assert!(failure.error::<BoxError>().is_some() && failure.error::<io::Error>().is_none());
        assert!(failure.into_error::<BoxError>().unwrap().is::<io::Error>());
    }

    #[test]
    fn a_refusal_is_found_with_its_pause() {
        let refused = Refused::new(&OPEN).with_retry_after(Duration::from_secs(3));
        let failure = Failure::of_response(&bartizan_http::answer(refused, bartizan_http::Form::Http));
        assert_eq!(failure.to_string(), "the call was refused");
        assert_eq!(find_cause::<Refused>(&failure).map(Refused::reason), Some("open"));
        assert_eq!(failure.retry_after(), Some(Duration::from_secs(3)));
        let said = Response::builder().status(429).header("retry-after", "7").body(()).unwrap();
        assert_eq!(Failure::of_response(&said).retry_after(), Some(Duration::from_secs(7)));
    }

    #[test]
    fn a_boxed_error_carries_the_failure() {
        let failure = Arc::new(Failure::of_error::<BoxError>(Refused::new(&OPEN).into()));
        let joined = FallbackError::join::<BoxError>("no luck either".into(), failure.clone());
        assert_eq!(joined.to_string(), "no luck either");
        assert!(find_cause::<Refused>(&*joined).is_some());
        let joined = joined.downcast::<FallbackError>().unwrap();
        assert_eq!(joined.failure().outcome(), Outcome::Error);
        assert_eq!(FallbackError::join(7, failure), 7, "an error that cannot stays as it is");
    }
}
