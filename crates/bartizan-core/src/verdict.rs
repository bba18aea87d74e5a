use std::time::Duration;

/// How a request ended, as a layer judges it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The service did what it was asked, or said with good reason that it will not (a 404, an `INVALID_ARGUMENT`).
    Success,
    /// The service failed: an error, a 5xx, a time-out that hit while it was at work.
    Failure,
    /// The service asked its callers to slow down (429, `RESOURCE_EXHAUSTED`), with the pause that it asked for.
    Throttled(Option<Duration>),
    /// Says nothing about the service: the caller left, or a layer on this side refused.
    Ignored,
}

/// A verdict that is known now, or what will find it at the end of the response body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<P> {
    /// Nothing that follows can change the verdict.
    Done(Verdict),
    /// The head was good; trailers, end or error of the body decide.
    AtEnd(P),
}
