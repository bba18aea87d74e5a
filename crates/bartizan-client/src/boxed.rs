use crate::{Body, BoxError};
use bytes::Bytes;
use http::{Request, Response};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use tower_service::Service;

/// A stack whose type is forgotten, for a struct to hold. Its clones share what the stack's clones share.
pub struct Boxed(Box<dyn Stack>);

impl Boxed {
    /// Boxes a stack.
    pub fn new<S, B>(stack: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self(Box::new(stack))
    }
}

impl Clone for Boxed {
    fn clone(&self) -> Self {
        Self(self.0.boxed_clone())
    }
}

impl fmt::Debug for Boxed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Boxed").finish_non_exhaustive()
    }
}

impl Service<Request<Body>> for Boxed {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, req: Request<Body>) -> BoxFuture {
        self.0.call(req)
    }
}

type BoxFuture = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

trait Stack: Send + Sync {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>>;
    fn call(&mut self, req: Request<Body>) -> BoxFuture;
    fn boxed_clone(&self) -> Box<dyn Stack>;
}

impl<S, B> Stack for S
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Service::poll_ready(self, cx).map_err(Into::into)
    }

    fn call(&mut self, req: Request<Body>) -> BoxFuture {
        let future = Service::call(self, req);
        Box::pin(async { future.await.map(|response| response.map(Body::new)).map_err(Into::into) })
    }

    fn boxed_clone(&self) -> Box<dyn Stack> {
        Box::new(self.clone())
    }
}
