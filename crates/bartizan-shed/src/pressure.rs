//! Who comes while not all can be served, and where that puts the threshold of priorities.

use crate::trunk::{Kept, Trunk};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError, TryLockError};

/// Two for each level: keys within their share, and keys beyond it.
const RANKS: usize = 512;
/// A window is closed after so many requests, the first ones after fewer, or after so long, if so many came.
const MOST: u64 = 2000;
const FIRST: u64 = 32;
const SECOND: u64 = 1_000_000_000;
const FEW: u64 = 50;
/// Shedding is over when nobody was refused for so long.
const OVER: u64 = 5 * SECOND;
/// A limit of which no more than one part of so many is in use is open to all.
const IDLE: usize = 8;
/// How much a window weighs against what was known before.
const SHARE: f64 = 0.5;
/// Of a level that was refused so often, the next request is judged as the most important.
const PATIENCE: u32 = 128;

/// Where a request stands among others: by its level, and within it by whether its key has more than its share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank(u16);

impl Rank {
    pub(crate) fn new(level: u8, beyond_share: bool) -> Self {
        Self(u16::from(level) << 1 | u16::from(beyond_share))
    }

    fn level(self) -> usize {
        usize::from(self.0 >> 1)
    }

    pub(crate) fn is_beyond_share(self) -> bool {
        self.0 & 1 == 1
    }
}

/// Where a request stands to the threshold of an adaptive limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Above,
    At,
    Below,
}

/// What was seen while the layer sheds. The counts are sums, which need no order among themselves.
#[derive(Debug)]
pub(crate) struct Pressure {
    arrivals: Box<[AtomicU32]>,
    /// Places of a fixed limit that are kept free of a rank.
    kept: Box<[AtomicU32]>,
    /// How often a level was refused since it last passed.
    passed_over: Box<[AtomicU32]>,
    /// The rank at the threshold of an adaptive limit.
    bar: AtomicU32,
    /// In the lower bits how many came in this window, above them the sum of what they found in flight.
    seen: AtomicU64,
    refused: AtomicU32,
    refused_at: AtomicU64,
    began: AtomicU64,
    /// How many are to come before the window is closed.
    due: AtomicU64,
    recent: Mutex<Recent>,
}

const COUNT: u32 = 20;

/// What is known from all windows, the older the less.
#[derive(Debug)]
struct Recent {
    spread: Vec<f64>,
    offered: f64,
    blank: bool,
}

impl Recent {
    fn blank() -> Self {
        Self { spread: vec![0.0; RANKS], offered: 0.0, blank: true }
    }
}

/// What a window says of the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outlook {
    Shedding,
    Calm,
}

impl Pressure {
    pub(crate) fn new() -> Self {
        let zeros = |count| (0..count).map(|_| AtomicU32::new(0)).collect();
        Self {
            arrivals: zeros(RANKS),
            kept: zeros(RANKS),
            passed_over: zeros(RANKS / 2),
            bar: AtomicU32::new(RANKS as u32),
            seen: AtomicU64::new(0),
            refused: AtomicU32::new(0),
            refused_at: AtomicU64::new(0),
            began: AtomicU64::new(0),
            due: AtomicU64::new(FIRST),
            recent: Mutex::new(Recent::blank()),
        }
    }

