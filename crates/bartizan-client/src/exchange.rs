use crate::{Body, BoxError, Error, Response};
use bartizan_core::Refused;
use bytes::Bytes;
use http::Request;
use std::future::poll_fn;
use tower_service::Service;

/// Sends a request through a stack, and tells a layer's own no from an answer.
pub(crate) async fn exchange<S, B>(
    mut stack: S,
    request: Request<Body>,
    max_body: usize,
) -> Result<Response, Error>
where
    S: Service<Request<Body>, Response = http::Response<B>>,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let failed = |error: S::Error| Error::of(error.into(), Error::Unanswered);
    let uri = request.uri().clone();
    poll_fn(|cx| stack.poll_ready(cx)).await.map_err(failed)?;
    let mut response = stack.call(request).await.map_err(failed)?;
    match response.extensions_mut().remove::<Refused>() {
        Some(refused) => Err(Error::Refused(refused)),
        None => Ok(Response::new(response.map(Body::new), uri, max_body)),
    }
}
