//! The dead letters of a broker. They are taken, looked at, and go back with the channel unless they are acknowledged.

use super::alone::Alone;
use super::envelope::Envelope;
use super::publish::into;
use super::{DeadLetter, Rabbit, Trouble};
use lapin::Channel;
use lapin::message::BasicGetMessage;
use lapin::options::{BasicAckOptions, BasicGetOptions};

impl Rabbit {
    pub(in super::super) async fn dead_letters(&self, queue: &str) -> Result<Vec<DeadLetter>, Trouble> {
        let channel = self.channel().await?;
        let alone = self.alone(queue).await?;
        let letters = self.take_all(&channel, queue).await?;
        let letters = letters.iter().map(|letter| read(&Envelope::read(letter))).collect();
        // Who looks next finds them again: they have gone back before the channel is closed.
        channel.close(200, "done".into()).await?;
        alone.leave().await?;
        Ok(letters)
    }

    /// Takes dead letters out, and puts them back into the queue or not.
    pub(in super::super) async fn bury_no_more(
        &self,
        queue: &str,
        id: Option<&str>,
        again: bool,
    ) -> Result<usize, Trouble> {
        let channel = self.channel().await?;
        let alone = self.alone(queue).await?;
        let mut many = 0;
        for letter in self.take_all(&channel, queue).await? {
            let envelope = Envelope::read(&letter);
            if id.is_some_and(|id| envelope.id() != id) {
                continue;
            }
            if again {
                let envelope = envelope.alive();
                into(self.topology.queue(queue), &envelope, envelope.properties()?, &channel).await?;
            }
            letter.ack(BasicAckOptions::default()).await?;
            many += 1;
        }
        // What is acknowledged has come there before the channel is closed.
        channel.close(200, "done".into()).await?;
        alone.leave().await?;
        Ok(many)
    }

    async fn alone(&self, queue: &str) -> Result<Alone, Trouble> {
        let connection = self.link.connection().await?;
        Ok(Alone::with(&connection, self.topology.dead(queue).as_str()).await?)
    }

    async fn take_all(&self, channel: &Channel, queue: &str) -> Result<Vec<BasicGetMessage>, Trouble> {
        let (queue, options) = (self.topology.dead(queue), BasicGetOptions::default());
        let mut letters = Vec::new();
        while let Some(letter) = channel.basic_get(queue.clone(), options).await? {
            letters.push(letter);
        }
        Ok(letters)
    }
}

fn read(envelope: &Envelope) -> DeadLetter {
    DeadLetter {
        id: envelope.id().to_owned(),
        topic: envelope.topic().to_owned(),
        payload: String::from_utf8_lossy(envelope.payload()).into_owned(),
        reason: envelope.reason().to_owned(),
        died_at: envelope.died_at(),
    }
}
