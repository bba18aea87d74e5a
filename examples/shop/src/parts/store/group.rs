//! Changes of a file, one at a time, and one flush for all that come at once.
//!
//! The first of them opens a transaction, each makes its change in a savepoint of it, and it is committed when all have
//! had their turn who were waiting when it was opened. Nobody is answered before. A change that fails goes back to its
//! savepoint, alone; a commit that fails, fails all that are in it. One that comes alone is committed at once.

use super::super::faults::Door;
use super::change::Change;
use super::file::{PATIENCE, SETTINGS};
use super::passed;
use super::trouble::{copy, is_locked};
use sqlx::{AnyConnection, Connection};
use std::mem::take;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

/// How long a change waits for its turn. A burst of them is over in less; and when the store is locked, nobody waits
/// behind the one who has found that out. Tests make many at once, on machines that have other work to do.
const TURN: Duration = Duration::from_secs(if cfg!(test) { 4 } else { 1 });

/// Those who want to write, in the order in which they came. They hold nothing while they wait.
#[derive(Debug)]
pub(super) struct Group {
    url: String,
    turn: Arc<Semaphore>,
    slot: Mutex<Slot>,
    /// How often somebody whose turn it was has found the store locked.
    locked: AtomicU64,
    commits: AtomicU64,
    /// What each commit passes.
    door: Door,
}

/// What is handed on with the turn.
#[derive(Debug, Default)]
struct Slot {
    /// Away while it is used; thrown away when it is broken.
    connection: Option<AnyConnection>,
    /// Who waits for the commit of the transaction that is open.
    open: Option<Vec<Told>>,
    /// The last change was dropped, and its savepoint is still there.
    undo: bool,
}

/// Hears what became of a commit.
type Told = oneshot::Sender<sqlx::Result<()>>;

/// Ends when all is known that a change has seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(Arc<Mutex<Option<oneshot::Receiver<sqlx::Result<()>>>>>);

/// The turn, and the connection that goes with it.
#[derive(Debug)]
pub(super) struct Seat {
    group: Arc<Group>,
    connection: Option<AnyConnection>,
    turn: Option<OwnedSemaphorePermit>,
    seen: Seen,
}

impl Group {
    /// Goes on with the connection on which the store was opened.
    pub(super) fn new(url: String, connection: AnyConnection, door: Door) -> Self {
        let slot = Slot { connection: Some(connection), ..Slot::default() };
        let (locked, commits) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { url, turn: Arc::new(Semaphore::new(1)), slot: Mutex::new(slot), locked, commits, door }
    }

    /// How often something was flushed.
    #[cfg(test)]
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// # Cancel safety
    ///
    /// Dropped, it has had no turn.
    pub(super) async fn turn(&self) -> sqlx::Result<OwnedSemaphorePermit> {
        let locked = self.locked.load(Ordering::Relaxed);
        let turn = timeout(TURN, self.turn.clone().acquire_owned()).await;
        let turn = turn.map_err(|_| sqlx::Error::PoolTimedOut)?.map_err(|_| sqlx::Error::PoolClosed)?;
        if self.locked.load(Ordering::Relaxed) != locked {
            return Err(sqlx::Error::PoolTimedOut);
        }
        Ok(turn)
    }

