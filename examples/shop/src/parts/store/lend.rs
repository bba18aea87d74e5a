//! The connections that are shared: who has one, who waits for one, and who has one opened.
//!
//! There is a turn for each connection, and the pool is asked by those alone who have one. Who waits for a turn has begun
//! nothing, and leaves nothing behind. Who has a turn may leave something behind that goes on, a connection that is being
//! opened or asked; the turn stays with that. So however many ask, and leave: the ones who have left stand in the way of
//! the others no more often than there are turns.

use super::{LONGEST, undropped};
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, Connection};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// How long a request waits for a connection before it is answered with 503. Tests ask for many at once, on machines
/// that have other work to do.
const ACQUIRE: Duration = Duration::from_millis(if cfg!(test) { 5_000 } else { 250 });

/// How often who has a connection opened looks whether another was given back.
pub(super) const GLANCE: Duration = Duration::from_millis(5);

type Turn = Arc<OwnedSemaphorePermit>;

/// Clones share the turns.
#[derive(Clone, Debug)]
pub(super) struct Lender {
    pub(super) pool: AnyPool,
    turns: Arc<Semaphore>,
}

impl Lender {
    pub(super) fn new(pool: AnyPool) -> Self {
        let turns = pool.options().get_max_connections() as usize;
        Self { pool, turns: Arc::new(Semaphore::new(turns)) }
    }

    /// A connection that is free, or becomes free in time.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it keeps none; one that it has had opened is there for the next.
    pub(super) async fn lend(&self) -> sqlx::Result<Lent> {
        let lent = async {
            let turn = self.turns.clone().acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)?;
            let turn = Arc::new(turn);
            Ok(Lent { connection: Some(self.connection(&turn).await?), _turn: turn })
        };
        timeout(ACQUIRE, lent).await.map_err(|_| sqlx::Error::PoolTimedOut)?
    }

    /// One that is being opened is opened whether somebody still waits for it or not: on a busy machine that takes longer
    /// than anybody waits, and the next one is glad of it. Who has it opened takes what another gives back meanwhile,
    /// which the pool would leave to those who come later.
    async fn connection(&self, turn: &Turn) -> sqlx::Result<PoolConnection<Any>> {
        if let Some(free) = self.free(turn).await {
            return Ok(free);
        }
        let (pool, opens) = (self.pool.clone(), turn.clone());
        // Where nobody takes the two any more, the connection goes first.
        let mut opened = tokio::spawn(async move { (pool.acquire().await, opens) });
        loop {
            if let Ok(opened) = timeout(GLANCE, &mut opened).await {
                return opened.map_err(|_| sqlx::Error::PoolClosed)?.0;
            }
            if let Some(free) = self.free(turn).await {
                return Ok(free);
            }
        }
    }

    /// One that nobody has, and that has not died with its server.
    async fn free(&self, turn: &Turn) -> Option<PoolConnection<Any>> {
        let mut free = self.pool.try_acquire()?;
        if !self.pool.options().get_test_before_acquire() {
            return Some(free);
        }
        let turn = turn.clone();
        let asked = undropped(async move {
            match timeout(LONGEST, free.ping()).await {
                Ok(Ok(())) => Ok((free, turn)),
                // The pool would ask it once more, and wait as long as it takes.
                _ => {
                    drop(free.detach());
                    Err(sqlx::Error::PoolTimedOut)
                }
            }
        });
        asked.await.ok().map(|(free, _)| free)
    }
}

/// A connection while something is done with it. It goes back to the others when that is over; dropped before, it is
/// thrown away, for nobody knows what is still to come on it.
#[derive(Debug)]
pub(super) struct Lent {
    connection: Option<PoolConnection<Any>>,
    _turn: Turn,
}

impl Lent {
    /// Gives it back to the others.
    pub(super) fn back(mut self) {
        self.connection = None;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        drop(self.connection.take().map(PoolConnection::detach));
    }
}

impl Deref for Lent {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        self.connection.as_ref().expect("it is there until it is given back")
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        self.connection.as_mut().expect("it is there until it is given back")
    }
}
