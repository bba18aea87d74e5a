use crate::PolicyError;
use tokio::sync::{mpsc, oneshot};

/// A source that is asked again and again by a task of its own, and at once if somebody wants it to.
#[derive(Clone, Debug)]
pub(crate) struct Source(mpsc::Sender<Asker>);

/// Who waits for an answer.
pub(crate) type Asker = oneshot::Sender<Result<(), PolicyError>>;

/// Who wants a source to be asked at once. Ends when nobody can any more.
pub(crate) type Askers = mpsc::Receiver<Asker>;

impl Source {
    pub(crate) fn new() -> (Self, Askers) {
        let (ask, asked) = mpsc::channel(1);
        (Self(ask), asked)
    }

    /// Has it asked, and waits for what comes of it.
    pub(crate) async fn refresh(&self) -> Result<(), PolicyError> {
        let (answer, answered) = oneshot::channel();
        let gone = || PolicyError::new("nobody asks the source any more: its runtime has ended");
        self.0.send(answer).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}
