use crate::denial::Denial;
use crate::nanos;
use crate::shelf::Shelf;
use bartizan_core::{Context, Instant, Times, TimesSnapshot};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::time::Duration;

/// Those who wait: a line for each bucket, first come, first served.
///
/// Who waits has taken nothing. The first of a line takes its tokens when they are there, and calls the next; so one who leaves costs
/// nobody anything, and those behind it come sooner.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    lines: Mutex<Lines>,
    /// A copy of how many they are, to be read without the lock.
    count: AtomicUsize,
    /// How long those had waited who are gone. Made when the first waits.
    waited: OnceLock<Box<Times>>,
}

#[derive(Debug, Default)]
struct Lines {
    /// By the number of the bucket; none is empty.
    lines: HashMap<u64, Line>,
    count: usize,
    tickets: u64,
}

#[derive(Debug, Default)]
struct Line {
    /// In the order of their tickets.
    places: VecDeque<Place>,
    /// What all of them cost.
    cost: u64,
}

#[derive(Debug)]
struct Place {
    ticket: u64,
    waker: Option<Waker>,
}

/// How long who comes may wait, and how many may.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) max_wait: Duration,
    pub(crate) max_waiting: usize,
}

/// What is said to who comes.
#[derive(Debug)]
pub(crate) enum Entry {
    /// It has its tokens; the bucket needs so long to be full.
    Through(u64),
    Waits(Claim),
}

/// A place in a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    number: u64,
    ticket: u64,
    cost: u32,
    /// When it came.
    pub(crate) since: u64,
    /// When it is no longer worth it.
    latest: u64,
}

/// What is said to who waits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    /// It has its tokens; the bucket needs so long to be full.
    Through(u64),
    /// It will never have them, or too late.
    No(Denial),
    /// It is the first, and its tokens are there at that time.
    At(u64),
    /// It is called later, or asks again at that time.
    Behind(u64),
}

impl Waiters {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// How long those had waited who are gone.
    pub(crate) fn waited(&self) -> TimesSnapshot {
        self.waited.get().map(|waited| waited.snapshot()).unwrap_or_default()
    }

    /// Notes that one is gone who came at `since`.
    pub(crate) fn gone(&self, since: u64, now: u64) {
        self.waited.get_or_init(Box::default).record(Duration::from_nanos(now.saturating_sub(since)));
    }

    /// Takes tokens, if they are there and nobody waits for them, or a place.
    pub(crate) fn enter(
        &self,
        shelf: &dyn Shelf,
        number: u64,
        cost: u32,
        terms: Terms,
    ) -> Result<Entry, Denial> {
        let mut lines = self.lock();
        let now = shelf.common().now();
        let ahead = lines.cost(number);
        if ahead == 0 {
            match shelf.take(number, cost, now) {
                Ok(debt) => return Ok(Entry::Through(debt)),
                Err(Denial::COSTLY) => return Err(Denial::COSTLY),
                Err(_) => {}
            }
        } else {
            let limit = shelf.common().limit();
            if limit.is_enabled() && cost > limit.max_burst() {
                return Err(Denial::COSTLY);
            }
        }
        let wait = shelf.wait(number, ahead + u64::from(cost), now);
        let max_wait = nanos(terms.max_wait);
        let deadline =
            Context::current().and_then(|context| context.remaining(Instant::now())).map_or(u64::MAX, nanos);
        if wait > max_wait.min(deadline) {
            return Err(Denial::slow(wait));
        }
        if lines.count >= terms.max_waiting {
            return Err(Denial::crowded(wait));
        }
        let ticket = lines.join(number, cost);
        self.count.store(lines.count, Ordering::Relaxed);
        // Timers may be late by a millisecond for each one ahead, and a limit may change while it is waited for.
        let latest = now.saturating_add(max_wait.saturating_mul(2).min(deadline));
        Ok(Entry::Waits(Claim { number, ticket, cost, since: now, latest }))
    }

    /// Asks whether it is somebody's turn. If not, its waker is called when it is worth asking again.
    pub(crate) fn ask(&self, shelf: &dyn Shelf, claim: Claim, waker: &Waker) -> Call {
        // Dropped after the lock, as with a waker a task may go that waits here too.
        let mut _old = None;
        let mut lines = self.lock();
        let Some(place) = lines.place(claim) else { return Call::No(Denial::slow(u64::MAX)) };
        if !place.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            _old = place.waker.replace(waker.clone());
        }
        let now = shelf.common().now();
        if !lines.is_first(claim) {
            if now < claim.latest {
                return Call::Behind(claim.latest);
            }
            // Who is ahead was to have its tokens by now, and has not, or does not come for them.
            let wait = shelf.wait(claim.number, lines.cost(claim.number), now);
            self.go(lines, claim);
            return Call::No(Denial::slow(wait));
        }
        let call = match shelf.take(claim.number, claim.cost, now) {
            Ok(debt) => Call::Through(debt),
            Err(denial) => match denial.wait() {
                Some(wait) if now.saturating_add(wait) <= claim.latest => return Call::At(now + wait),
                Some(wait) => Call::No(Denial::slow(wait)),
                None => Call::No(denial),
            },
        };
        self.go(lines, claim);
        call
    }

    /// Gives a place back.
    pub(crate) fn leave(&self, claim: Claim) {
        self.go(self.lock(), claim);
    }

    /// Lets the first of every line look again, as something has changed.
    pub(crate) fn rouse(&self) {
        let first = |line: &mut Line| line.places.front_mut()?.waker.take();
        let wakers: Vec<Waker> = self.lock().lines.values_mut().filter_map(first).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Takes who goes out of its line, and calls who is the first now.
    fn go(&self, mut lines: MutexGuard<'_, Lines>, claim: Claim) {
        let parted = lines.part(claim);
        self.count.store(lines.count, Ordering::Relaxed);
        drop(lines);
        if let Some((_gone, Some(next))) = parted {
            next.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn join(&mut self, number: u64, cost: u32) -> u64 {
        self.tickets += 1;
        self.count += 1;
        let line = self.lines.entry(number).or_default();
        line.cost += u64::from(cost);
        line.places.push_back(Place { ticket: self.tickets, waker: None });
        self.tickets
    }

    fn is_first(&self, claim: Claim) -> bool {
        let first = self.lines.get(&claim.number).and_then(|line| line.places.front());
        first.is_some_and(|place| place.ticket == claim.ticket)
    }

    fn place(&mut self, claim: Claim) -> Option<&mut Place> {
        let line = self.lines.get_mut(&claim.number)?;
        let at = line.find(claim.ticket)?;
        line.places.get_mut(at)
    }

    /// What all of a line cost.
    fn cost(&self, number: u64) -> u64 {
        self.lines.get(&number).map_or(0, |line| line.cost)
    }

    /// Removes a place, and returns it with the waker of who has become the first by it.
    fn part(&mut self, claim: Claim) -> Option<(Place, Option<Waker>)> {
        let line = self.lines.get_mut(&claim.number)?;
        let at = line.find(claim.ticket)?;
        let gone = line.places.remove(at)?;
        line.cost -= u64::from(claim.cost);
        self.count -= 1;
        let next = match line.places.front_mut() {
            Some(first) if at == 0 => first.waker.take(),
            Some(_) => None,
            None => {
                self.lines.remove(&claim.number);
                None
            }
        };
        Some((gone, next))
    }
}

impl Line {
    fn find(&self, ticket: u64) -> Option<usize> {
        self.places.binary_search_by_key(&ticket, |place| place.ticket).ok()
    }
}
