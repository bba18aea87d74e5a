//! Calls by the script: what the inner service is to answer, and after how long.

use bartizan_core::{Attempt, Classify, ErrorsFail, Kind, Reason, Refused, Step, Verdict};
use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{Request, Response};
use http_body_util::Full;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio::time::sleep;
use tower::BoxError;

/// A request that says how it will end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    end: End,
    lasts: Duration,
    held: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Success,
    Failure,
    Ignored,
    Throttled(Option<Duration>),
    Panic,
    Never,
}

/// Succeeds.
pub const S: Call = Call::new(End::Success);
/// Fails: 503, or an error.
pub const F: Call = Call::new(End::Failure);
/// Is ignored: the refusal of another layer, which did not reach its service. Over HTTP it comes as a 503.
pub const I: Call = Call::new(End::Ignored);
/// Is throttled, with no word on for how long.
pub const T: Call = throttled(None);
/// Panics.
pub const P: Call = Call::new(End::Panic);

/// Is throttled, and asked to wait for whole seconds.
#[must_use]
pub const fn throttled(wait: Option<Duration>) -> Call {
    Call::new(End::Throttled(wait))
}

/// What the inner service answers in the HTTP flavour.
pub type HttpAnswer = Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send>>;

/// What the inner service answers in the typed flavour.
pub type TypedAnswer = Pin<Box<dyn Future<Output = Result<&'static str, BoxError>> + Send>>;

impl Call {
    /// Hangs until it is dropped.
    pub(crate) const HANGS: Self = Self::new(End::Never);

    const fn new(end: End) -> Self {
        Self { end, lasts: Duration::ZERO, held: false }
    }

    /// Lasts that long.
    #[must_use]
    pub const fn lasting(mut self, lasts: Duration) -> Self {
        self.lasts = lasts;
        self
    }

    /// Is found pending once, and is done when it is polled again.
    pub(crate) const fn held(mut self) -> Self {
        self.held = true;
        self
    }

    /// What the answer says, over HTTP in its body.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self.end {
            End::Success => "success",
            End::Failure => "failure",
            End::Ignored => "ignored",
            End::Throttled(_) => "throttled",
            End::Panic | End::Never => "no answer",
        }
    }

    /// Answers a request in the HTTP flavour.
    pub fn answer_http(request: Request<Self>) -> HttpAnswer {
        let call = request.into_body();
        Box::pin(async move { Ok(call.run().await.response()) })
    }

    /// Answers a request in the typed flavour.
    #[must_use]
    pub fn answer_typed(self) -> TypedAnswer {
        Box::pin(async move {
            match self.run().await.end {
                End::Success => Ok(self.text()),
                End::Throttled(wait) => Err(Throttle(wait).into()),
                End::Ignored => Err(Refused::new(&IGNORED).into()),
                _ => Err(self.text().into()),
            }
        })
    }

    async fn run(self) -> Self {
        if self.held {
            let mut polled = false;
            std::future::poll_fn(|_| {
                if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
        if !self.lasts.is_zero() {
            sleep(self.lasts).await;
        }
        match self.end {
            End::Never => std::future::pending().await,
            End::Panic => panic!("by the script"),
            _ => self,
        }
    }

    fn response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::from(self.text()));
        let code = match self.end {
            End::Throttled(_) => 429,
            End::Failure | End::Ignored => 503,
            _ => 200,
        };
        *response.status_mut() = code.try_into().expect("a status");
        match self.end {
            End::Ignored => {
                response.extensions_mut().insert(Refused::new(&IGNORED));
            }
            End::Throttled(Some(wait)) => {
                response.headers_mut().insert(RETRY_AFTER, wait.as_secs().into());
            }
            _ => {}
        }
        response
    }
}

const IGNORED: Reason = Reason::new(SCRIPT, Kind::Unavailable, "ignored");

/// The layer that the scripted refusals name.
pub(crate) const SCRIPT: &str = "script";

/// The error of a throttled call in the typed flavour.
#[derive(Clone, Copy, Debug)]
pub struct Throttle(Option<Duration>);

impl fmt::Display for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("throttled")
    }
}

impl std::error::Error for Throttle {}

/// [`ErrorsFail`] that knows [`Throttle`].
#[derive(Clone, Copy, Debug)]
pub struct Throttling;

impl<Req> Classify<Req> for Throttling {
    type Attempt = Self;

    fn start(&self, _: &Req) -> Self {
        Self
    }
}

impl<T> Attempt<T, BoxError> for Throttling {
    type AtEnd = Infallible;

    fn classify(self, out: Result<&T, &BoxError>) -> Step<Infallible> {
        match out.map_err(|error| error.downcast_ref()) {
            Err(Some(Throttle(wait))) => Step::Done(Verdict::Throttled(*wait)),
            _ => ErrorsFail.classify(out),
        }
    }
}
