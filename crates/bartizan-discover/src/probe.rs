use crate::error::BoxError;
use crate::place;
use bartizan_core::Health;
use http::Uri;
use std::pin::Pin;
use tokio::net::TcpStream;

#[cfg(feature = "grpc")]
mod grpc;
#[cfg(feature = "hyper")]
mod http_get;

#[cfg(feature = "grpc")]
pub use grpc::Grpc;
#[cfg(feature = "hyper")]
pub use http_get::Http;

/// The future of a [`Probe`].
pub type Probing = Pin<Box<dyn Future<Output = Result<Health, BoxError>> + Send>>;

/// Asks one member whether it is well. Implemented by functions `Fn(Uri) -> impl Future<Output = Result<Health, E>>` too.
///
/// It is asked within a time-out, and its future is dropped when that is over. An error is a failure, as [`Health::Down`] is, with a
/// cause, and so is a panic; [`Health::Unknown`] counts for nothing.
pub trait Probe: Clone + Send + 'static {
    /// Asks the member at this place.
    fn probe(&self, member: Uri) -> Probing;
}

impl<F, R, E> Probe for F
where
    F: Fn(Uri) -> R + Clone + Send + 'static,
    R: Future<Output = Result<Health, E>> + Send + 'static,
    E: Into<BoxError>,
{
    fn probe(&self, member: Uri) -> Probing {
        let asked = self(member);
        Box::pin(async move { asked.await.map_err(Into::into) })
    }
}

/// A probe that a member passes by accepting a connection, whatever it speaks. It says little: a process that hangs accepts too.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Tcp;

impl Tcp {
    /// Creates the probe.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Probe for Tcp {
    fn probe(&self, member: Uri) -> Probing {
        Box::pin(async move {
            connect(&member).await?;
            Ok(Health::Up)
        })
    }
}

/// Connects to where a `Uri` says.
pub(crate) async fn connect(to: &Uri) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect((place::host(to), place::port(to))).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Polls a connection beside the exchange over it, which ends them both.
#[cfg(any(feature = "grpc", feature = "hyper"))]
pub(crate) async fn beside<C: Future, X: Future>(connection: C, exchange: X) -> X::Output {
    let mut connection = std::pin::pin!(connection);
    let mut exchange = std::pin::pin!(exchange);
    let mut open = true;
    std::future::poll_fn(|cx| {
        // What ended it, the exchange hears too.
        open = open && connection.as_mut().poll(cx).is_pending();
        exchange.as_mut().poll(cx)
    })
    .await
}
