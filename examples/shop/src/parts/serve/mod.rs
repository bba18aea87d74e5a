//! The accept loop of every service.
//!
//! `axum::serve` waits for ever on a connection that says nothing. Here a connection is closed when its first byte,
//! the rest of a request's head, its next request or the next byte of an exchange takes too long, and there are
//! never more connections than the cap. Where TLS is spoken, that goes for handshakes as well. A request is served when its body has come,
//! or the beginning of a large one.

mod activity;
mod ahead;
mod connection;
mod handshake;
mod held;
mod limits;
#[cfg(test)]
mod tests;

pub use connection::{KEEP, LEAVE};
pub use limits::{Limits, raise_files};

use ahead::Ahead;
use axum::Router;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// Pause after an accept that failed for want of file descriptors or memory.
const BREATH: Duration = Duration::from_millis(50);

/// Where a request comes from: in the extensions of each.
#[derive(Clone, Copy, Debug)]
pub struct Caller(pub SocketAddr);

/// How a server is told to end.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Stop {
    /// It is not.
    #[default]
    Not,
    /// Somebody else listens on the same socket: whoever asks here is answered, and told to come again over there.
    /// Connections that are left alone are closed a little later.
    Handover,
    /// Connections are closed as soon as nothing is under way on them.
    Now,
}

/// Serves, by TLS where it is given, until it is told to stop (or nobody can tell it any more), then closes the listener and returns when the requests
/// under way have been answered.
///
/// # Cancel safety
///
/// Dropped, it closes the listener and every connection at once.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    routes: Router,
    limits: Limits,
    stop: watch::Receiver<Stop>,
) {
    let ahead = Ahead::new(&limits);
    let places = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    let accept = async {
        loop {
            // The place comes first: connections over the cap wait in the kernel's queue and cost nothing here.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let (stream, from) = loop {
                match listener.accept().await {
                    Ok(accepted) => break accepted,
                    Err(error) => {
                        tracing::warn!(%error, "no connection could be accepted");
                        tokio::time::sleep(BREATH).await;
                    }
                }
            };
            let (tls, routes, ahead, stop) = (tls.clone(), routes.clone(), ahead.clone(), stop.clone());
            let connection = connection::drive(stream, tls, Caller(from), routes, limits, ahead, stop);
            connections.spawn(async move {
                connection.await;
                drop(place);
            });
            while connections.try_join_next().is_some() {}
        }
    };
    let mut stopped = stop.clone();
    tokio::select! {
        () = accept => {}
        _ = stopped.wait_for(|stop| *stop != Stop::Not) => {}
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}
