//! What comes before the first request on a port that speaks TLS.

use super::limits::Limits;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The first byte of whoever speaks TLS.
const HELLO: u8 = 22;

/// What is said to who does not.
const PLAIN: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\ncontent-length: 140\r\n\
connection: close\r\n\r\n{\"type\":\"urn:shop:problem:no-tls\",\"title\":\"Bad Request\",\"status\":400,\
\"detail\":\"plain HTTP was sent to a port that speaks TLS: ask by https\"}";

/// How long who is told so has to read it.
const FAREWELL: Duration = Duration::from_millis(200);

/// Returns the stream below which TLS is spoken; nothing when the client is late, or speaks otherwise. It has as long as for the
/// first byte of a request, and then as for the rest of its head. That one cannot do it is nobody's fault here, and no warning.
pub(super) async fn shake(
    tls: &TlsAcceptor,
    mut stream: TcpStream,
    limits: &Limits,
) -> Option<TlsStream<TcpStream>> {
    let mut first = [0];
    let seen = timeout(limits.first_byte, stream.peek(&mut first)).await.ok()?.ok()?;
    if seen == 0 {
        return None;
    }
    if first[0] != HELLO {
        if first[0].is_ascii_uppercase() {
            let _ = timeout(FAREWELL, turn_away(&mut stream)).await;
        }
        return None;
    }
    match timeout(limits.header, tls.accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%error, "no handshake");
            None
        }
        Err(_) => None,
    }
}

/// Answers, and reads on for a moment: a connection that is closed with unread bytes on it takes the answer along.
async fn turn_away(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(PLAIN).await?;
    stream.shutdown().await?;
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_as_long_as_it_says() {
        let said = std::str::from_utf8(PLAIN).unwrap();
        let (head, body) = said.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{}", body.len());
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["status"], 400);
    }
}
