//! One instance, and what is wanted of it.

use super::program::Program;
use super::running::{Hold, Running, Starting};
use super::{LONGEST_PAUSE, LOOP, PAUSE, STEADY, Wanted};
use crate::host::{Bound, bind_again};
use crate::parts::failure::Failure;
use crate::stage::services::{Seen, Standing};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

pub(super) struct Post {
    pub(super) seen: Arc<Seen>,
    /// The listening socket once more, so that there is one while instances change. Not there while it is killed.
    socket: Option<TcpListener>,
    /// What it runs, when that is no longer what was started with.
    pub(super) program: Option<Program>,
    /// The one that is about to run.
    pub(super) starting: Option<Starting>,
    pub(super) running: Option<Running>,
    /// Those who have been replaced, and have not ended yet.
    pub(super) leaving: Vec<Running>,
    /// One of each who runs or leaves, while it is wanted held.
    pub(super) pauses: Vec<Hold>,
    pub(super) wanted: Wanted,
    started: Instant,
    /// Starts in a row that did not last.
    pub(super) falls: u32,
    pub(super) due: Instant,
}

impl Post {
    pub(super) fn new(bound: Bound, seen: Arc<Seen>) -> Self {
        let now = Instant::now();
        Self {
            seen,
            socket: Some(bound.listener),
            program: None,
            starting: None,
            running: None,
            leaving: Vec::new(),
            pauses: Vec::new(),
            wanted: Wanted::Up,
            started: now,
            falls: 0,
            due: now,
        }
    }

    /// The socket of a new instance: the one that is there, or, after a kill, the same port again.
    pub(super) fn bound(&mut self) -> Result<Bound, Failure> {
        let (instance, address) = (self.seen.instance, self.seen.address);
        let failed =
            |why| Failure::new(format!("the port {} of {instance} cannot be opened: {why}.", address.port()));
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => bind_again(instance, address).map_err(failed)?.listener,
        };
        let listener = socket.try_clone().map_err(failed)?;
        self.socket = Some(socket);
        Ok(Bound { instance, listener, address })
    }

    /// Takes over a new instance, and returns the old one.
    pub(super) fn runs(&mut self, running: Running) -> Option<Running> {
        self.started = Instant::now();
        self.seen.is_process(running.id(), running.program());
        let old = self.running.replace(running);
        self.hold();
        old
    }

    /// Has a new instance take over from the one that runs.
    pub(super) fn takes_over(&mut self, running: Running) {
        let old = self.runs(running);
        self.leaves(old);
        self.seen.restarted();
    }

    /// Hands over from an old instance. Its customers are still answered.
    pub(super) fn leaves(&mut self, old: Option<Running>) {
        if let Some(old) = old {
            old.hand_over();
            self.leaving.push(old);
        }
    }

    pub(super) fn lets_go(&mut self) {
        self.leaving.retain_mut(|leaving| !leaving.has_ended());
    }

    /// Holds the instance, or lets it go on, as it is wanted.
    pub(super) fn hold(&mut self) {
        let Some(running) = &self.running else { return };
        if self.wanted == Wanted::Paused {
            if self.pauses.is_empty() {
                self.pauses = self.leaving.iter().chain([running]).map(Running::pause).collect();
            }
            self.seen.stands(Standing::Paused);
        } else {
            self.pauses.clear();
            self.seen.stands(Standing::Up);
        }
    }

    pub(super) async fn kill(&mut self) {
        self.socket = None;
        self.starting = None;
        self.seen.stands(Standing::Killed);
        self.seen.is_process(None, None);
        self.all().map(Running::kill).collect::<JoinSet<_>>().join_all().await;
        // A held instance is let go when it can do nothing any more.
        self.pauses.clear();
    }

    pub(super) async fn drain(&mut self) {
        self.starting = None;
        self.all().map(Running::drain).collect::<JoinSet<_>>().join_all().await;
    }

    /// Who runs, and those who leave.
    fn all(&mut self) -> impl Iterator<Item = Running> {
        self.leaving.drain(..).chain(self.running.take())
    }

    /// Notes that it has ended by itself, or could not start, and when it is started again.
    pub(super) fn fell(&mut self, why: &str) {
        let now = Instant::now();
        // Who did not even start has not been up.
        if self.running.take().is_some() {
            self.seen.restarted();
            if now.duration_since(self.started) > STEADY {
                self.falls = 0;
            }
        }
        let pause = match self.falls {
            0 => Duration::ZERO,
            falls => PAUSE.saturating_mul(1 << (falls - 1).min(8)).min(LONGEST_PAUSE),
        };
        self.due = now + pause;
        self.falls += 1;
        self.pauses.clear();
        self.seen.is_process(None, None);
        self.seen.stands(if self.falls < LOOP { Standing::Down } else { Standing::Looping });
        let often = if self.falls > 1 { format!("{} times in a row", self.falls) } else { "last".to_owned() };
        self.seen.fell(format!("fell {often}: {}", why.trim_end_matches('.')), self.due);
    }
}
