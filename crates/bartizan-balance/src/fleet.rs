use crate::balance::Balance;
use crate::book::{Book, Told};
use crate::common::{Common, Keeper};
use crate::ejection::Origin;
use crate::events;
use crate::pool::Lane;
use crate::seat::Seat;
use crate::set::Set;
use crate::sight::Sights;
use arc_swap::ArcSwap;
use bartizan_core::{Change, Instant, Invalid, Name};
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, Weak};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// What all services of one balancer share: the set that calls see, and the book behind it.
pub(crate) struct Fleet<K, M> {
    pub(crate) set: ArcSwap<Set<K, M>>,
    pub(crate) common: Arc<Common>,
    book: Mutex<Book<K, M>>,
    /// Makes a member's service. It is not ours: it may panic, take its time and use a handle, and is called outside of all locks.
    make: Box<dyn Fn(&K) -> M + Send + Sync>,
    /// Told when calls see another set, with somebody in it.
    changes: Arc<Notify>,
    name: OnceLock<Name>,
    pub(crate) sights: Sights<K>,
}

/// What a member's key must be able to do.
pub trait Key: Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static {}

impl<K: Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static> Key for K {}

impl<K: Key, M: Send + Sync + 'static> Fleet<K, M> {
    pub(crate) fn new(value: Balance, make: impl Fn(&K) -> M + Send + Sync + 'static) -> Arc<Self> {
        let common = Arc::new(Common::new(value.seed));
        let now = Instant::now();
        let mut book = Book::new(value, common.clone(), now);
        book.remember();
        let set = book.publish(now, &mut Vec::new());
        let fleet = Arc::new(Self {
            set: ArcSwap::from_pointee(set),
            common,
            book: Mutex::new(book),
            make: Box::new(make),
            changes: Arc::default(),
            name: OnceLock::new(),
            sights: Sights::default(),
        });
        let keeper: Weak<dyn Keeper> = Arc::downgrade(&(fleet.clone() as Arc<dyn Keeper>));
        fleet.common.keep(keeper);
        fleet
    }

    /// Makes a change. True if it was one.
    pub(crate) fn make_change(&self, change: Change<K>) -> bool {
        let (mut change, mut made) = (Some(change), HashMap::new());
        loop {
            let lacks = change.as_ref().map(|change| self.locked().lacks(change, &made)).unwrap_or_default();
            for key in lacks {
                let service = (self.make)(&key);
                made.insert(key, service);
            }
            let done = self.act(|book, now, told| {
                // Somebody may have left meanwhile, and is to be made anew then.
                let change = change.take_if(|change| book.lacks(change, &made).is_empty());
                let done = change.map(|change| book.change(change, &mut made, now, told));
                (done == Some(true), done)
            });
            if let Some(changed) = done {
                return changed;
            }
        }
    }

    /// Changes the book. What `act` says has to be seen by calls is; what it tells is told outside of the lock.
    pub(crate) fn act<R>(
        &self,
        act: impl FnOnce(&mut Book<K, M>, Instant, &mut Vec<Told<K>>) -> (bool, R),
    ) -> R {
        self.with(self.locked(), act)
    }

    fn with<R>(
        &self,
        mut book: MutexGuard<'_, Book<K, M>>,
        act: impl FnOnce(&mut Book<K, M>, Instant, &mut Vec<Told<K>>) -> (bool, R),
    ) -> R {
        let (now, mut told) = (Instant::now(), Vec::new());
        let (changed, out) = act(&mut book, now, &mut told);
        // What was replaced may drop services, which may do anything.
        let _before = changed.then(|| {
            let set = Arc::new(book.publish(now, &mut told));
            let open = !set.is_empty();
            let before = self.set.swap(set);
            if open {
                self.changes.notify_waiters();
            }
            before
        });
        let due = book.due(now).map_or(u64::MAX, |due| self.common.at_most(due));
        self.common.due.store(due, Relaxed);
        drop(book);
        events::tell(self.name(), &told);
        out
    }

    /// Puts what is made of the value in its place, or nothing.
    pub(crate) fn change_value(
        &self,
        make: impl FnOnce(&Balance) -> Result<Balance, Invalid>,
    ) -> Result<(), Invalid> {
        self.act(|book, now, told| match make(&book.value) {
            Ok(value) => {
                book.update(value, now, told);
                (true, Ok(()))
            }
            Err(invalid) => (false, Err(invalid)),
        })
    }

    /// Does what is due by now, unless somebody else is at it.
    #[inline]
    pub(crate) fn tick(&self, now: u64) {
        if now >= self.common.due.load(Relaxed) {
            self.tick_now();
        }
    }

    #[cold]
    fn tick_now(&self) {
        let book = match self.book.try_lock() {
            Ok(book) => book,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let (_, latency) = self.sum();
        self.common.set_mean_latency(latency);
        let torn = self.with(book, |book, now, told| {
            let torn = book.torn(now);
            (book.tick(now, told), torn)
        });
        for (id, key) in torn {
            let service = (self.make)(&key);
            let _of_nobody = self.act(|book, now, told| {
                let back = book.mend(id, service, now, told);
                (back.is_none(), back)
            });
        }
    }

    /// A member's service is not to be called again.
    #[cold]
    pub(crate) fn breaks(&self, seat: &Seat) {
        self.act(|book, now, told| (book.broken(seat.id, now, told), ()));
    }

    /// Does what is due, so that what is looked at is true now.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&Book<K, M>, Instant) -> R) -> R {
        self.tick(self.common.now());
        look(&self.locked(), Instant::now())
    }

    /// The members' keys, without a look at what is due.
    pub(crate) fn keys(&self) -> Vec<K> {
        self.locked().records.iter().map(|record| record.member.key.clone()).collect()
    }

    /// Waits until there is somebody to be called, so long at most. True if there is.
    pub(crate) async fn wait(&self, time: Duration) -> bool {
        let arrival = async {
            loop {
                let mut told = std::pin::pin!(self.changes.notified());
                told.as_mut().enable();
                // Whoever waits sees to what is due: there may be no other call.
                let now = self.common.now();
                self.tick(now);
                if !self.set.load().is_empty() {
                    return;
                }
                let due = self.common.due.load(Relaxed).saturating_sub(now).max(1_000_000);
                let _nobody_yet = tokio::time::timeout(Duration::from_nanos(due), told).await;
            }
        };
        tokio::time::timeout(time, arrival).await.is_ok()
    }

    /// Ends when calls see another set.
    pub(crate) fn change_of_set(&self) -> OwnedNotified {
        self.changes.clone().notified_owned()
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.name.get().map(Name::as_str)
    }

    /// The name as it is passed on.
    pub(crate) fn name_of(&self) -> Option<Name> {
        self.name.get().cloned()
    }

    /// Gives it its name, the first time. True if it was.
    pub(crate) fn set_name(&self, name: Name) -> bool {
        self.name.set(name).is_ok()
    }

    fn locked(&self) -> MutexGuard<'_, Book<K, M>> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Key, M: Send + Sync + 'static> Keeper for Fleet<K, M> {
    fn trouble(&self, seat: &Seat, origin: Origin) {
        self.act(|book, now, told| (book.trouble(seat.id, origin, now, told), ()));
    }

    fn drains(&self, seat: &Seat) {
        self.act(|book, now, told| (book.drains(seat.id, now, told), ()));
    }

    fn sum(&self) -> (u64, f32) {
        let set = self.set.load();
        let good = set.entries.iter().map(|entry| u64::from(entry.seat.tally().successes)).sum();
        let latencies =
            set.pools.iter().flat_map(|(_, pool)| pool.lanes()).filter_map(|lane: &Lane| lane.seat.latency());
        let (sum, heard) =
            latencies.fold((0.0, 0.0), |(sum, heard), latency| (sum + latency, heard + 1.0_f32));
        (good, if heard > 0.0 { sum / heard } else { 0.0 })
    }
}

impl<K: fmt::Debug, M> fmt::Debug for Fleet<K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.set.load().entries.iter().map(|entry| format!("{:?}", entry.key)).collect();
        f.debug_struct("Fleet")
            .field("name", &self.name.get())
            .field("members", &keys)
            .finish_non_exhaustive()
    }
}
