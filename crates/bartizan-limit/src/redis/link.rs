use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, RedisResult};
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// The one connection to a server, made when it is asked for.
///
/// `redis::aio::ConnectionManager` is not used, as it keeps a connection whose server has vanished without a word for as long as the
/// system tries to reach it, a quarter of an hour.
pub(super) struct Link {
    client: Client,
    config: AsyncConnectionConfig,
    wire: Mutex<Option<Wire>>,
}

/// A connection that is being made, or was.
#[derive(Clone)]
struct Wire {
    made: watch::Receiver<Option<RedisResult<MultiplexedConnection>>>,
    /// Questions in a row that were given up without an answer.
    unanswered: Arc<AtomicU32>,
}

/// How long it may take to connect. Who asks meanwhile gives up earlier; the one that comes later finds the connection made.
const CONNECT: Duration = Duration::from_secs(1);

/// After so many questions in a row without an answer the server is taken for vanished, and a connection is made anew.
const VANISHED: u32 = 3;

impl Link {
    pub(super) fn new(client: Client) -> Self {
        // Who asks has a time-out of its own.
        let config =
            AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(Some(CONNECT));
        Self { client, config, wire: Mutex::new(None) }
    }

    /// The connection, for one question.
    pub(super) async fn line(&self) -> RedisResult<Line<'_>> {
        let mut wire = self.wire();
        let made = wire.made.wait_for(Option::is_some).await.map(|made| made.clone());
        match made {
            Ok(Some(Ok(connection))) => Ok(Line { link: self, wire, connection, heard: false }),
            Ok(Some(Err(error))) => {
                self.hang_up(&wire);
                Err(error)
            }
            // The runtime that was to make it is gone.
            Ok(None) | Err(_) => {
                self.hang_up(&wire);
                Err((redis::ErrorKind::Io, "the connection was not made").into())
            }
        }
    }

    fn wire(&self) -> Wire {
        let mut wire = self.wire.lock().unwrap_or_else(PoisonError::into_inner);
        wire.get_or_insert_with(|| self.connect()).clone()
    }

    fn connect(&self) -> Wire {
        let (tell, made) = watch::channel(None);
        let (client, config) = (self.client.clone(), self.config.clone());
        // In a task, so that it is made also when the one who asked for it has given up.
        tokio::spawn(async move {
            let connection = client.get_multiplexed_async_connection_with_config(&config).await;
            tell.send_replace(Some(connection));
        });
        Wire { made, unanswered: Arc::default() }
    }

    /// Lets the next question make a connection anew, if this is still the one.
    fn hang_up(&self, old: &Wire) {
        let mut wire = self.wire.lock().unwrap_or_else(PoisonError::into_inner);
        if wire.as_ref().is_some_and(|wire| wire.made.same_channel(&old.made)) {
            *wire = None;
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.client.get_connection_info().addr())
    }
}

/// A connection on which a question is asked. Dropped before it heard an answer, the question was given up.
pub(super) struct Line<'a> {
    link: &'a Link,
    wire: Wire,
    connection: MultiplexedConnection,
    heard: bool,
}

impl Line<'_> {
    pub(super) const fn connection(&mut self) -> &mut MultiplexedConnection {
        &mut self.connection
    }

    pub(super) fn hear<T>(mut self, answer: Result<T, RedisError>) -> Result<T, RedisError> {
        self.heard = true;
        self.wire.unanswered.store(0, Relaxed);
        if answer.is_err() {
            // Also what the server itself says: it may have become a replica, and its name another's.
            self.link.hang_up(&self.wire);
        }
        answer
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if !self.heard && self.wire.unanswered.fetch_add(1, Relaxed) + 1 >= VANISHED {
            self.link.hang_up(&self.wire);
        }
    }
}
