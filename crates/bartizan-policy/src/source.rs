use crate::PolicyError;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// A source that is asked again and again by a task of its own, and at once if somebody wants it to.
#[derive(Clone, Debug)]
pub(crate) struct Source(mpsc::UnboundedSender<Asker>);

/// Who waits for an answer.
type Asker = oneshot::Sender<Result<(), PolicyError>>;

/// Those who want a source to be asked at once.
#[derive(Debug)]
pub(crate) struct Askers(mpsc::UnboundedReceiver<Asker>);

/// Those whom one answer is for, all who have asked before it was looked for. There may be none.
#[derive(Debug)]
pub(crate) struct Asking(Vec<Asker>);

impl Source {
    pub(crate) fn new() -> (Self, Askers) {
        let (ask, asked) = mpsc::unbounded_channel();
        (Self(ask), Askers(asked))
    }

    /// Has it asked, and waits for what comes of it.
    pub(crate) async fn refresh(&self) -> Result<(), PolicyError> {
        let (answer, answered) = oneshot::channel();
        let gone = || PolicyError::new("nobody asks the source any more: its runtime has ended");
        self.0.send(answer).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

impl Askers {
    /// Waits until it is time to ask, or somebody wants it. `None` once nobody can any more.
    pub(crate) async fn wait(&mut self, time: Duration) -> Option<Asking> {
        let mut asking = match timeout(time, self.0.recv()).await {
            Err(_) => Vec::new(),
            Ok(Some(asker)) => vec![asker],
            // The policy holds the other end.
            Ok(None) => return None,
        };
        while let Ok(asker) = self.0.try_recv() {
            asking.push(asker);
        }
        Some(Asking(asking))
    }
}

impl Asking {
    pub(crate) fn is_anybody(&self) -> bool {
        !self.0.is_empty()
    }

    pub(crate) fn answer(self, told: &Result<(), PolicyError>) {
        for asker in self.0 {
            // Who has asked may have left.
            drop(asker.send(told.clone()));
        }
    }
}
