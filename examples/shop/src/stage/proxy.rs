//! What is done to the bytes of connections: a proxy before somebody, on loopback, as long as a fault lasts. It knows no protocol, so
//! TLS and HTTP/2 go through as they are. When it is dropped, so are its connections.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};
use tokio::try_join;

/// The most connections at a time. Who comes then is sent away.
const MOST: usize = 512;

/// Bytes that are read at a time, and how many of these wait for their time; no connection has more in hand.
const CHUNK: usize = 8 << 10;
const WAITING: usize = 8;

/// What is done to a connection. What is asked passes as it is; it is the answer that is late, or drips.
#[derive(Clone, Copy, Debug)]
pub(super) enum Harm {
    /// The bytes of the answer come later.
    Latency(Duration),
    /// Nothing is read, and nothing is said.
    Blackhole,
    /// It is reset.
    Reset,
    /// There is none.
    Refuse,
    /// The bytes of the answer come a few at a time, with pauses between.
    Drip(NonZeroUsize, Duration),
}

/// A port at which connections are harmed.
#[derive(Debug)]
pub(super) struct Proxy {
    address: SocketAddr,
    _at: At,
}

#[derive(Debug)]
#[expect(dead_code, reason = "it is held so that it is there")]
enum At {
    /// A port that is taken, and at which nobody listens.
    Nobody(TcpSocket),
    Somebody(Serves),
}

/// Ends when it is dropped.
#[derive(Debug)]
struct Serves(AbortHandle);

impl Drop for Serves {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Proxy {
    /// Stands before somebody from now on, on the current runtime.
    ///
    /// # Errors
    ///
    /// When the system has no port.
    pub(super) async fn open(harm: Harm, to: SocketAddr) -> io::Result<Self> {
        if let Harm::Refuse = harm {
            let socket = TcpSocket::new_v4()?;
            socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
            return Ok(Self { address: socket.local_addr()?, _at: At::Nobody(socket) });
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let serves = tokio::spawn(serve(listener, harm, to)).abort_handle();
        Ok(Self { address, _at: At::Somebody(Serves(serves)) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn serve(listener: TcpListener, harm: Harm, to: SocketAddr) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((connection, _)) if connections.len() < MOST => {
                    connections.spawn(pass(connection, harm, to));
                }
                Ok(_) => {}
                // The system has no more of them; it may have soon.
                Err(_) => sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves a connection to its end, whatever that is.
async fn pass(client: TcpStream, harm: Harm, to: SocketAddr) {
    let (time, most) = match harm {
        Harm::Blackhole => return std::future::pending().await,
        Harm::Reset | Harm::Refuse => return drop(client.set_zero_linger()),
        Harm::Latency(time) => (time, None),
        Harm::Drip(most, pause) => (pause, Some(most)),
    };
    let Ok(server) = TcpStream::connect(to).await else {
        // As it would have been without a proxy, as far as that can be said now.
        return drop(client.set_zero_linger());
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (mut asks, mut hears) = client.into_split();
    let (mut says, mut told) = server.into_split();
    let question = async {
        copy(&mut asks, &mut told).await?;
        told.shutdown().await
    };
    let answer = async {
        match most {
            None => late(&mut says, &mut hears, time).await?,
            Some(most) => drip(&mut says, &mut hears, most, time).await?,
        }
        hears.shutdown().await
    };
    let _ = try_join!(question, answer);
}

/// Passes bytes on, each so much later than it came.
async fn late(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    by: Duration,
) -> io::Result<()> {
    let (come, mut go) = mpsc::channel::<(Instant, Vec<u8>)>(WAITING);
    let comes = async move {
        loop {
            let mut chunk = vec![0; CHUNK];
            let read = from.read(&mut chunk).await?;
            chunk.truncate(read);
            if read == 0 || come.send((Instant::now() + by, chunk)).await.is_err() {
                return Ok::<_, io::Error>(());
            }
        }
    };
    let goes = async move {
        while let Some((when, chunk)) = go.recv().await {
            sleep_until(when).await;
            to.write_all(&chunk).await?;
        }
        Ok(())
    };
    try_join!(comes, goes).map(drop)
}

/// Passes a few bytes on at a time, with a pause before each.
async fn drip(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    most: NonZeroUsize,
    pause: Duration,
) -> io::Result<()> {
    let mut few = vec![0; most.get()];
    loop {
        let read = from.read(&mut few).await?;
        if read == 0 {
            return Ok(());
        }
        sleep(pause).await;
        to.write_all(&few[..read]).await?;
    }
}

#[cfg(test)]
mod tests;
