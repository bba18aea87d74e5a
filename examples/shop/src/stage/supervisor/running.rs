//! An instance that runs, of either kind: a thread of this process, or a process of its own.

use super::child::{self, Child, Held};
use super::program::Program;
use crate::host::{self, Bound, Build, Pause};
use crate::parts::config::Config;
use crate::parts::failure::Failure;
use crate::stage::reach::Reach;
use std::pin::Pin;
use std::task::{Context, Poll};

/// How an instance is started.
pub enum How {
    Thread(Build),
    /// It runs this program, and this is the way to it.
    Process(Program, Reach),
}

/// An instance that is about to run.
pub type Starting = Pin<Box<dyn Future<Output = Result<Running, Failure>>>>;

impl How {
    /// The same, of another program where there is one.
    pub(super) fn of(self, program: Option<&Program>) -> Self {
        match (self, program) {
            (Self::Process(_, reach), Some(program)) => Self::Process(program.clone(), reach),
            (how, _) => how,
        }
    }

    /// Starts an instance; what is returned ends when it can be asked. Dropped before, the instance ends.
    pub fn start(self, bound: Bound, config: &Config) -> Starting {
        let config = config.clone();
        match self {
            Self::Thread(build) => {
                Box::pin(async move { host::start(bound, &config, build).await.map(Running::Thread) })
            }
            Self::Process(program, reach) => {
                Box::pin(
                    async move { child::start(program, bound, config, reach).await.map(Running::Process) },
                )
            }
        }
    }
}

#[derive(Debug)]
pub enum Running {
    Thread(host::Running),
    Process(Child),
}

/// Holds an instance until it is dropped.
#[expect(dead_code, reason = "they let go when they are dropped")]
pub enum Hold {
    Thread(Pause),
    Process(Held),
}

impl Running {
    /// Of its process, if it has one of its own.
    pub fn id(&self) -> Option<u32> {
        match self {
            Self::Thread(_) => None,
            Self::Process(child) => child.id(),
        }
    }

    /// What its process runs, if it has one of its own.
    pub fn program(&self) -> Option<&Program> {
        match self {
            Self::Thread(_) => None,
            Self::Process(child) => Some(child.program()),
        }
    }

    /// Returns when it says that it is ready.
    ///
    /// # Errors
    ///
    /// When it does not, in time, or has ended.
    pub async fn ready(&mut self) -> Result<(), Failure> {
        match self {
            Self::Thread(_) => Ok(()),
            Self::Process(child) => child.ready().await,
        }
    }

    /// Lets the requests under way finish, and ends.
    pub async fn drain(self) {
        match self {
            Self::Thread(thread) => thread.drain().await,
            Self::Process(child) => child.drain().await,
        }
    }

    /// Leaves the field to who listens on the same socket. It ends when everybody has gone over.
    pub fn hand_over(&self) {
        match self {
            Self::Thread(thread) => thread.hand_over(),
            Self::Process(child) => child.hand_over(),
        }
    }

    /// Ends it at once: its listener, its connections and everything that it was doing.
    pub async fn kill(self) {
        match self {
            Self::Thread(thread) => thread.kill().await,
            Self::Process(child) => child.kill().await,
        }
    }

    /// Holds it. Connections are still taken by the system, and nobody says anything on them.
    pub fn pause(&self) -> Hold {
        match self {
            Self::Thread(thread) => Hold::Thread(thread.pause()),
            Self::Process(child) => Hold::Process(child.pause()),
        }
    }

    /// Ready when it has ended, with the reason as far as that is known; not to be polled again then.
    pub fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<String> {
        match self {
            Self::Thread(thread) => thread.poll_ended(cx).map(|()| "its thread has ended".to_owned()),
            Self::Process(child) => child.poll_ended(cx),
        }
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        match self {
            Self::Thread(thread) => thread.has_ended(),
            Self::Process(child) => child.has_ended(),
        }
    }
}
