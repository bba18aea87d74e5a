use super::BoxError;
use bartizan_http::bytes::{Buf, BufMut, Bytes};
use bartizan_http::http::header::HOST;
use bartizan_http::http::uri::{PathAndQuery, Scheme};
use bartizan_http::http::{HeaderValue, Request, Response, Uri};
use bartizan_http::http_body::{Body, Frame, SizeHint};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tower::Service;

/// An answer that is longer is not read on.
const LONGEST: usize = 4 << 20;

type Answered = Pin<Box<dyn Future<Output = Result<Response<Vec<u8>>, BoxError>> + Send>>;

type Sender = dyn Fn(Request<Payload>) -> Answered + Send + Sync;

/// Sends a request and returns the whole answer: by the service that it was given, or over a connection for each request, without
/// TLS. A connection of its own cannot be stale, and ends with its exchange.
#[derive(Clone, Default)]
pub(super) struct Client(Option<Arc<Sender>>);

impl Client {
    pub(super) fn new<S, B>(service: S) -> Self
    where
        S: Service<Request<Payload>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let service = Mutex::new(service);
        Self(Some(Arc::new(move |request| {
            let mut service = service.lock().unwrap_or_else(PoisonError::into_inner).clone();
            Box::pin(read(async move {
                poll_fn(|cx| service.poll_ready(cx)).await.map_err(Into::into)?;
                service.call(request).await.map_err(Into::into)
            }))
        })))
    }

    pub(super) async fn exchange(&self, request: Request<Payload>) -> Result<Response<Vec<u8>>, BoxError> {
        match &self.0 {
            Some(send) => send(request).await,
            None => fresh(request).await,
        }
    }
}

/// Sends it over a connection of its own.
async fn fresh(mut request: Request<Payload>) -> Result<Response<Vec<u8>>, BoxError> {
    let to = request.uri().clone();
    if to.scheme() != Some(&Scheme::HTTP) {
        return Err(format!("speaks no {}", to.scheme_str().unwrap_or_default()).into());
    }
    // Over HTTP/1 the place stands in a header.
    let path = to.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = Uri::from(path.parse::<PathAndQuery>()?);
    let authority = to.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    request.headers_mut().insert(HOST, HeaderValue::try_from(host)?);

    let host = to.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, to.port_u16().unwrap_or(80))).await?;
    stream.set_nodelay(true)?;
    let (mut client, connection) = http1::handshake(TokioIo::new(stream)).await?;
    beside(connection, read(async move { Ok(client.send_request(request).await?) })).await
}

/// Polls a connection beside the exchange over it, which ends them both.
async fn beside<C: Future, X: Future>(connection: C, exchange: X) -> X::Output {
    let (mut connection, mut exchange) = (pin!(connection), pin!(exchange));
    let mut open = true;
    poll_fn(|cx| {
        // What ended it, the exchange hears too.
        open = open && connection.as_mut().poll(cx).is_pending();
        exchange.as_mut().poll(cx)
    })
    .await
}

/// Waits for an answer and reads it to its end.
async fn read<B>(
    answer: impl Future<Output = Result<Response<B>, BoxError>>,
) -> Result<Response<Vec<u8>>, BoxError>
where
    B: Body<Error: Into<BoxError>>,
{
    let (parts, body) = answer.await?.into_parts();
    let mut body = pin!(body);
    let mut read = Vec::new();
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let Ok(data) = frame.map_err(Into::into)?.into_data() else { continue };
        if data.remaining() > LONGEST - read.len() {
            return Err(format!("answered more than {LONGEST} bytes").into());
        }
        read.put(data);
    }
    Ok(Response::from_parts(parts, read))
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Client(..)" } else { "Client(a connection each)" })
    }
}

/// The body of the requests that go through a client of yours. It is empty.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Payload;

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(0)
    }
}
