//! In the place of `rabbit`, where the feature `rabbitmq` is left out: there is no broker, and so no queues on one.

use super::super::failure::Failure;
use super::consumer::{Never, Patience, Unhandled};
use super::{DeadLetter, Gate, Message, Trouble, Unwanted};
use std::convert::Infallible;
use std::fmt;

/// No broker.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Broker(Infallible);

impl Broker {
    /// # Errors
    ///
    /// Always.
    pub fn parse(_url: &str, _prefix: &str) -> Result<Self, Failure> {
        Err(Failure::left_out("AMQP_URL", "a RabbitMQ", "rabbitmq"))
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {}
    }
}

/// No queues.
#[derive(Clone, Debug)]
pub(super) struct Rabbit(Infallible);

impl Rabbit {
    #[expect(clippy::needless_pass_by_value, reason = "a broker that is there is kept")]
    pub(super) fn new(broker: Broker, _here: &str, _bindings: &[(&'static str, &'static str)]) -> Self {
        match broker.0 {}
    }

    pub(super) async fn is_there(&self) -> Result<(), Failure> {
        match self.0 {}
    }

    pub(super) async fn answers(&self) -> Result<(), Failure> {
        match self.0 {}
    }

    pub(super) async fn ping(&self) -> Result<(), Trouble> {
        match self.0 {}
    }

    pub(super) async fn publish(&self, _messages: Vec<Message>) -> Result<Vec<Unwanted>, Trouble> {
        match self.0 {}
    }

    pub(super) async fn consume<F, Fut>(
        &self,
        _gate: &Gate,
        _queue: &'static str,
        _handle: &F,
        _patience: &mut Patience,
    ) -> Result<Never, Trouble>
    where
        F: Fn(Message) -> Fut,
        Fut: Future<Output = Result<(), Unhandled>> + Send + 'static,
    {
        match self.0 {}
    }

    pub(super) async fn dead_letters(&self, _queue: &str) -> Result<Vec<DeadLetter>, Trouble> {
        match self.0 {}
    }

    pub(super) async fn bury_no_more(&self, _: &str, _: Option<&str>, _: bool) -> Result<usize, Trouble> {
        match self.0 {}
    }

    #[cfg(test)]
    pub(super) async fn waiting(&self, _queue: &'static str) -> u32 {
        match self.0 {}
    }
}
