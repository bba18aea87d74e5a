//! The ground on which all run: inner services, and what drives a call through a stack.

use std::{
    convert::Infallible,
    fmt,
    future::{Ready, ready},
    hint::black_box,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use bartizan_core::Refused;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower_service::Service;

/// The error of most tower services.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A user's own error, which takes a layer's no as it is: where calls are refused, nothing shall be allocated.
#[derive(Debug)]
pub(crate) enum Fault {
    /// A layer's own no.
    Refused(Refused),
    /// The service answered, and badly.
    Down,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => refused.fmt(f),
            Self::Down => f.write_str("down"),
        }
    }
}

impl std::error::Error for Fault {}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// Answers each number with itself, at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Echo;

impl Service<u64> for Echo {
    type Response = u64;
    type Error = BoxError;
    type Future = Ready<Result<u64, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u64) -> Self::Future {
        ready(Ok(request))
    }
}

/// Fails every call, at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Broken;

impl Service<u64> for Broken {
    type Response = u64;
    type Error = Fault;
    type Future = Ready<Result<u64, Fault>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: u64) -> Self::Future {
        ready(Err(Fault::Down))
    }
}

/// Answers each number with itself, on the second poll.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Late;

impl Service<u64> for Late {
    type Response = u64;
    type Error = BoxError;
    type Future = PendingOnce;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u64) -> PendingOnce {
        PendingOnce { request, polled: false }
    }
}

/// Future of [`Late`].
#[derive(Debug)]
pub(crate) struct PendingOnce {
    request: u64,
    polled: bool,
}

impl Future for PendingOnce {
    type Output = Result<u64, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if std::mem::replace(&mut self.polled, true) {
            return Poll::Ready(Ok(self.request));
        }
        // Some layers poll nothing but what has been woken.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Answers each number with itself, at once, where a layer's no is an error of the user's own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Door;

impl Service<u64> for Door {
    type Response = u64;
    type Error = Fault;
    type Future = Ready<Result<u64, Fault>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u64) -> Self::Future {
        ready(Ok(request))
    }
}

/// Answers each HTTP request with 200 and its own body, at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site;

impl<B> Service<Request<B>> for Site {
    type Response = Response<B>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(Response::new(request.into_body())))
    }
}

/// The header that says on whose behalf a request comes.
pub(crate) const TENANT: &str = "x-tenant";

/// The number in the header [`TENANT`], 0 where there is none: how a user of a keyed limit tells requests apart.
#[inline(always)]
pub(crate) fn tenant(headers: &HeaderMap) -> u64 {
    let digits = headers.get(TENANT).map_or(&[][..], HeaderValue::as_bytes);
    digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit.wrapping_sub(b'0')))
}

/// Takes one call through `service` as a runtime would: ready, call, poll to the end.
///
/// Always inlined: what the driver itself moves about is nobody's cost.
#[inline(always)]
pub(crate) fn drive<S: Service<Req>, Req>(service: &mut S, request: Req) -> Result<S::Response, S::Error> {
    let mut context = Context::from_waker(Waker::noop());
    while service.poll_ready(&mut context)?.is_pending() {}
    finish(service.call(request))
}

/// Polls `future` to its end.
#[inline(always)]
pub(crate) fn finish<F: Future>(future: F) -> F::Output {
    let mut context = Context::from_waker(Waker::noop());
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

/// Takes one call through `service` and reads the answer's body to its end, as a server does.
#[inline(always)]
pub(crate) fn read<S, B>(service: &mut S, request: Request<Full<Bytes>>)
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>>,
    B: Body,
{
    let mut context = Context::from_waker(Waker::noop());
    if let Ok(response) = drive(service, request) {
        let (head, body) = response.into_parts();
        black_box(head.status);
        let mut body = pin!(body);
        while !body.is_end_stream() {
            match body.as_mut().poll_frame(&mut context) {
                Poll::Ready(Some(frame)) => drop(black_box(frame)),
                Poll::Ready(None) => break,
                Poll::Pending => {}
            }
        }
    }
}
