//! The dead letters of a queue, for people: to look at, to have delivered once more, and to throw away.

use super::{Bus, Kind, Trouble};

/// A message that nobody could handle.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeadLetter {
    pub id: String,
    pub topic: String,
    pub payload: String,
    pub reason: String,
    pub died_at: i64,
}

impl Bus {
    /// The dead letters of a queue, the oldest first.
    ///
    /// # Errors
    ///
    /// When the bus does not answer.
    pub async fn dead_letters(&self, queue: &str) -> Result<Vec<DeadLetter>, Trouble> {
        match &self.kind {
            Kind::File(queues) => queues.dead_letters(queue).await,
            Kind::Rabbit(rabbit) => rabbit.dead_letters(queue).await,
        }
    }

    /// Puts dead letters back into their queue, as if they had never been delivered: the one of an id, or all. Returns
    /// how many.
    ///
    /// # Errors
    ///
    /// When the bus does not answer. None is lost; one may be in both places, and is handled once.
    pub async fn redeliver(&self, queue: &str, id: Option<&str>) -> Result<usize, Trouble> {
        match &self.kind {
            Kind::File(queues) => queues.bury_no_more(queue, id, true).await,
            Kind::Rabbit(rabbit) => rabbit.bury_no_more(queue, id, true).await,
        }
    }

    /// Throws dead letters away: the one of an id, or all. Returns how many.
    ///
    /// # Errors
    ///
    /// When the bus does not answer.
    pub async fn forget(&self, queue: &str, id: Option<&str>) -> Result<usize, Trouble> {
        match &self.kind {
            Kind::File(queues) => queues.bury_no_more(queue, id, false).await,
            Kind::Rabbit(rabbit) => rabbit.bury_no_more(queue, id, false).await,
        }
    }
}
