//! One at a time at dead letters. Who looks at them has them in its hands meanwhile, and another who looked then would not
//! find them. So whoever does has a queue first that is of one connection alone.

use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Connection, ErrorKind};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// What AMQP 0-9-1 calls `RESOURCE_LOCKED`.
const LOCKED: u16 = 405;

/// How long is slept between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// How long another is waited for.
const LONGEST: Duration = Duration::from_secs(5);

/// After so long the queue of one who has left without a word is gone.
const FORGOTTEN_MS: i32 = 10_000;

/// A turn at dead letters. It is over when it is given up, and with its connection.
pub struct Alone {
    channel: Channel,
    queue: ShortString,
}

impl Alone {
    /// Waits until no other connection is at these dead letters.
    ///
    /// # Errors
    ///
    /// When the broker fails, or somebody is at them for five seconds.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it may hold up others for ten seconds, and then no more.
    pub async fn with(connection: &Connection, dead: &str) -> lapin::Result<Self> {
        let queue = ShortString::from(format!("{dead}.look"));
        let own = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        let mut forgotten = FieldTable::default();
        forgotten.insert("x-expires".into(), AMQPValue::LongInt(FORGOTTEN_MS));
        let until = Instant::now() + LONGEST;
        loop {
            let channel = connection.create_channel().await?;
            match channel.queue_declare(queue.clone(), own, forgotten.clone()).await {
                Ok(_) => return Ok(Self { channel, queue }),
                Err(why) if is_locked(&why) && Instant::now() < until => sleep(PAUSE).await,
                Err(why) => return Err(why),
            }
        }
    }

    /// Lets the next one in. Who does not come to it lets the next one in when its connection ends, or ten seconds later.
    ///
    /// # Errors
    ///
    /// When the broker fails.
    pub async fn leave(self) -> lapin::Result<()> {
        self.channel.queue_delete(self.queue, QueueDeleteOptions::default()).await?;
        self.channel.close(200, "done".into()).await
    }
}

fn is_locked(why: &lapin::Error) -> bool {
    matches!(why.kind(), ErrorKind::ProtocolError(why) if why.get_id() == LOCKED)
}
