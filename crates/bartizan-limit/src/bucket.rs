use crate::denial::Denial;
use crate::pace::Pace;
use crate::sync::{AtomicU64, Mutex, Ordering, PoisonError};

/// One bucket that threads share: a word that says when it is full again, and its pace beside it.
///
/// A request reads the word, then the pace, and writes the word if it is still what it read. A change of the pace marks the word first
/// and gives it a new generation after, so that no request pairs the word of one pace with the numbers of another.
#[derive(Debug)]
pub(crate) struct Bucket {
    word: AtomicU64,
    interval: AtomicU64,
    span: AtomicU64,
    changes: Mutex<Changes>,
}

/// When each generation of the pace has begun last.
#[derive(Debug, Default)]
struct Changes([Option<u64>; 4]);

/// The nanosecond at which the bucket is full, the generation of its pace, and whether that is being changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Word(u64);

impl Changes {
    /// How long a request is thought to be interrupted at most between its read and its write: 10 s.
    const AGE: u64 = 10_000_000_000;
}

impl Word {
    const CHANGING: u64 = 1;
    /// Two bits, so that four changes make a word that may look like the old one.
    const GENERATION: u64 = 0b110;
    /// The time has the other bits: 73 years.
    const TIME: u32 = 3;

    #[inline]
    const fn full(self) -> u64 {
        self.0 >> Self::TIME
    }

    #[inline]
    const fn with_full(self, full: u64) -> Self {
        Self(self.0 & Self::GENERATION | full << Self::TIME)
    }

    #[inline]
    const fn is_changing(self) -> bool {
        self.0 & Self::CHANGING != 0
    }

    const fn generation(self) -> usize {
        (self.0 & Self::GENERATION) as usize >> 1
    }

    const fn is_of_the_pace_of(self, other: Self) -> bool {
        (self.0 ^ other.0) & (Self::GENERATION | Self::CHANGING) == 0
    }

    const fn next_generation(self) -> Self {
        Self(self.0 & !(Self::GENERATION | Self::CHANGING) | (self.0 + 0b010) & Self::GENERATION)
    }
}

impl Bucket {
    /// Creates a full bucket.
    pub(crate) fn new(pace: Pace) -> Self {
        let (interval, span) = (AtomicU64::new(pace.interval), AtomicU64::new(pace.span));
        Self { word: AtomicU64::new(0), interval, span, changes: Mutex::default() }
    }

    /// Takes tokens at `now`, and returns after how long the bucket will be full again.
    #[inline]
    pub(crate) fn take(&self, cost: u32, now: u64) -> Result<u64, Denial> {
        self.change(|pace, full| if pace.is_off() { Ok(full) } else { pace.take(full, cost, now) })
            .map(|full| full.saturating_sub(now))
    }

    /// Takes as many of the tokens as there are.
    pub(crate) fn charge(&self, cost: u32, now: u64) {
        let _ = self.change::<()>(|pace, full| Ok(pace.charge(full, cost, now)));
    }

    /// Gives tokens back, and hears that it is not full before `told`.
    pub(crate) fn learn(&self, back: u32, told: u64) {
        let _ = self.change::<()>(|pace, full| Ok(pace.learn(full, back, told)));
    }

    /// Takes all tokens.
    pub(crate) fn drain(&self, now: u64) {
        self.charge(u32::MAX, now);
    }

    /// Fills the bucket.
    pub(crate) fn fill(&self) {
        let _ = self.change::<()>(|_, _| Ok(0));
    }

    /// The pace, and when the bucket is full.
    pub(crate) fn read(&self) -> (Pace, u64) {
        match self.change(|pace, full| Err::<u64, _>((pace, full))) {
            Err(read) => read,
            Ok(full) => (self.pace(), full),
        }
    }

    /// Takes over a new pace; the bucket keeps its tokens.
    pub(crate) fn update(&self, to: Pace, now: u64) {
        self.update_by(to, now, |from, full| from.carry(full, now, to));
    }

