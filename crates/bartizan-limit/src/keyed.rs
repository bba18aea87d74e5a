use crate::bucket::Bucket;
use crate::common::{Common, register};
use crate::denial::Denial;
use crate::limit::Limit;
use crate::line::Waiters;
use crate::pace::Pace;
use crate::shard::Shard;
use crate::shelf::Shelf;
use bartizan_core::Name;
use bartizan_core::registry::Observed;
use std::borrow::Cow;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
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
}

/// Shards that threads lock side by side do not share a cache line.
#[derive(Debug)]
#[repr(align(64))]
struct Aligned(Mutex<Shard>);

/// Keys of a shard, about, when the table is at its cap.
const KEYS_PER_SHARD: usize = 1024;
/// Slots that the search for room looks at in one shard.
const LOOKS: usize = 64;
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
    }

    /// Forgets all keys whose buckets are full.
    pub(crate) fn sweep(&self) {
        for index in 0..self.shards.len() {
            let mut shard = self.locked(index);
            let now = shard.at(self.common.now());
            self.left(shard.sweep(now));
        }
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
            shard.forget_one(now, LOOKS)
        };
        // The room of the key that leaves is handed over: it stays reserved.
        forgets(self.shard(number)) || {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) & (self.shards.len() - 1);
            forgets(self.locked(turn))
        }
    }

    /// Decides about a key that is not there.
    #[cold]
    fn take_anew(&self, number: u64, cost: u32, now: u64) -> Result<u64, Denial> {
        if !self.make_room(number, now) {
            self.overflowed.fetch_add(1, Ordering::Relaxed);
            return self.overflow.take(cost, now);
        }
        let mut shard = self.shard(number);
        let now = shard.at(now);
        let pace = shard.pace;
        if let Some(full) = shard.find(number) {
            // Another thread was faster.
            self.left(1);
            *full = pace.take(*full, cost, now)?;
            return Ok(*full - now);
        }
        // It may have been served by the shared bucket before: what is missing there is missing here, so that nothing is forgiven.
        let (_, full) = self.overflow.read();
        let out = pace.take(full, cost, now);
        let kept = out.unwrap_or(full);
        if kept > now {
            shard.insert(number, kept);
        } else {
            self.left(1);
        }
        out.map(|full| full.saturating_sub(now))
    }

    pub(crate) fn update(&self, limit: Limit) {
        self.common.update(limit, || {
            let pace = limit.pace();
            for index in 0..self.shards.len() {
                let mut shard = self.locked(index);
                let now = shard.at(self.common.now());
                shard.update(pace, now);
            }
            self.overflow.update(pace, self.common.now());
        });
        self.waiters.rouse();
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
        shard.find(number).map_or(0, |full| full.saturating_sub(now))
    }
}

impl Shelf for Table {
    fn common(&self) -> &Common {
        &self.common
    }

    fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    #[inline]
    fn take(&self, number: u64, cost: u32, now: u64) -> Result<u64, Denial> {
        self.tend(now);
        let mut shard = self.shard(number);
        let pace = shard.pace;
        if pace.is_off() {
            return Ok(0);
        }
        let now = shard.at(now);
        match shard.find(number) {
            Some(full) => {
                *full = pace.take(*full, cost, now)?;
                Ok(*full - now)
            }
            None => {
                drop(shard);
                self.take_anew(number, cost, now)
            }
        }
    }

    fn peek(&self, number: u64, cost: u32, now: u64) -> Result<(), Denial> {
        let mut shard = self.shard(number);
        let (now, pace) = (shard.at(now), shard.pace);
        if pace.is_off() {
            return Ok(());
        }
        let found = shard.find(number).copied();
        drop(shard);
        let full = found.unwrap_or_else(|| self.of_the_absent());
        pace.take(full, cost, now).map(|_| ())
    }

    fn charge(&self, number: u64, cost: u32, now: u64) {
        self.tend(now);
        let mut shard = self.shard(number);
        let (at, pace) = (shard.at(now), shard.pace);
        if let Some(full) = shard.find(number) {
            *full = pace.charge(*full, cost, at);
        } else if !pace.is_off() {
            drop(shard);
            self.charge_anew(number, cost, at);
        }
    }

    fn learn(&self, number: u64, back: u32, told: u64) {
        let now = self.common.now();
        let mut shard = self.shard(number);
        let (now, pace) = (shard.at(now), shard.pace);
        if let Some(full) = shard.find(number) {
            *full = pace.learn(*full, back, told);
        } else if told > now {
            drop(shard);
            // It was swept since. The shared bucket hears nothing of a single key.
            if self.make_room(number, now) {
                self.add(number, |_, full| full.max(told));
            }
        }
    }

    fn knows(&self, number: u64) -> bool {
        self.shard(number).find(number).is_some()
    }

    fn wait(&self, number: u64, tokens: u64, now: u64) -> u64 {
        let mut shard = self.shard(number);
        let (now, pace) = (shard.at(now), shard.pace);
        let found = shard.find(number).copied();
        drop(shard);
        pace.wait(found.unwrap_or_else(|| self.of_the_absent()), tokens, now)
    }
}

impl Table {
    /// When the bucket that a key would be given, or would share, is full.
    fn of_the_absent(&self) -> u64 {
        self.overflow.read().1
    }

    fn charge_anew(&self, number: u64, cost: u32, now: u64) {
        if !self.make_room(number, now) {
            self.overflowed.fetch_add(1, Ordering::Relaxed);
            self.overflow.charge(cost, now);
            return;
        }
        self.add(number, |pace, full| pace.charge(full, cost, now));
    }

    /// Changes the bucket of a key for which room is reserved.
    fn add(&self, number: u64, change: impl Fn(Pace, u64) -> u64) {
        let mut shard = self.shard(number);
        let (now, pace) = (shard.at(self.common.now()), shard.pace);
        if let Some(full) = shard.find(number) {
            // Another thread was faster.
            self.left(1);
            *full = change(pace, *full);
            return;
        }
        let full = change(pace, self.of_the_absent());
        if full > now { shard.insert(number, full) } else { self.left(1) }
    }
}

impl Observed for Table {
    fn layer(&self) -> &'static str {
        "limit"
    }

    fn name(&self) -> &str {
        self.common.name().map_or("", Name::as_str)
    }

    fn state(&self) -> &'static str {
        match (self.common.limit().is_enabled(), self.keys() < self.cap) {
            (false, _) => "off",
            (true, true) => "open",
            (true, false) => "crowded",
        }
    }

    fn note(&self) -> Option<Cow<'static, str>> {
        let crowded = "new keys share one bucket until one of the others is full again";
        self.common.note().or_else(|| (self.keys() >= self.cap).then_some(crowded.into()))
    }

    #[allow(clippy::cast_precision_loss, reason = "shown to people")]
    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        let limit = self.common.limit();
        for (name, number) in [
            ("burst", f64::from(limit.max_burst())),
            ("interval_seconds", limit.interval().as_secs_f64()),
            ("keys", self.keys() as f64),
            ("overflowed", self.overflowed() as f64),
            ("waiting", self.waiters.count() as f64),
            ("refused", self.common.refused() as f64),
            ("shadowed", self.common.shadowed() as f64),
        ] {
            show(name, number);
        }
        self.common.show_store(show);
    }
}
