use super::entry::Entry;
use super::key::{AsItIs, Key};
use super::lease::{Lease, Seat};
use bartizan_core::Instant;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::sleep_until;

/// The reads for whose answers others wait.
///
/// The first read of a key takes a lease, and goes out. Equal reads that come meanwhile sleep until it has an answer, which they share or
/// not, or until the lease is lost: then one of them takes it. None of them waits for longer than two leases. A wait takes no timer; one
/// task for each key with waiters watches the lease's end.
#[derive(Default)]
pub(crate) struct Flights(Mutex<Table>);

#[derive(Default)]
struct Table {
    flights: HashMap<Key, Flight, AsItIs>,
    /// Numbers leases and seats.
    ids: u64,
    /// In all flights.
    waiting: usize,
    /// Keys whose last answer could not be shared, one in each place: nobody waits for these.
    unshared: Vec<Option<Key>>,
}

struct Flight {
    /// The lease that counts.
    lease: u64,
    lasts: Duration,
    until: Option<Instant>,
    seats: BTreeMap<u64, oneshot::Sender<Turn>>,
    /// Seats up to this one were there when the last lease ended.
    seen: u64,
    watched: bool,
    watch: Option<Watch>,
}

/// The task that watches a lease's end. It ends with its flight.
struct Watch(AbortHandle);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What those hear who have waited.
#[derive(Debug)]
pub(crate) enum Turn {
    /// To go out, and have the others wait.
    Lead(Lease),
    /// To look whether this is their answer.
    Shared(Arc<Entry>),
    /// To go out, each for itself.
    Alone,
}

/// What becomes of a read that would go out.
pub(crate) enum Joined {
    Lead(Lease),
    Wait(Seat),
    Alone,
}

/// Keys that are remembered not to be shared.
const UNSHARED: usize = 256;

