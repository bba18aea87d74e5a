use crate::listen;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// How a server on a bare socket ends a connection on which it has read a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Without a word.
    Closed,
    /// With TCP's reset.
    Reset,
    /// In the middle of the head.
    HalfHead,
    /// In the middle of the body, with a reset.
    HalfBody,
}

impl Ending {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Closed, Self::Reset, Self::HalfHead, Self::HalfBody];

    async fn end(self, mut stream: TcpStream) -> std::io::Result<()> {
        let said: &[u8] = match self {
            Self::Closed | Self::Reset => b"",
            Self::HalfHead => b"HTTP/1.1 200 OK\r\ncontent-le",
            Self::HalfBody => b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfi",
        };
        stream.write_all(said).await?;
        stream.flush().await?;
        if self == Self::HalfBody {
            // A reset throws away what was not read yet.
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        if matches!(self, Self::Reset | Self::HalfBody) {
            stream.set_zero_linger()?;
        }
        Ok(())
    }
}

/// Starts a server on a bare socket, which takes HTTP/1 requests whose body ends in `whole`, and counts them.
pub async fn raw(ending: Ending) -> (String, Arc<AtomicUsize>) {
    let (listener, address) = listen().await;
    let requests = Arc::new(AtomicUsize::new(0));
    let count = requests.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let count = count.clone();
            tokio::spawn(async move {
                let mut read = Vec::new();
                while !String::from_utf8_lossy(&read).contains("whole") {
                    if stream.read_buf(&mut read).await.unwrap_or_default() == 0 {
                        return;
                    }
                }
                count.fetch_add(1, Ordering::SeqCst);
                let _ = ending.end(stream).await;
            });
        }
    });
    (format!("http://{address}/"), requests)
}

/// A port that is taken and refuses connections, until it listens.
#[derive(Debug)]
pub struct Unheard {
    socket: TcpSocket,
    address: SocketAddr,
}

impl Unheard {
    /// Takes a free port of loopback.
    #[must_use]
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        Self { socket, address }
    }

    /// Its base url.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Begins to take connections.
    #[must_use]
    pub fn listen(self) -> TcpListener {
        self.socket.listen(16).unwrap()
    }
}

impl Default for Unheard {
    fn default() -> Self {
        Self::new()
    }
}