    /// As [`update`](Self::update), but a full bucket stays full.
    pub(crate) fn renew(&self, to: Pace, now: u64) {
        self.update_by(to, now, |from, full| if full <= now { full } else { from.carry(full, now, to) });
    }

    fn update_by(&self, to: Pace, now: u64, carry: impl Fn(Pace, u64) -> u64) {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        // Whatever a request has read before this, it can no longer write.
        let word = Word(self.word.fetch_or(Word::CHANGING, Ordering::AcqRel));
        let from = self.pace();
        self.interval.store(to.interval, Ordering::Release);
        self.span.store(to.span, Ordering::Release);
        let next = word.next_generation();
        // A request that was interrupted since this generation's last time might take the word for the one it has read. Let it
        // differ, by a nanosecond.
        let begun = changes.0[next.generation()].replace(now);
        let haste = begun.is_some_and(|begun| now.saturating_sub(begun) < Changes::AGE);
        let full = carry(from, word.full()) + u64::from(haste);
        self.word.store(next.with_full(full).0, Ordering::Release);
    }

    /// Replaces the time at which the bucket is full, unless it is not to be changed.
    #[inline]
    fn change<E>(&self, next: impl Fn(Pace, u64) -> Result<u64, E>) -> Result<u64, E> {
        let mut word = Word(self.word.load(Ordering::Acquire));
        loop {
            if word.is_changing() {
                word = self.changed();
                continue;
            }
            match next(self.pace(), word.full()) {
                Ok(full) => {
                    let new = word.with_full(full).0;
                    match self.word.compare_exchange_weak(word.0, new, Ordering::AcqRel, Ordering::Acquire) {
                        Ok(_) => return Ok(full),
                        Err(seen) => word = Word(seen),
                    }
                }
                Err(error) => {
                    // Whoever saw a number of the next pace now sees the mark on the word, or its next generation.
                    let seen = Word(self.word.load(Ordering::Acquire));
                    if seen.is_of_the_pace_of(word) {
                        return Err(error);
                    }
                    word = seen;
                }
            }
        }
    }

    #[inline]
    fn pace(&self) -> Pace {
        Pace { interval: self.interval.load(Ordering::Acquire), span: self.span.load(Ordering::Acquire) }
    }

    /// Waits until a change is done.
    #[cold]
    fn changed(&self) -> Word {
        let _changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        Word(self.word.load(Ordering::Acquire))
    }
}

#[cfg(all(test, not(bartizan_loom)))]
mod tests {
    use super::*;
    use crate::Limit;

    #[test]
    fn its_word_holds_a_time_and_a_generation() {
        let word = Word(0).with_full(12_345);
        assert_eq!((word.full(), word.is_changing()), (12_345, false));
        let marked = Word(word.0 | Word::CHANGING);
        assert!(marked.is_changing() && !marked.is_of_the_pace_of(word));
        let mut next = marked.next_generation();
        assert!(!next.is_changing() && !next.is_of_the_pace_of(word));
        for _ in 0..3 {
            assert_eq!(next.full(), 12_345);
            next = Word(next.0 | Word::CHANGING).next_generation();
        }
        assert_eq!(next, word);
    }

    #[test]
    fn threads_take_each_token_once() {
        let bucket = Bucket::new(Limit::per_second(1).burst(1000).pace());
        let taken: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..1000).filter(|_| bucket.take(1, 0).is_ok()).count()))
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        assert_eq!(taken, 1000);
    }

    #[test]
    fn a_change_under_way_neither_loses_nor_gives_tokens() {
        // Both paces bring a token each second, so that the tokens taken tell how many were given.
        let paces = [1000, 2000].map(|burst| Limit::per_second(1).burst(burst).pace());
        let bucket = Bucket::new(paces[0]);
        let taken: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..2)
                .map(|_| scope.spawn(|| (0..2000).filter(|_| bucket.take(1, 0).is_ok()).count()))
                .collect();
            for turn in 0..1000 {
                bucket.update(paces[turn % 2], 0);
            }
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        // Changes as hasty as these cost a nanosecond each, and so the last token.
        assert!((999..=1000).contains(&taken), "{taken}");
    }
}
