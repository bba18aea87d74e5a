use bartizan_core::Invalid;
use http::{HeaderName, HeaderValue, StatusCode};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

/// What is done to a call, to which calls, and for how long.
///
/// A fault without a restriction is done to every call. Restrictions join: with a [`share`](Self::share) and a
/// [`header`](Self::header), it is done to that share of the calls that carry the header.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    pub(crate) harm: Harm,
    pub(crate) share: f64,
    pub(crate) header: Option<(HeaderName, HeaderValue)>,
    pub(crate) key: Option<Arc<str>>,
    pub(crate) after: Duration,
    pub(crate) lasting: Option<Duration>,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Harm {
    Delay(Duration),
    Error,
    Status(StatusCode),
    Grpc(u16),
    Hang,
    Reset,
    Truncate(usize),
    Drip(NonZeroUsize, Duration),
    Panic,
    LoseReply,
}

const NO_ANSWER: &str = "status must not be informational";
const NO_CODE: &str = "grpc must be a code of gRPC, 0 to 16";
const NO_SHARE: &str = "share must be within 0.0..=1.0";

impl Fault {
    /// The call begins later by so much, up to some thirty years.
    #[must_use]
    pub fn delay(by: Duration) -> Self {
        Self::new(Harm::Delay(by))
    }

    /// The answer is an error, and the inner service is not called: 500 with a problem in JSON, for gRPC the code 13, `INTERNAL`. Typed: the error
    /// made from a [`Refused`](bartizan_core::Refused) that says that it reached the service.
    #[must_use]
    pub fn error() -> Self {
        Self::new(Harm::Error)
    }

    /// The answer is this status with a problem in JSON; for gRPC with nothing, so that clients make a code of it. The inner service is not
    /// called. Typed: an error.
    ///
    /// # Panics
    ///
    /// When `status` is informational (1xx), which is no answer; [`try_status`](Self::try_status) returns an error instead.
    #[must_use]
    #[track_caller]
    pub fn status(status: StatusCode) -> Self {
        match Self::try_status(status) {
            Ok(fault) => fault,
            Err(_) => panic!("{NO_ANSWER}"),
        }
    }

    /// The answer is this status, as [`status`](Self::status) does.
    ///
    /// # Errors
    ///
    /// When `status` is informational (1xx).
    pub fn try_status(status: StatusCode) -> Result<Self, Invalid> {
        if status.is_informational() {
            return Err(Invalid::new("status", NO_ANSWER));
        }
        Ok(Self::new(Harm::Status(status)))
    }

    /// The answer is this gRPC code, 0 to 16, and to HTTP the status that goes with it (google.rpc.Code). The inner service is not
    /// called. Typed: an error.
    ///
    /// # Panics
    ///
    /// When `code` is above 16; [`try_grpc`](Self::try_grpc) returns an error instead.
    #[must_use]
    #[track_caller]
    pub fn grpc(code: u16) -> Self {
        match Self::try_grpc(code) {
            Ok(fault) => fault,
            Err(_) => panic!("{NO_CODE}"),
        }
    }

    /// The answer is this gRPC code, as [`grpc`](Self::grpc) does.
    ///
    /// # Errors
    ///
    /// When `code` is above 16.
    pub fn try_grpc(code: u16) -> Result<Self, Invalid> {
        if code > 16 {
            return Err(Invalid::new("grpc", NO_CODE));
        }
        Ok(Self::new(Harm::Grpc(code)))
    }

    /// There is no answer, ever, and the inner service is not called. The call ends when it is dropped.
    #[must_use]
    pub fn hang() -> Self {
        Self::new(Harm::Hang)
    }

    /// The connection breaks, and the inner service is not called: the answer is a head of 200 whose body fails at once, for which hyper's
    /// server closes an HTTP/1 connection, and resets the stream in HTTP/2, before it has sent a byte. A gRPC client of tonic's sees
    /// `INTERNAL`. Around a client it is that head and that body. Typed: an error.
    #[must_use]
    pub fn reset() -> Self {
        Self::new(Harm::Reset)
    }

    /// The body of the answer breaks off after so many bytes, if it is longer; the head still promises all of it. It breaks 5 ms after the
    /// last of them, as hyper's server would otherwise send neither them nor the head. Typed: nothing happens.
    #[must_use]
    pub fn truncate(bytes: usize) -> Self {
        Self::new(Harm::Truncate(bytes))
    }

    /// The body of the answer comes so many bytes at a time, with this pause before each. Typed: nothing happens.
    #[must_use]
    pub fn drip(bytes: NonZeroUsize, pause: Duration) -> Self {
        Self::new(Harm::Drip(bytes, pause))
    }

    /// The call panics when it is first polled, and the inner service is not called. What catches no panic breaks the connection, or the
    /// HTTP/2 stream.
    #[must_use]
    pub fn panic() -> Self {
        Self::new(Harm::Panic)
    }

    /// The inner service is called and comes to its end, its answer's body as well; then the reply is lost, and nothing is ever heard of it. What
    /// the service has committed is committed. The call ends when it is dropped, and the inner one with it, if it has not come to its end.
    #[must_use]
    pub fn lose_reply() -> Self {
        Self::new(Harm::LoseReply)
    }

    fn new(harm: Harm) -> Self {
        Self { harm, share: 1.0, header: None, key: None, after: Duration::ZERO, lasting: None }
    }

    /// Restricts it to a share of the calls, in `0.0..=1.0`. Default: all of them.
    ///
    /// # Panics
    ///
    /// When `share` lies outside; [`try_share`](Self::try_share) returns an error instead.
    #[must_use]
    #[track_caller]
    pub fn share(self, share: f64) -> Self {
        match self.try_share(share) {
            Ok(fault) => fault,
            Err(_) => panic!("{NO_SHARE}"),
        }
    }

    /// Restricts it to a share of the calls, as [`share`](Self::share) does.
    ///
    /// # Errors
    ///
    /// When `share` lies outside of `0.0..=1.0`.
    pub fn try_share(mut self, share: f64) -> Result<Self, Invalid> {
        if !(0.0..=1.0).contains(&share) {
            return Err(Invalid::new("share", NO_SHARE));
        }
        self.share = share;
        Ok(self)
    }

    /// Restricts it to requests with this header, of this value. Typed: to none, as there are no headers. Default: no restriction.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some((name, value));
        self
    }

    /// Restricts it to requests of which the layer's [`key`](crate::FaultLayer::key) function says this. Without such a function: to
    /// none. Default: no restriction.
    #[must_use]
    pub fn key(mut self, key: impl Into<Arc<str>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Lets it begin so long after it was injected, or after the layer was created. Default: at once.
    #[must_use]
    pub fn after(mut self, pause: Duration) -> Self {
        self.after = pause;
        self
    }

    /// Lets it end by itself so long after it has begun. Default: it lasts until it is lifted.
    #[must_use]
    pub fn lasting(mut self, time: Duration) -> Self {
        self.lasting = Some(time);
        self
    }
}
