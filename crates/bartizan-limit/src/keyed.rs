mod observed;
mod shelf;

use crate::bucket::Bucket;
use crate::common::{Common, register};
use crate::event;
use crate::limit::Limit;
use crate::line::Waiters;
use crate::pace::Pace;
use crate::shard::Shard;
use bartizan_core::registry::Observed;
use bartizan_core::{Invalid, Name};
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A bucket for each key, up to a cap.
///
/// A key is kept as 64 bits of its hash, under a secret of this table: what the keys are long does not matter, and nobody can choose
/// two that share a bucket. A key whose bucket is full is as good as one that was never seen, and leaves; others stay.
#[derive(Debug)]
pub(crate) struct Table {
    shards: Box<[Aligned]>,
    common: Common,
    waiters: Waiters,
    hasher: RandomState,
    cap: usize,
    /// The buckets there are, and those that are about to be made.
    len: AtomicUsize,
    /// When the next shard is to be swept, and which.
    due: AtomicU64,
    turn: AtomicUsize,
    /// Serves the keys that find no room.
    overflow: Bucket,
    overflowed: AtomicU64,
    /// It was told that new keys find no room.
    crowded: AtomicBool,
}

/// Shards that threads lock side by side do not share a cache line.
#[derive(Debug)]
#[repr(align(64))]
struct Aligned(Mutex<Shard>);

/// Keys of a shard, about, when the table is at its cap.
const KEYS_PER_SHARD: usize = 1024;
/// The shortest time in which all shards are swept once.
const ROUND: u64 = 1_000_000_000;

impl Table {
    pub(crate) fn new(limit: Limit, name: Option<Name>, cap: usize) -> Self {
        let shards = (cap / KEYS_PER_SHARD).clamp(1, 1 << 16).next_power_of_two();
        Self {
            shards: (0..shards).map(|_| Aligned(Mutex::new(Shard::new(limit.pace())))).collect(),
            common: Common::new(limit, name),
            waiters: Waiters::new(),
            hasher: RandomState::new(),
            cap,
            len: AtomicUsize::new(0),
            due: AtomicU64::new(0),
            turn: AtomicUsize::new(0),
            overflow: Bucket::new(limit.pace()),
            overflowed: AtomicU64::new(0),
            crowded: AtomicBool::new(false),
        }
    }

    /// The number of a key's bucket, never zero.
    #[inline]
    pub(crate) fn number(&self, key: &(impl Hash + ?Sized)) -> u64 {
        self.hasher.hash_one(key).max(1)
    }

    pub(crate) fn named(self: &Arc<Self>, name: Name) {
        if self.common.set_name(name) {
            register(&(self.clone() as Arc<dyn Observed>));
        }
    }

