//! An instance whose listening socket is handed down by who starts it, such as `up --procs`.
//!
//! Connections then wait in the system's queue while there is no instance, and its port cannot be taken. Standard input is the
//! socket; standard output is read by who starts the instance, for as long as that lives.

use crate::host::{Bound, Running};
use crate::parts::config::{self, Instance};
use crate::parts::failure::Failure;
use std::future::pending;
use std::io::{self, stdin, stdout};
use std::net::TcpListener;
use std::os::fd::AsFd;
use tokio::io::Interest;
use tokio::net::unix::pipe::Sender;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// `stdin`, where a socket is handed down.
pub const VARIABLE: &str = "SHOP_LISTENER";

/// The socket that this process was given; none where it takes a port by itself.
///
/// # Errors
///
/// When the variable says so, and standard input is no socket.
pub fn bound(instance: Instance) -> Result<Option<Bound>, Failure> {
    match config::set(VARIABLE)?.as_deref() {
        None => return Ok(None),
        Some("stdin") => {}
        Some(other) => return Err(Failure::new(format!("{VARIABLE} must be stdin, not {other:?}."))),
    }
    let failed = |why: io::Error| {
        Failure::new(format!("{VARIABLE} is set, but standard input is no listening socket: {why}."))
    };
    let listener = TcpListener::from(stdin().as_fd().try_clone_to_owned().map_err(failed)?);
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok(Some(Bound { instance, listener, address }))
}

/// What who has handed the socket down has to say later.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Word {
    /// It is gone, however it ended: nobody reads standard output any more.
    Gone,
    /// SIGUSR1: somebody else listens on the same socket, and is there under the same name.
    HandOver,
}

/// Who has handed the socket down.
#[derive(Debug)]
pub struct Giver {
    /// None: nobody reads, and so nobody can be missed.
    reads: Option<Sender>,
    hands_over: Signal,
}

impl Giver {
    /// Listens from now on.
    ///
    /// # Errors
    ///
    /// When signals cannot be heard.
    pub fn new() -> Result<Self, Failure> {
        let reads = stdout().as_fd().try_clone_to_owned().and_then(Sender::from_owned_fd).ok();
        let hands_over = signal(SignalKind::user_defined1())
            .map_err(|why| Failure::new(format!("signals cannot be heard: {why}.")))?;
        Ok(Self { reads, hands_over })
    }

    /// Ends when there is something to be said.
    pub async fn says(&mut self) -> Word {
        let Self { reads, hands_over } = self;
        let gone = async {
            match reads {
                Some(pipe) => drop(pipe.ready(Interest::ERROR).await),
                None => pending().await,
            }
        };
        let handed_over = async {
            if hands_over.recv().await.is_none() {
                pending::<()>().await;
            }
        };
        tokio::select! {
            () = gone => Word::Gone,
            () = handed_over => Word::HandOver,
        }
    }
}

/// Leaves the field to who listens on the same socket, and returns when everybody has gone over.
pub async fn hand_over(running: &mut Vec<Running>) {
    running.iter().for_each(Running::hand_over);
    while let Some(instance) = running.last_mut() {
        instance.ended().await;
        running.pop();
    }
}
