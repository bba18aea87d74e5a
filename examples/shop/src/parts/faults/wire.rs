//! The ways to others: straight, or by a detour on which something is done to the connections.
//!
//! A detour is there while a fault is. When it comes, the connections that go straight are cut, or stand still, so that it bites at once;
//! when it goes, so do those that went by it.

use fastrand::Rng;
use http::Uri;
use http::uri::{Authority, PathAndQuery};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use std::io::{ErrorKind, IoSlice, Result as IoResult};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tower::Service;

/// The ways of this process. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Wire(Arc<Mutex<Ways>>);

#[derive(Debug)]
struct Ways {
    next: u64,
    dice: Rng,
    detours: Vec<(u64, Detour, Vec<Standing>)>,
    /// The connections that go straight.
    straight: Vec<Going>,
}

impl Default for Ways {
    fn default() -> Self {
        Self { next: 0, dice: Rng::with_seed(0), detours: Vec::new(), straight: Vec::new() }
    }
}

/// Ends when a connection that stands still is to be cut.
type Standing = oneshot::Sender<()>;

/// A way around.
#[derive(Clone, Debug)]
pub struct Detour {
    /// Of the calls of a hop alone: `order->payment`.
    pub hop: Option<String>,
    /// To whom.
    pub from: SocketAddr,
    /// Who is connected to instead.
    pub to: SocketAddr,
    /// Of the connections, above 0 and up to 1.
    pub share: f64,
    /// Whether connections that are there stand still; else they are cut.
    pub stands: bool,
}

/// A detour that is there, until this is dropped.
#[derive(Debug)]
pub struct Detoured(Wire, u64);

/// A connection that goes straight.
#[derive(Debug)]
struct Going {
    hop: String,
    to: SocketAddr,
    fate: oneshot::Sender<Fate>,
}

/// What a detour does to a connection that is there.
#[derive(Debug)]
enum Fate {
    Cut,
    /// It stands still until then.
    Stands(oneshot::Receiver<()>),
}

impl Wire {
    /// Has connections go another way from now on.
    pub fn divert(&self, detour: Detour) -> Detoured {
        let mut ways = self.ways();
        let Ways { next, dice, detours, straight } = &mut *ways;
        let id = *next;
        *next += 1;
        let mut standing = Vec::new();
        for going in straight.extract_if(.., |going| detour.is_for(&going.hop, going.to, dice)) {
            let fate = if detour.stands {
                let (until, ends) = oneshot::channel();
                standing.push(until);
                Fate::Stands(ends)
            } else {
                Fate::Cut
            };
            let _ = going.fate.send(fate);
        }
        detours.push((id, detour, standing));
        Detoured(self.clone(), id)
    }

    /// The way of a connection of a hop: where else it goes, or what becomes of it when a detour comes.
    fn way(&self, hop: &str, to: SocketAddr) -> Result<SocketAddr, oneshot::Receiver<Fate>> {
        let mut ways = self.ways();
        let Ways { dice, detours, straight, .. } = &mut *ways;
        if let Some((_, detour, _)) = detours.iter().find(|(_, detour, _)| detour.is_for(hop, to, dice)) {
            return Ok(detour.to);
        }
        let (fate, told) = oneshot::channel();
        straight.retain(|going| !going.fate.is_closed());
        straight.push(Going { hop: hop.to_owned(), to, fate });
        Err(told)
    }

    fn ways(&self) -> MutexGuard<'_, Ways> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Detour {
    /// Whether a connection goes by it.
    fn is_for(&self, hop: &str, to: SocketAddr, dice: &mut Rng) -> bool {
        self.from == to
            && self.hop.as_deref().is_none_or(|own| own == hop)
            && (self.share >= 1.0 || dice.f64() < self.share)
    }
}

impl Drop for Detoured {
    fn drop(&mut self) {
        self.0.ways().detours.retain(|(id, ..)| *id != self.1);
    }
}

/// Makes the connections of a hop, or of nobody.
#[derive(Clone, Debug)]
pub struct Connector {
    tcp: HttpConnector,
    line: Option<Line>,
}

/// The ways, for a hop.
#[derive(Clone, Debug)]
pub struct Line {
    pub(super) wire: Wire,
    pub(super) hop: String,
}

impl Connector {
    /// Without a line it goes straight.
    pub fn new(tcp: HttpConnector, line: Option<Line>) -> Self {
        Self { tcp, line }
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = <HttpConnector as Service<Uri>>::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.tcp.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let to = uri.authority().and_then(|to| to.as_str().parse().ok());
        let way = self.line.as_ref().zip(to).map(|(line, to)| line.wire.way(&line.hop, to));
        let (uri, fate) = match way {
            None => (uri, None),
            Some(Ok(detour)) => (at(uri, detour), None),
            Some(Err(fate)) => (uri, Some(fate)),
        };
        let connecting = self.tcp.call(uri);
        Box::pin(async move {
            let io = connecting.await?;
            Ok(Stream { io, life: fate.map_or(Life::Free, Life::Straight) })
        })
    }
}

/// The same, of another address.
fn at(uri: Uri, address: SocketAddr) -> Uri {
    let mut parts = uri.clone().into_parts();
    parts.authority = Authority::try_from(address.to_string()).ok();
    parts.path_and_query.get_or_insert_with(|| PathAndQuery::from_static("/"));
    Uri::from_parts(parts).unwrap_or(uri)
}

