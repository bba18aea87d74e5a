//! What stands before the bus: the layers that `stacks.rs` puts there.

use super::super::faults::Door;
use super::super::store::OfStore;
use bartizan::Refused;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};

/// Something that is done with the bus, once it is awaited.
pub struct Work(Passing<()>);

impl Future for Work {
    type Output = Result<(), Trouble>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

/// Some work on its way through the gate.
type Passing<T> = Pin<Box<dyn Future<Output = Result<T, Trouble>> + Send>>;

/// Why nothing is known to be done.
#[derive(Debug)]
pub enum Trouble {
    Store(sqlx::Error),
    /// The broker, or the way to it.
    Broker(String),
    /// A layer has refused it, or given it up.
    Refused(Refused),
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error)
    }
}

impl OfStore for Trouble {
    fn of_store(&self) -> Option<&sqlx::Error> {
        if let Self::Store(error) = self { Some(error) } else { None }
    }
}

impl From<Refused> for Trouble {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Broker(why) => why.fmt(f),
            Self::Refused(refused) => refused.fmt(f),
        }
    }
}

/// Where all that is done with the bus passes. Clones share the layers; by default there are none.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    layers: Option<BoxCloneSyncService<Work, (), Trouble>>,
    door: Door,
}

impl Gate {
    /// A gate of layers around a service that does the work, and behind it a door on the way to the bus.
    pub fn new<S>(stack: S, door: Door) -> Self
    where
        S: Service<Work, Response = (), Error = Trouble> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        Self { layers: Some(BoxCloneSyncService::new(stack)), door }
    }

    /// Goes through the door alone.
    pub(super) async fn door(&self) -> Result<(), Trouble> {
        Ok(self.door.pass().await?)
    }

    /// Does some work, if the layers let it pass.
    pub(super) fn pass<T, F>(&self, work: F) -> Passing<T>
    where
        F: Future<Output = Result<T, Trouble>> + Send + 'static,
        T: Send + 'static,
    {
        let Some(stack) = self.layers.clone() else { return Box::pin(work) };
        let (done, outcome) = oneshot::channel();
        let door = self.door.clone();
        let work = Work(Box::pin(async move {
            door.pass().await?;
            let _ = done.send(work.await?);
            Ok(())
        }));
        Box::pin(async move {
            stack.oneshot(work).await?;
            Ok(outcome.await.map_err(|_| sqlx::Error::WorkerCrashed)?)
        })
    }
}