    #[inline]
    fn shard(&self, number: u64) -> MutexGuard<'_, Shard> {
        // The upper half of the hash; the lower chooses the slot.
        self.locked((number >> 32) as usize & (self.shards.len() - 1))
    }

    #[inline]
    fn locked(&self, index: usize) -> MutexGuard<'_, Shard> {
        self.shards[index].0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sweeps one shard if it is time.
    #[inline]
    fn tend(&self, now: u64) {
        let due = self.due.load(Ordering::Relaxed);
        if now >= due {
            self.sweep_next(now, due);
        }
    }

    #[cold]
    fn sweep_next(&self, now: u64, due: u64) {
        let round = self.common.limit().pace().span.max(ROUND);
        let next = now + round / self.shards.len() as u64;
        if self.due.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) & (self.shards.len() - 1);
        if let Ok(mut shard) = self.shards[turn].0.try_lock() {
            let now = shard.at(now);
            self.left(shard.sweep(now));
        }
        self.relax();
    }

    /// Tells that new keys find room again, once an eighth of all places is free: at the edge it would come and go.
    fn relax(&self) {
        let keys = self.keys();
        let is_over = self.crowded.load(Ordering::Relaxed) && keys <= self.cap - self.cap.div_ceil(8);
        if is_over && self.crowded.swap(false, Ordering::Relaxed) {
            event::tell_roomy(self.common.name(), keys);
        }
    }

    /// Forgets all keys whose buckets are full.
    pub(crate) fn sweep(&self) {
        for index in 0..self.shards.len() {
            let mut shard = self.locked(index);
            let now = shard.at(self.common.now());
            self.left(shard.sweep(now));
        }
        self.relax();
    }

    /// So many keys have left.
    fn left(&self, keys: usize) {
        if keys > 0 {
            self.len.fetch_sub(keys, Ordering::AcqRel);
        }
    }

    /// Reserves room for one more key, if need be that of one that leaves.
    fn make_room(&self, number: u64, now: u64) -> bool {
        let reserve = |len| (len < self.cap).then_some(len + 1);
        if self.len.fetch_update(Ordering::AcqRel, Ordering::Acquire, reserve).is_ok() {
            return true;
        }
        let forgets = |mut shard: MutexGuard<'_, Shard>| {
            let now = shard.at(now);
            shard.forget_one(now)
        };
        // The room of the key that leaves is handed over: it stays reserved.
        forgets(self.shard(number)) || {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) & (self.shards.len() - 1);
            forgets(self.locked(turn))
        }
    }

    /// Changes the bucket of a key that has none, and returns after how long it will be full; `None` if there is no room for one.
    #[cold]
    fn anew<E>(
        &self,
        number: u64,
        now: u64,
        change: impl FnOnce(Pace, u64, u64) -> Result<u64, E>,
    ) -> Option<Result<u64, E>> {
        if !self.make_room(number, now) {
            return None;
        }
        let mut shard = self.shard(number);
        let (now, pace) = (shard.at(now), shard.pace);
        let next = if let Some(full) = shard.find(number) {
            // Another thread was faster.
            self.left(1);
            change(pace, *full, now).inspect(|next| *full = *next)
        } else {
            let next = change(pace, self.of_the_absent(), now);
            match &next {
                Ok(full) if *full > now => shard.insert(number, *full),
                // There is nothing to be kept.
                _ => self.left(1),
            }
            next
        };
        Some(next.map(|full| full.saturating_sub(now)))
    }

    /// When the bucket that a key would be given is full: as the shared one, which may have served it before. What is missing there is
    /// missing here, so that nothing is forgiven.
    fn of_the_absent(&self) -> u64 {
        self.overflow.read().1
    }

    /// The shared bucket, for one more call that finds no room.
    fn shared(&self) -> &Bucket {
        self.overflowed.fetch_add(1, Ordering::Relaxed);
        if !self.crowded.load(Ordering::Relaxed) && !self.crowded.swap(true, Ordering::Relaxed) {
            event::tell_crowded(self.common.name(), self.keys());
        }
        &self.overflow
    }

    pub(crate) fn change(&self, make: impl FnOnce(Limit) -> Result<Limit, Invalid>) -> Result<(), Invalid> {
        self.common.change(make, |limit| {
            let pace = limit.pace();
            for index in 0..self.shards.len() {
                let mut shard = self.locked(index);
                let now = shard.at(self.common.now());
                shard.update(pace, now);
            }
            // What nobody has taken from is as good as new, as is the bucket of a key that is not there.
            self.overflow.renew(pace, self.common.now());
        })?;
        self.waiters.rouse();
        Ok(())
    }

    pub(crate) fn switch(&self, enabled: bool) -> Result<(), Invalid> {
        self.change(|limit| Ok(limit.enabled(enabled)))
    }

    /// Forgets all keys.
    pub(crate) fn clear(&self) {
        for index in 0..self.shards.len() {
            self.left(self.locked(index).clear());
        }
        self.overflow.fill();
        self.waiters.rouse();
    }

    pub(crate) fn keys(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    pub(crate) fn cap(&self) -> usize {
        self.cap
    }

    pub(crate) fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    /// After how long the bucket of a key is full again.
    pub(crate) fn debt(&self, number: u64) -> u64 {
        let mut shard = self.shard(number);
        let now = shard.at(self.common.now());
        let full = shard.find(number).copied();
        drop(shard);
        full.unwrap_or_else(|| self.of_the_absent()).saturating_sub(now)
    }
}

#[cfg(test)]
mod tests;
