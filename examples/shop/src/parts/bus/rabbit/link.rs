//! The connection to the broker, made when somebody needs it and there is none.

use super::{Broker, Trouble};
use lapin::{Connection, ConnectionProperties, ErrorKind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How long a broker has until it has let somebody in.
pub(super) const CONNECT: Duration = Duration::from_secs(10);

/// Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Link(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    broker: Broker,
    name: String,
    /// One connects, and the others wait for the connection.
    turn: Semaphore,
    connection: Mutex<Option<Arc<Connection>>>,
}

impl Link {
    pub(super) fn new(broker: Broker, here: &str) -> Self {
        let name = format!("{} {here}", broker.prefix());
        Self(Arc::new(Inner { broker, name, turn: Semaphore::new(1), connection: Mutex::default() }))
    }

    pub(super) fn broker(&self) -> &Broker {
        &self.0.broker
    }

    /// The connection, if there is one.
    pub(super) fn alive(&self) -> Option<Arc<Connection>> {
        let connection = self.0.connection.lock().unwrap_or_else(PoisonError::into_inner).clone();
        connection.filter(|connection| connection.status().connected())
    }

    /// The connection; a new one, if it is gone. A broker that is away is told at once.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves the connection that it was making to the next who asks.
    pub(super) async fn connection(&self) -> Result<Arc<Connection>, Trouble> {
        if let Some(alive) = self.alive() {
            return Ok(alive);
        }
        let link = self.clone();
        let connected = tokio::spawn(async move {
            let _turn = link.0.turn.acquire().await;
            if let Some(alive) = link.alive() {
                return Ok(alive);
            }
            let name = link.0.name.as_bytes();
            let properties = ConnectionProperties::default().with_connection_name(name.into());
            let connect = Connection::connect_uri(link.0.broker.uri(), properties);
            let connected = timeout(CONNECT, connect).await;
            let connected = connected.map_err(|_| Trouble::Broker("it gives no answer".into()))?;
            let connection = Arc::new(connected.map_err(|error| Trouble::Broker(why(&error)))?);
            let kept = connection.clone();
            link.0.connection.lock().unwrap_or_else(PoisonError::into_inner).replace(kept);
            Ok(connection)
        });
        connected.await.map_err(|_| away())?
    }
}

pub(super) fn away() -> Trouble {
    Trouble::Broker("the broker is away".into())
}

/// What an error comes down to, without the words for the machine.
fn why(error: &lapin::Error) -> String {
    match error.kind() {
        ErrorKind::IOError(why) => why.to_string(),
        ErrorKind::ProtocolError(why) => why.get_message().to_string(),
        _ => error.to_string(),
    }
}