impl Flights {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().waiting
    }

    /// Goes out with a lease, or waits for who has it.
    pub(crate) fn join(
        self: &Arc<Self>,
        key: Key,
        now: Instant,
        lasts: Duration,
        max_waiting: usize,
    ) -> Joined {
        let mut table = self.lock();
        let inner = &mut *table;
        if inner.unshared.get(key.bucket(UNSHARED)).is_some_and(|known| *known == Some(key)) {
            return Joined::Alone;
        }
        inner.ids += 1;
        let id = inner.ids;
        let Some(flight) = inner.flights.get_mut(&key) else {
            inner.flights.insert(key, Flight::new(id, now, lasts));
            return Joined::Lead(Lease::new(self.clone(), key, id));
        };
        if flight.is_over(now) {
            flight.begin(id, now, lasts);
            return Joined::Lead(Lease::new(self.clone(), key, id));
        }
        if inner.waiting >= max_waiting {
            return Joined::Alone;
        }
        let (sender, turn) = oneshot::channel();
        flight.seats.insert(id, sender);
        inner.waiting += 1;
        let (unwatched, until) = (!std::mem::replace(&mut flight.watched, true), flight.until);
        drop(table);
        if unwatched {
            self.watch(key, until);
        }
        Joined::Wait(Seat::new(self.clone(), key, id, turn))
    }

    /// Has a task pass the lease on when it is over.
    fn watch(self: &Arc<Self>, key: Key, until: Option<Instant>) {
        let Some(mut until) = until else { return };
        // Without a runtime it is found to be over by who comes next.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let flights: Weak<Self> = Arc::downgrade(self);
        let watch = runtime.spawn(async move {
            loop {
                sleep_until(until).await;
                let Some(flights) = flights.upgrade() else { return };
                match flights.expire(&key, Instant::now()) {
                    Some(next) => until = next,
                    None => return,
                }
            }
        });
        let watch = Watch(watch.abort_handle());
        if let Some(flight) = self.lock().flights.get_mut(&key).filter(|flight| flight.watch.is_none()) {
            flight.watch = Some(watch);
        }
    }

    /// Passes an expired lease on, and says when to look again. `None` if nobody waits. Who has waited for a whole lease already does not
    /// wait for another.
    fn expire(self: &Arc<Self>, key: &Key, now: Instant) -> Option<Instant> {
        let mut table = self.lock();
        let inner = &mut *table;
        let flight = inner.flights.get_mut(key)?;
        if flight.is_over(now) {
            let lease = flight.lease;
            let younger = flight.seats.split_off(&(flight.seen + 1));
            let patient = std::mem::replace(&mut flight.seats, younger);
            flight.seen = inner.ids;
            inner.waiting -= patient.len();
            let is_awaited = !flight.seats.is_empty();
            drop(table);
            for (_, seat) in patient {
                // Who has left does not need it.
                let _ = seat.send(Turn::Alone);
            }
            if is_awaited {
                self.pass_on(key, lease);
            }
            table = self.lock();
        }
        let flight = table.flights.get_mut(key)?;
        if flight.seats.is_empty() {
            flight.watched = false;
            let watch = flight.watch.take();
            drop(table);
            // It is the task that runs this, and ends by itself.
            drop(watch);
            return None;
        }
        flight.until
    }

    /// Gives the lease to the next who waits, or ends the flight. Nothing happens if it is another's already.
    pub(super) fn pass_on(self: &Arc<Self>, key: &Key, mut lease: u64) {
        loop {
            let mut table = self.lock();
            let inner = &mut *table;
            let Some(flight) = inner.flights.get_mut(key).filter(|flight| flight.lease == lease) else {
                return;
            };
            let Some((_, seat)) = flight.seats.pop_first() else {
                let flight = inner.flights.remove(key);
                drop(table);
                drop(flight);
                return;
            };
            inner.waiting -= 1;
            inner.ids += 1;
            let (id, lasts) = (inner.ids, flight.lasts);
            flight.begin(id, Instant::now(), lasts);
            drop(table);
            match seat.send(Turn::Lead(Lease::new(self.clone(), *key, id))) {
                // Who waited has just left.
                Err(Turn::Lead(unheard)) => lease = unheard.forget(),
                _ => return,
            }
        }
    }

    /// Ends a flight: all who wait hear the same. Nothing happens if the lease is another's already.
    pub(super) fn land(&self, key: &Key, lease: u64, answer: Option<&Arc<Entry>>, is_private: bool) {
        let mut table = self.lock();
        let inner = &mut *table;
        let place = key.bucket(UNSHARED);
        if is_private {
            inner.unshared.resize(UNSHARED, None);
            inner.unshared[place] = Some(*key);
        }
        if inner.flights.get(key).is_none_or(|flight| flight.lease != lease) {
            return;
        }
        let Some(mut flight) = inner.flights.remove(key) else { return };
        inner.waiting -= flight.seats.len();
        drop(table);
        for (_, seat) in std::mem::take(&mut flight.seats) {
            // Who has left does not need it.
            let _ = seat.send(answer.map_or(Turn::Alone, |answer| Turn::Shared(answer.clone())));
        }
    }

    /// Hears that an answer could be shared after all.
    pub(crate) fn is_shareable(&self, key: &Key) {
        let mut table = self.lock();
        if let Some(known) =
            table.unshared.get_mut(key.bucket(UNSHARED)).filter(|known| **known == Some(*key))
        {
            *known = None;
        }
    }

    /// Forgets one who waits.
    pub(super) fn leave(&self, key: &Key, seat: u64) {
        let mut table = self.lock();
        let inner = &mut *table;
        let left = inner.flights.get_mut(key).and_then(|flight| flight.seats.remove(&seat));
        if left.is_some() {
            inner.waiting -= 1;
        }
        drop(table);
        drop(left);
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        let table = self.lock();
        table.flights.is_empty() && table.waiting == 0
    }
}

impl Flight {
    fn new(lease: u64, now: Instant, lasts: Duration) -> Self {
        let until = now.checked_add(lasts);
        Self { lease, lasts, until, seats: BTreeMap::new(), seen: 0, watched: false, watch: None }
    }

    fn begin(&mut self, lease: u64, now: Instant, lasts: Duration) {
        (self.lease, self.lasts, self.until) = (lease, lasts, now.checked_add(lasts));
    }

    fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now >= until)
    }
}

impl fmt::Debug for Flights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}