    /// Begins to look, and forgets what it saw before, but for who was passed over.
    pub(crate) fn begin(&self, now: u64) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        *recent = Recent::blank();
        self.arrivals.iter().for_each(|count| count.store(0, Relaxed));
        self.level();
        self.seen.store(0, Relaxed);
        self.refused.store(0, Relaxed);
        self.began.store(now, Relaxed);
        self.due.store(FIRST, Relaxed);
    }

    /// Sees a request that comes and finds so many in flight. It may close the window; `limit` is the fixed one.
    pub(crate) fn arrive(&self, rank: Rank, in_flight: u64, limit: Option<u64>, now: u64) -> Option<Outlook> {
        self.arrivals[usize::from(rank.0)].fetch_add(1, Relaxed);
        let seen = self.seen.fetch_add(in_flight << COUNT | 1, Relaxed) & ((1 << COUNT) - 1);
        let age = now.saturating_sub(self.began.load(Relaxed));
        let is_due = seen >= self.due.load(Relaxed) || age >= SECOND && seen >= FEW || age >= 5 * SECOND;
        if is_due { self.close(limit, now) } else { None }
    }

    /// Forgets who was passed over too.
    pub(crate) fn reset(&self, now: u64) {
        self.begin(now);
        self.passed_over.iter().for_each(|count| count.store(0, Relaxed));
    }

    /// Treats all ranks alike, until a window says otherwise.
    pub(crate) fn level(&self) {
        self.kept.iter().for_each(|kept| kept.store(0, Relaxed));
        self.bar.store(RANKS as u32, Relaxed);
    }

    /// Hears that a request was refused.
    pub(crate) fn refuse(&self, rank: Rank, now: u64) {
        self.refused.fetch_add(1, Relaxed);
        self.refused_at.store(now, Relaxed);
        self.passed_over[rank.level()].fetch_add(1, Relaxed);
    }

    /// Whether it is this level's turn to be judged as the most important. [`lifted`](Self::lifted) ends it.
    pub(crate) fn is_lifted(&self, rank: Rank) -> bool {
        self.passed_over[rank.level()].load(Relaxed) >= PATIENCE
    }

    pub(crate) fn lifted(&self, rank: Rank) {
        self.passed_over[rank.level()].store(0, Relaxed);
    }

    /// How many places of a fixed limit are kept free of a rank.
    pub(crate) fn kept_from(&self, rank: Rank) -> u64 {
        u64::from(self.kept[usize::from(rank.0)].load(Relaxed))
    }

    pub(crate) fn standing(&self, rank: Rank) -> Standing {
        let bar = self.bar.load(Relaxed);
        if bar == RANKS as u32 {
            return Standing::At;
        }
        match u32::from(rank.0).cmp(&bar) {
            std::cmp::Ordering::Less => Standing::Above,
            std::cmp::Ordering::Equal => Standing::At,
            std::cmp::Ordering::Greater => Standing::Below,
        }
    }

    /// Whether nobody was refused for so long that shedding is over.
    pub(crate) fn is_over(&self, now: u64) -> bool {
        now.saturating_sub(self.refused_at.load(Relaxed)) >= OVER
    }

    #[cold]
    fn close(&self, limit: Option<u64>, now: u64) -> Option<Outlook> {
        let mut recent = match self.recent.try_lock() {
            Ok(recent) => recent,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let seen = self.seen.swap(0, Relaxed);
        let refused = f64::from(self.refused.swap(0, Relaxed));
        let count = (seen & ((1 << COUNT) - 1)) as f64;
        if count == 0.0 {
            return None;
        }
        self.began.store(now, Relaxed);
        self.due.store((self.due.load(Relaxed) * 2).min(MOST), Relaxed);
        let arrivals: Vec<f64> =
            self.arrivals.iter().map(|count| f64::from(count.swap(0, Relaxed))).collect();
        // Who comes at random sees the mean in flight, and that is what the admitted take (Little's law).
        let admitted = (1.0 - refused / count).max(1.0 / count);
        let offered = (seen >> COUNT) as f64 / count / admitted;
        recent.learn(&arrivals, offered);
        let has_room = limit.is_some_and(|limit| offered + 2.0 * offered.sqrt() < limit as f64);
        match limit {
            // Who was refused came in a burst: to keep places free would only refuse more.
            _ if refused == 0.0 || has_room => self.level(),
            Some(limit) => self.keep_places(&recent, limit as usize),
            None => self.bar.store(recent.level_at(1.0 - refused / count), Relaxed),
        }
        Some(if self.is_over(now) { Outlook::Calm } else { Outlook::Shedding })
    }

    fn keep_places(&self, recent: &Recent, limit: usize) {
        let trunk = Trunk::new(limit, recent.offered);
        // Those who need all of a limit leave no part of it idle: who finds it so comes when they are gone.
        let most = limit - limit / IDLE;
        let (mut above, mut kept) = (0.0, Kept::default());
        for (at, share) in recent.shares().enumerate() {
            kept = if Rank(at as u16).is_beyond_share() {
                trunk.keep_free_within(above, kept)
            } else {
                trunk.keep_free(above, kept)
            };
            self.kept[at].store(kept.places.min(most) as u32, Relaxed);
            above += share * recent.offered;
        }
    }
}