    /// Begins a change, in the transaction that is open or in a new one. It has SQLite's write lock from the first: one
    /// that read before it took the lock could not wait for it any more.
    pub(super) async fn begin(self: Arc<Self>, turn: OwnedSemaphorePermit) -> sqlx::Result<(Change, Seen)> {
        let mut connection = self.ready().await?;
        if self.slot().open.is_none() {
            if let Err(error) = sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut connection).await {
                if is_locked(&error) {
                    self.locked.fetch_add(1, Ordering::Relaxed);
                    self.slot().connection = Some(connection);
                }
                return Err(error);
            }
            self.slot().open = Some(Vec::new());
            tokio::spawn(self.clone().end());
        }
        if let Err(error) = sqlx::raw_sql("SAVEPOINT change").execute(&mut connection).await {
            self.fail(&error);
            return Err(error);
        }
        let seen = Seen::default();
        let seat = Seat { group: self, connection: Some(connection), turn: Some(turn), seen: seen.clone() };
        Ok((Change::on_file(seat), seen))
    }

    /// Commits what is open, once all have had their turn who wait for it now.
    async fn end(self: Arc<Self>) {
        let Ok(_turn) = self.turn.clone().acquire_owned().await else { return };
        let Ok(mut connection) = self.ready().await else { return };
        let Some(waiting) = self.slot().open.take() else {
            self.slot().connection = Some(connection);
            return;
        };
        let ended = async {
            let end = if waiting.is_empty() { "ROLLBACK" } else { "COMMIT" };
            if !waiting.is_empty() {
                passed(&self.door).await?;
            }
            sqlx::raw_sql(end).execute(&mut connection).await
        };
        match ended.await {
            Ok(_) => {
                self.commits.fetch_add(u64::from(!waiting.is_empty()), Ordering::Relaxed);
                self.slot().connection = Some(connection);
                for told in waiting {
                    let _ = told.send(Ok(()));
                }
            }
            Err(error) => tell(waiting, &error),
        }
    }

    /// The connection, with nothing left on it of a change that was dropped.
    async fn ready(&self) -> sqlx::Result<AnyConnection> {
        let (connection, undo) = {
            let mut slot = self.slot();
            (slot.connection.take(), take(&mut slot.undo))
        };
        let Some(mut connection) = connection else {
            self.fail(&sqlx::Error::WorkerCrashed);
            return connect(&self.url).await;
        };
        if undo {
            let undone = sqlx::raw_sql("ROLLBACK TO change; RELEASE change").execute(&mut connection).await;
            if let Err(error) = undone {
                // SQLite has undone all of the transaction by itself.
                self.fail(&error);
                return connect(&self.url).await;
            }
        }
        Ok(connection)
    }

    /// Gives up what is open, and tells all that are in it.
    fn fail(&self, error: &sqlx::Error) {
        let waiting = self.slot().open.take();
        tell(waiting.unwrap_or_default(), error);
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(waiting: Vec<Told>, error: &sqlx::Error) {
    for told in waiting {
        let _ = told.send(Err(copy(error)));
    }
}

/// Another connection, when the last one broke.
async fn connect(url: &str) -> sqlx::Result<AnyConnection> {
    let mut connection = AnyConnection::connect(url).await?;
    for setting in [SETTINGS, PATIENCE] {
        sqlx::raw_sql(setting).execute(&mut connection).await?;
    }
    Ok(connection)
}

impl Seat {
    pub(super) async fn commit(mut self) -> sqlx::Result<()> {
        let (Some(mut connection), Some(_turn)) = (self.connection.take(), self.turn.take()) else {
            return Err(sqlx::Error::WorkerCrashed);
        };
        let told = match sqlx::raw_sql("RELEASE change").execute(&mut connection).await {
            Err(error) => {
                drop(connection);
                self.group.fail(&error);
                return Err(error);
            }
            Ok(_) => {
                let (tell, told) = oneshot::channel();
                let mut slot = self.group.slot();
                slot.connection = Some(connection);
                slot.open.get_or_insert_default().push(tell);
                told
            }
        };
        drop(_turn);
        told.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        let mut slot = self.group.slot();
        slot.connection = Some(connection);
        slot.undo = true;
        // It may have seen what others have changed, and nobody may hear of that before it is committed.
        if let Some(open) = slot.open.as_mut().filter(|open| !open.is_empty()) {
            let (tell, told) = oneshot::channel();
            open.push(tell);
            *self.seen.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
        }
        drop(slot);
        // The turn goes on, and the connection is there.
        self.turn = None;
    }
}

impl Seen {
    /// Waits for the commit of what a change has seen that has committed nothing itself.
    pub(super) async fn known(self) -> sqlx::Result<()> {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match told {
            None => Ok(()),
            Some(told) => told.await.unwrap_or(Err(sqlx::Error::WorkerCrashed)),
        }
    }
}

impl Deref for Seat {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        self.connection.as_ref().expect("it is there until it is committed")
    }
}

impl DerefMut for Seat {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        self.connection.as_mut().expect("it is there until it is committed")
    }
}
