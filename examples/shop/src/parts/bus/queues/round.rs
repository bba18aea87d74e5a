//! Round by round: what is due is taken, handled and settled.

use super::super::consumer::{Never, Patience};
use super::delivery::Outcome;
use super::{Gate, IN_FLIGHT, Message, Queues, Trouble, Unhandled, attempt, now_ms};
use std::time::Duration;
use tokio::time::sleep;

/// How often an idle queue is looked at; other processes publish too.
const POLL: Duration = Duration::from_millis(100);

impl Queues {
    /// Handles what comes, until the bus or the consumer's own store fails.
    pub(in super::super) async fn consume<F, Fut>(
        &self,
        gate: &Gate,
        queue: &'static str,
        handle: &F,
        patience: &mut Patience,
    ) -> Result<Never, Trouble>
    where
        F: Fn(Message) -> Fut,
        Fut: Future<Output = Result<(), Unhandled>> + Send + 'static,
    {
        loop {
            let taken = self.round(gate, queue, handle).await?;
            *patience = Patience::default();
            // A full round has left some over.
            if taken < usize::from(IN_FLIGHT) {
                sleep(POLL).await;
            }
        }
    }

    /// Handles what is due, and returns how many messages that were.
    pub(super) async fn round<F, Fut>(
        &self,
        gate: &Gate,
        queue: &'static str,
        handle: &F,
    ) -> Result<usize, Trouble>
    where
        F: Fn(Message) -> Fut,
        Fut: Future<Output = Result<(), Unhandled>> + Send + 'static,
    {
        let queues = self.clone();
        let take = async move { queues.take(queue, i64::from(IN_FLIGHT), now_ms()).await };
        let deliveries = gate.pass(take).await?;
        if deliveries.is_empty() {
            return Ok(0);
        }
        let (mut outcomes, mut trouble) = (Vec::new(), None);
        for delivery in deliveries {
            let outcome = match &trouble {
                Some(_) => Outcome::Untouched,
                None => match attempt(queue, delivery.message.clone(), handle).await {
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