impl Recent {
    fn learn(&mut self, arrivals: &[f64], offered: f64) {
        let share = if self.blank { 1.0 } else { SHARE };
        for (known, arrived) in self.spread.iter_mut().zip(arrivals) {
            *known += share * (arrived - *known);
        }
        self.offered += share * (offered - self.offered);
        self.blank = false;
    }

    /// Which share of the requests came in each rank.
    fn shares(&self) -> impl Iterator<Item = f64> + '_ {
        let all: f64 = self.spread.iter().sum();
        self.spread.iter().map(move |count| if all > 0.0 { count / all } else { 0.0 })
    }

    /// The rank up to which so large a share of the requests comes.
    fn level_at(&self, quantile: f64) -> u32 {
        let mut sum = 0.0;
        let found = self.shares().position(|share| {
            sum += share;
            share > 0.0 && sum >= quantile
        });
        found.unwrap_or(RANKS) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows 5000 requests, of each level so many of a hundred, half of which are refused, at ten in flight.
    fn pressed(levels: &[(u8, usize)], limit: Option<u64>) -> Pressure {
        let pressure = Pressure::new();
        pressure.begin(0);
        for _ in 0..50 {
            for &(level, share) in levels {
                for n in 0..share {
                    let rank = Rank::new(level, false);
                    pressure.arrive(rank, 10, limit, 1);
                    if n % 2 == 0 {
                        pressure.refuse(rank, 1);
                    }
                }
            }
        }
        pressure
    }

    #[test]
    fn of_a_fixed_limit_places_are_kept_for_those_who_matter_more() {
        let pressure = pressed(&[(0, 20), (128, 30), (255, 50)], Some(10));
        let kept = [0, 1, 128, 129, 255].map(|level| pressure.kept_from(Rank::new(level, false)));
        assert_eq!(kept[0], 0);
        assert!(kept[1] >= 3 && kept[1] == kept[2], "{kept:?}");
        assert!(kept[3] > kept[2] && kept[3] == kept[4], "{kept:?}");
    }

    #[test]
    fn one_level_alone_has_the_whole_limit() {
        let pressure = pressed(&[(128, 100)], Some(10));
        assert_eq!(pressure.kept_from(Rank::new(128, false)), 0);
        assert!(pressure.kept_from(Rank::new(129, false)) > 0);
    }

    #[test]
    fn the_threshold_stands_where_the_capacity_ends() {
        let pressure = pressed(&[(100, 20), (101, 20), (102, 20), (103, 40)], None);
        let standing = |level| pressure.standing(Rank::new(level, false));
        assert_eq!(standing(101), Standing::Above);
        assert_eq!(standing(102), Standing::At);
        assert_eq!(standing(103), Standing::Below);
        let alone = pressed(&[(7, 100)], None);
        assert_eq!(alone.standing(Rank::new(7, false)), Standing::At);
    }

    #[test]
    fn a_window_without_refusals_ranks_nobody_and_five_seconds_without_end_it() {
        let pressure = pressed(&[(0, 50), (255, 50)], Some(10));
        let rank = Rank::new(255, false);
        assert!(pressure.kept_from(rank) > 0);
        let outlook = (0..=2 * MOST).find_map(|_| pressure.arrive(rank, 1, Some(10), SECOND));
        assert_eq!(outlook, Some(Outlook::Shedding));
        let later = (0..=2 * MOST).find_map(|_| pressure.arrive(rank, 1, Some(10), 2 * SECOND));
        assert_eq!((later, pressure.kept_from(rank)), (Some(Outlook::Shedding), 0));
        assert_eq!(pressure.arrive(rank, 1, Some(10), 7 * SECOND), Some(Outlook::Calm));
        pressure.refuse(rank, 7 * SECOND);
        assert_eq!(pressure.arrive(rank, 1, Some(10), 12 * SECOND - 1), None);
        assert_eq!(pressure.arrive(rank, 1, Some(10), 13 * SECOND), Some(Outlook::Calm));
    }

    #[test]
    fn no_level_is_passed_over_for_ever() {
        let pressure = Pressure::new();
        let rank = Rank::new(255, true);
        (1..PATIENCE).for_each(|_| pressure.refuse(rank, 1));
        assert!(!pressure.is_lifted(rank));
        pressure.refuse(rank, 1);
        assert!(pressure.is_lifted(rank));
        pressure.lifted(rank);
        assert!(!pressure.is_lifted(rank));
    }
}
