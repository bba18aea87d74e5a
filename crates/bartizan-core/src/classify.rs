use crate::{Refused, Step, Verdict, find_cause, recognised};
use std::any::Any;
use std::convert::Infallible;

/// Judges requests in up to three stages; this is the first, which sees the request.
///
/// It runs once for every admitted request, outside all locks. A panic inside it hurts that request alone.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot judge a request of type `{Req}`",
    note = "the HTTP flavour of a layer judges `http::Request<B>` for any `B`; for other requests take `.typed()`"
)]
pub trait Classify<Req>: Clone + Send + Sync + 'static {
    /// What is kept of the request until its answer comes.
    type Attempt: Send + 'static;

    /// Looks at the request before it is sent.
    fn start(&self, req: &Req) -> Self::Attempt;
}

/// The second stage of a [`Classify`]: it sees the head of the answer, or the error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot judge an answer of type `{Res}` with errors of type `{Err}`",
    note = "the HTTP flavour of a layer judges `http::Response<B>` for any `B`; for other answers take `.typed()`"
)]
pub trait Attempt<Res, Err>: Send + 'static {
    /// What finds the verdict at the end of the body. [`Infallible`] where the head always decides, as the
    /// typed flavour of a layer asks; the HTTP flavour asks for `bartizan_http::AtEnd`.
    type AtEnd: Send + 'static;

    /// Judges the answer, or defers to the end of its body.
    fn classify(self, out: Result<&Res, &Err>) -> Step<Self::AtEnd>;
}

/// Classifier of the typed flavour: `Ok` is a [`Success`](Verdict::Success), `Err` a
/// [`Failure`](Verdict::Failure), but an error that is a [`Refused`] which did not reach the service is
/// [`Ignored`](Verdict::Ignored).
///
/// A refusal is found where the error is a [`Refused`], or has one in its chain of sources and is a boxed error or of a type that
/// was made known by [`recognise`](crate::recognise).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErrorsFail;

impl<Req> Classify<Req> for ErrorsFail {
    type Attempt = ErrorsFail;

    #[inline]
    fn start(&self, _: &Req) -> ErrorsFail {
        ErrorsFail
    }
}

impl<Res, E: 'static> Attempt<Res, E> for ErrorsFail {
    type AtEnd = Infallible;

    #[inline]
    fn classify(self, out: Result<&Res, &E>) -> Step<Infallible> {
        Step::Done(match out {
            Ok(_) => Verdict::Success,
            Err(error) => judge_error(error),
        })
    }
}

impl ErrorsFail {
    /// Judges an error of any type by the rule of this classifier.
    pub fn judge<E: 'static>(error: &E) -> Verdict {
        judge_error(error)
    }

    /// Finds the refusal that an error of any type is, by the rule of this classifier.
    #[cold]
    #[must_use]
    pub fn refusal<E: 'static>(error: &E) -> Option<&Refused> {
        find_refused(error)
    }
}

#[cold]
fn judge_error(error: &dyn Any) -> Verdict {
    match find_refused(error) {
        Some(refused) if !refused.is_verdict() => Verdict::Ignored,
        _ => Verdict::Failure,
    }
}

fn find_refused(error: &dyn Any) -> Option<&Refused> {
    error.downcast_ref().or_else(|| recognised(error).and_then(find_cause))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Reason};
    use std::error::Error;

    const BEFORE: Reason = Reason::new("test", Kind::Unavailable, "no");
    const AFTER: Reason = BEFORE.reached();
    const LATE: Reason = AFTER.by_caller();

    fn judge<E: 'static>(error: &E) -> Verdict {
        match ErrorsFail.classify(Err::<&(), _>(error)) {
            Step::Done(verdict) => verdict,
            Step::AtEnd(never) => match never {},
        }
    }

    #[test]
    fn errors_fail_unless_they_are_refusals_that_did_not_reach() {
        let (refused, reached) = (Refused::new(&BEFORE), Refused::new(&AFTER));
        let boxed = |refused: &Refused| Box::<dyn Error + Send + Sync>::from(refused.clone());
        let io: std::io::Error = std::io::Error::other(refused.clone());
        let table: [(Verdict, Verdict); 7] = [
            (judge(&boxed(&Refused::new(&LATE))), Verdict::Ignored),
            (judge(&"plain"), Verdict::Failure),
            (judge(&refused), Verdict::Ignored),
            (judge(&reached), Verdict::Failure),
            (judge(&boxed(&refused)), Verdict::Ignored),
            (judge(&boxed(&reached)), Verdict::Failure),
            (judge(&Box::<dyn Error>::from(io)), Verdict::Ignored),
        ];
        for (row, (is, ought)) in table.into_iter().enumerate() {
            assert_eq!(is, ought, "row {row}");
        }
        assert_eq!(Attempt::<(), ()>::classify(ErrorsFail, Ok(&())), Step::Done(Verdict::Success));
    }
}