/// A connection that ends, or stands still, when a detour takes its place.
#[derive(Debug)]
pub struct Stream {
    io: TokioIo<TcpStream>,
    life: Life,
}

#[derive(Debug)]
enum Life {
    /// Nothing is done to it here.
    Free,
    Straight(oneshot::Receiver<Fate>),
    Stands(oneshot::Receiver<()>),
    Cut,
}

impl Stream {
    /// Ready when it can be used; an error when it is cut.
    fn poll_life(&mut self, cx: &mut Context<'_>) -> Poll<IoResult<()>> {
        loop {
            self.life = match &mut self.life {
                Life::Free => return Poll::Ready(Ok(())),
                Life::Cut => return Poll::Ready(Err(ErrorKind::ConnectionReset.into())),
                Life::Straight(fate) => match Pin::new(fate).poll(cx) {
                    Poll::Pending => return Poll::Ready(Ok(())),
                    Poll::Ready(Ok(Fate::Cut)) => Life::Cut,
                    Poll::Ready(Ok(Fate::Stands(until))) => Life::Stands(until),
                    Poll::Ready(Err(_)) => Life::Free,
                },
                Life::Stands(until) => match Pin::new(until).poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(_) => Life::Cut,
                },
            };
        }
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.io.connected()
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<IoResult<()>> {
        ready!(self.poll_life(cx))?;
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<IoResult<usize>> {
        ready!(self.poll_life(cx))?;
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<IoResult<()>> {
        ready!(self.poll_life(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<IoResult<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<IoResult<usize>> {
        ready!(self.poll_life(cx))?;
        Pin::new(&mut self.io).poll_write_vectored(cx, buffers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    const LONG: Duration = Duration::from_secs(20);

    /// Two who listen, and a connector of a hop to the first.
    async fn two(wire: &Wire) -> (TcpListener, TcpListener, Connector) {
        let (near, far) = (TcpListener::bind("127.0.0.1:0").await, TcpListener::bind("127.0.0.1:0").await);
        let line = Line { wire: wire.clone(), hop: "order->payment".into() };
        (near.unwrap(), far.unwrap(), Connector::new(HttpConnector::new(), Some(line)))
    }

    fn detour(from: &TcpListener, to: &TcpListener) -> Detour {
        let (from, to) = (from.local_addr().unwrap(), to.local_addr().unwrap());
        Detour { hop: Some("order->payment".into()), from, to, share: 1.0, stands: false }
    }

    /// Connects to somebody, and returns where that ended.
    async fn connect(connector: &mut Connector, to: &TcpListener) -> (Stream, SocketAddr) {
        let uri = format!("http://{}/", to.local_addr().unwrap()).parse().unwrap();
        let stream = connector.call(uri).await.unwrap();
        let peer = stream.io.inner().peer_addr().unwrap();
        (stream, peer)
    }

    /// What a connection says when something is to be read on it; none when it says nothing.
    async fn state(stream: &mut Stream) -> Option<IoResult<()>> {
        let state = std::future::poll_fn(|cx| Poll::Ready(stream.poll_life(cx))).await;
        match state {
            Poll::Ready(state) => Some(state),
            Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn a_detour_is_gone_by_as_long_as_it_is_there() {
        let wire = Wire::default();
        let (near, far, mut connector) = two(&wire).await;
        let (here, there) = (near.local_addr().unwrap(), far.local_addr().unwrap());
        let (mut before, at) = connect(&mut connector, &near).await;
        assert_eq!(at, here);
        assert!(matches!(state(&mut before).await, Some(Ok(()))));
        let detoured = wire.divert(detour(&near, &far));
        assert!(matches!(state(&mut before).await, Some(Err(_))), "it is cut");
        let (mut during, at) = connect(&mut connector, &near).await;
        assert_eq!(at, there);
        assert!(matches!(state(&mut during).await, Some(Ok(()))));
        let other = Line { wire: wire.clone(), hop: "gateway->payment".into() };
        let mut other = Connector::new(HttpConnector::new(), Some(other));
        assert_eq!(connect(&mut other, &near).await.1, here, "another hop");
        drop(detoured);
        assert_eq!(connect(&mut connector, &near).await.1, here);
    }

    #[tokio::test]
    async fn what_stands_still_is_cut_at_the_end() {
        let wire = Wire::default();
        let (near, far, mut connector) = two(&wire).await;
        let (mut before, _) = connect(&mut connector, &near).await;
        let detoured = wire.divert(Detour { stands: true, ..detour(&near, &far) });
        assert!(state(&mut before).await.is_none());
        let cut = tokio::spawn(async move { std::future::poll_fn(|cx| before.poll_life(cx)).await });
        drop(detoured);
        assert!(timeout(LONG, cut).await.expect("it wakes").unwrap().is_err());
    }

    #[tokio::test]
    async fn a_share_is_of_the_connections() {
        let wire = Wire::default();
        let (near, far, mut connector) = two(&wire).await;
        let there = far.local_addr().unwrap();
        let _detoured = wire.divert(Detour { share: 0.5, ..detour(&near, &far) });
        let mut around = 0;
        for _ in 0..100 {
            around += u32::from(connect(&mut connector, &near).await.1 == there);
        }
        assert!((20..=80).contains(&around), "{around}");
    }
}
