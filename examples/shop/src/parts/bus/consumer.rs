//! A consumer: takes, handles, acknowledges, and never ends.

use super::{ATTEMPT, Bus, Kind, Message, Trouble};
use bartizan::trace::Job;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// The pause when the bus or the consumer's own store does not answer, doubled up to the longest.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Why a message was not handled.
#[derive(Debug)]
pub enum Unhandled {
    /// There is something wrong with it. The delivery has failed.
    Message(String),
    /// It could not be written down. That is not the message's fault, and does not count.
    Store(sqlx::Error),
}

/// What a store will never take, too long or of characters that it does not have, is the message's fault.
impl From<sqlx::Error> for Unhandled {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        match code.filter(|code| code.len() == 5 && code.starts_with("22")) {
            Some(_) => Self::Message(format!("it cannot be written down: {error}")),
            None => Self::Store(error),
        }
    }
}

impl Bus {
    /// Hands the messages of a queue to `handle`, the oldest first, as long as the runtime runs. `handle` may get one
    /// twice.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it gives back what it has in its hands.
    pub async fn consume<F, Fut>(self, queue: &'static str, handle: F)
    where
        F: Fn(Message) -> Fut,
        Fut: Future<Output = Result<(), Unhandled>> + Send + 'static,
    {
        let mut patience = Patience::default();
        loop {
            let consumed = match &self.kind {
                Kind::File(queues) => queues.consume(&self.gate, queue, &handle, &mut patience).await,
                Kind::Rabbit(rabbit) => rabbit.consume(&self.gate, queue, &handle, &mut patience).await,
            };
            let Err(trouble): Result<Never, Trouble> = consumed;
            tracing::warn!(queue, %trouble, "nothing can be consumed");
            patience.wait().await;
        }
    }
}

/// What nobody returns.
pub(super) enum Never {}

/// How long is waited for somebody who does not answer.
#[derive(Debug)]
pub(super) struct Patience(Duration);

impl Default for Patience {
    fn default() -> Self {
        Self(PAUSE)
    }
}

impl Patience {
    pub(super) fn pause(&mut self) -> Duration {
        let pause = self.0;
        self.0 = LONGEST_PAUSE.min(pause * 2);
        pause
    }

    pub(super) async fn wait(&mut self) {
        sleep(self.pause()).await;
    }
}

/// Hands a message to a handler, in the trace of who sent it, and waits for its end, which may be none: a message must not take its
/// consumer along.
pub(super) async fn attempt<F, Fut>(
    queue: &'static str,
    message: Message,
    handle: &F,
) -> Result<(), Unhandled>
where
    F: Fn(Message) -> Fut,
    Fut: Future<Output = Result<(), Unhandled>> + Send + 'static,
{
    let sender = message.sent_by();
    let handler = Job::new(queue).sent_by(sender).run(handle(message));
    #[cfg(feature = "planted")]
    let handler = super::super::planted::handle(handler);
    let mut handler = JoinSet::from_iter([handler]);
    match timeout(ATTEMPT, handler.join_next()).await {
        Ok(Some(Ok(handled))) => handled,
        Ok(_) => Err(Unhandled::Message("the handler fell over".into())),
        Err(_) => Err(Unhandled::Message("the handler took too long".into())),
    }
}
