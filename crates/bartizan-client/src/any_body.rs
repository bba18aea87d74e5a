use crate::{Body, BoxError};
use bytes::Bytes;
use http::Request;
use std::fmt;
use std::task::{Context, Poll};
use tower_service::Service;

/// Service that takes any request body and hands the inner service the one type that it takes.
///
/// For a layer that changes the request body over a client that takes one type of body, such as tonic's `Channel`. Retry and hedge
/// are such layers, as they keep the body to send it again, and some of tower-http's. Without it the compiler says that
/// `Channel: Service<Request<Replay<Body>>>` is not satisfied.
///
/// ```
/// use bartizan_client::{AnyBody, Body};
/// use http::{Request, Response};
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
/// # use std::convert::Infallible;
/// # /// Stands for tonic.
/// # mod tonic { pub mod body {
/// #     pub struct Body;
/// #     impl Body { pub fn new(_: bartizan_client::Body) -> Self { Self } }
/// # } }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Infallible> {
/// # let channel = service_fn(|_: Request<tonic::body::Body>| async { Ok::<_, Infallible>(Response::new(())) });
/// let service = ServiceBuilder::new()
///     .map_request(|req: Request<Body>| req.map(|body| http_body_util::Limited::new(body, 65_536)))
///     .service(AnyBody::new(channel, tonic::body::Body::new));
/// # service.oneshot(Request::new(Body::empty())).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AnyBody<S, F> {
    inner: S,
    into: F,
}

impl<S, F> AnyBody<S, F> {
    /// Creates a service that turns each body into what `into` makes of it, and calls `inner`.
    pub const fn new(inner: S, into: F) -> Self {
        Self { inner, into }
    }

    /// The inner service.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service, to be changed.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Takes the inner service out.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, F, B, To> Service<Request<B>> for AnyBody<S, F>
where
    S: Service<Request<To>>,
    F: Fn(Body) -> To,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, req: Request<B>) -> S::Future {
        self.inner.call(req.map(|body| (self.into)(Body::new(body))))
    }
}

impl<S: fmt::Debug, F> fmt::Debug for AnyBody<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyBody").field("inner", &self.inner).finish_non_exhaustive()
    }
}
