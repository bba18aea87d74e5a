use crate::error::BoxError;
use crate::probe::{beside, connect};
use bytes::{Buf, BufMut, Bytes};
use http::header::HOST;
use http::uri::Scheme;
use http::{HeaderValue, Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::timeout;
use tower_service::Service;

/// How much of an answer is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Until there is a connection. None: whoever waits has a time-out of his own.
    pub(crate) connect: Option<Duration>,
    /// From then on until its head has come.
    pub(crate) head: Option<Duration>,
    /// From then on until its end, and how long it may be. None: the head is enough.
    pub(crate) body: Option<(Duration, usize)>,
}

impl Limits {
    /// The head, and the time is somebody else's.
    pub(crate) const HEAD: Self = Self { connect: None, head: None, body: None };
}

type Answered = Pin<Box<dyn Future<Output = Result<Response<Vec<u8>>, BoxError>> + Send>>;

type Sender = dyn Fn(Request<Payload>, Limits) -> Answered + Send + Sync;

/// Sends a request and returns the whole answer: by the service that it was given, or over a connection for each request, without
/// TLS. A connection of its own cannot be stale, and ends with its exchange.
#[derive(Clone, Default)]
pub(crate) struct Client(Option<Arc<Sender>>);

impl Client {
    pub(crate) fn new<S, B>(service: S) -> Self
    where
        S: Service<Request<Payload>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let service = Mutex::new(service);
        Self(Some(Arc::new(move |request, limits| {
            let mut service = service.lock().unwrap_or_else(PoisonError::into_inner).clone();
            Box::pin(read(limits, async move {
                poll_fn(|cx| service.poll_ready(cx)).await.map_err(Into::into)?;
                service.call(request).await.map_err(Into::into)
            }))
        })))
    }

    /// Whether it is a service of the user's.
    pub(crate) const fn is_given(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) async fn exchange(
        &self,
        request: Request<Payload>,
        limits: Limits,
    ) -> Result<Response<Vec<u8>>, BoxError> {
        match &self.0 {
            Some(send) => send(request, limits).await,
            None => fresh(request, limits).await,
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_given() { "Client(..)" } else { "Client(a connection each)" })
    }
}

/// Sends it over a connection of its own.
async fn fresh(mut request: Request<Payload>, limits: Limits) -> Result<Response<Vec<u8>>, BoxError> {
    let to = request.uri().clone();
    if to.scheme() != Some(&Scheme::HTTP) {
        return Err(format!("speaks no {}", to.scheme_str().unwrap_or_default()).into());
    }
    // Over HTTP/1 the place stands in a header.
    *request.uri_mut() =
        Uri::from(to.path_and_query().map_or("/", |path| path.as_str()).parse::<http::uri::PathAndQuery>()?);
    if !request.headers().contains_key(HOST) {
        let authority = to.authority().map_or("", |authority| authority.as_str());
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        request.headers_mut().insert(HOST, HeaderValue::try_from(host)?);
    }
    let connected = async {
        let stream = connect(&to).await?;
        Ok::<_, BoxError>(http1::handshake(TokioIo::new(stream)).await?)
    };
    let (mut client, connection) = within(limits.connect, connected).await??;
    beside(connection, read(limits, async move { Ok(client.send_request(request).await?) })).await
}

/// Waits for an answer and reads it, each within its limits.
async fn read<B>(
    limits: Limits,
    answer: impl Future<Output = Result<Response<B>, BoxError>>,
) -> Result<Response<Vec<u8>>, BoxError>
where
    B: Body<Error: Into<BoxError>>,
{
    let (parts, body) = within(limits.head, answer).await??.into_parts();
    let read = match limits.body {
        None => Vec::new(),
        Some((longest, most)) => within(Some(longest), collect(body, most)).await??,
    };
    Ok(Response::from_parts(parts, read))
}

async fn within<T>(limit: Option<Duration>, future: impl Future<Output = T>) -> Result<T, BoxError> {
    match limit {
        None => Ok(future.await),
        Some(limit) => {
            timeout(limit, future).await.map_err(|_| BoxError::from(format!("no answer within {limit:?}")))
        }
    }
}

async fn collect<B>(body: B, most: usize) -> Result<Vec<u8>, BoxError>
where
    B: Body<Error: Into<BoxError>>,
{
    let mut body = pin!(body);
    let mut read = Vec::new();
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let Ok(data) = frame.map_err(Into::into)?.into_data() else { continue };
        if data.remaining() > most - read.len() {
            return Err(format!("answered more than {most} bytes").into());
        }
        read.put(data);
    }
    Ok(read)
}

/// The body of the requests that go through a client of yours. It is whole, and mostly empty.
#[derive(Clone, Debug)]
pub struct Payload(Option<Bytes>);

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self((!bytes.is_empty()).then_some(bytes))
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
