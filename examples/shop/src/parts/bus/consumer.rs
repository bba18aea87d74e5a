//! A consumer: takes, handles, acknowledges, and never ends.

use super::super::clock::now_ms;
use super::delivery::Outcome;
use super::{ATTEMPT, Bus, Message, Trouble};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// The most messages that a consumer has at a time.
const IN_FLIGHT: usize = 8;

/// How often an idle queue is looked at; other processes publish too.
const POLL: Duration = Duration::from_millis(100);

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

impl From<sqlx::Error> for Unhandled {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error)
    }
}

impl Bus {
    /// Hands the messages of a queue to `handle`, the oldest first, as long as the runtime runs. `handle` may get one
    /// twice.
    pub async fn consume<F, Fut>(self, queue: &'static str, handle: F)
    where
        F: Fn(Message) -> Fut,
        Fut: Future<Output = Result<(), Unhandled>> + Send + 'static,
    {
        let mut pause = PAUSE;
        loop {
            match self.round(queue, &handle).await {
                Ok(taken) => {
                    pause = PAUSE;
                    // A full round has left some over.
                    if taken < IN_FLIGHT {
                        sleep(POLL).await;
                    }
                }
                Err(error) => {
                    tracing::warn!(queue, %error, "nothing can be consumed");
                    sleep(pause).await;
                    pause = LONGEST_PAUSE.min(pause * 2);
                }
            }
        }
    }

    /// Handles what is due, and returns how many messages that were.
    pub(super) async fn round<F, Fut>(&self, queue: &'static str, handle: &F) -> Result<usize, Trouble>
    where
        F: Fn(Message) -> Fut,
        Fut: Future<Output = Result<(), Unhandled>> + Send + 'static,
    {
        let deliveries = self.take(queue, IN_FLIGHT as i64, now_ms()).await?;
        if deliveries.is_empty() {
            return Ok(0);
        }
        let (mut outcomes, mut trouble) = (Vec::new(), None);
        for delivery in deliveries {
            let outcome = match &trouble {
                Some(_) => Outcome::Untouched,
                None => match attempt(handle(delivery.message.clone())).await {
                    Ok(()) => Outcome::Handled,
                    Err(Unhandled::Message(reason)) => Outcome::Failed(reason),
                    Err(Unhandled::Store(error)) => {
                        trouble = Some(error);
                        Outcome::Untouched
                    }
                },
            };
            outcomes.push((delivery, outcome));
        }
        let taken = outcomes.len();
        self.settle(queue, outcomes, now_ms()).await?;
        trouble.map_or(Ok(taken), |error| Err(error.into()))
    }
}

/// Waits for the end of a handler, which may be none: a message must not take its consumer along.
async fn attempt<F>(handler: F) -> Result<(), Unhandled>
where
    F: Future<Output = Result<(), Unhandled>> + Send + 'static,
{
    let mut handler = JoinSet::from_iter([handler]);
    match timeout(ATTEMPT, handler.join_next()).await {
        Ok(Some(Ok(handled))) => handled,
        Ok(_) => Err(Unhandled::Message("the handler fell over".into())),
        Err(_) => Err(Unhandled::Message("the handler took too long".into())),
    }
}
