//! The queue: who waits, who is next, who has waited too long. No clock, no lock.

mod codel;

use self::codel::Codel;
use crate::backlog::Backlog;
use bartizan_core::Instant;
use std::collections::BTreeMap;
use std::time::Duration;

/// A place in the queue: the level, and among equals the order of coming.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    level: u8,
    number: u64,
}

#[derive(Debug)]
struct Entry<T> {
    since: Instant,
    waits: T,
}

/// Those who wait.
#[derive(Debug)]
pub(crate) struct Line<T> {
    value: Backlog,
    waiting: BTreeMap<Key, Entry<T>>,
    /// How many of each level wait.
    levels: Box<[u32]>,
    next: u64,
    /// When the first came after the line was empty.
    stands_since: Option<Instant>,
    codel: Codel,
}

/// What came of one who wanted to wait.
#[derive(Debug)]
pub(crate) enum Joined<T> {
    /// There is room.
    At(Key),
    /// There is room, as the last in line has to go.
    Instead(Key, T),
    /// There is none.
    Full(T),
}

impl<T> Line<T> {
    pub(crate) fn new(value: Backlog) -> Self {
        Self {
            value,
            waiting: BTreeMap::new(),
            levels: vec![0; 256].into(),
            next: 0,
            stands_since: None,
            codel: Codel::new(value.target, value.interval),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Forgets for how long it has stood.
    pub(crate) fn reset(&mut self, now: Instant) {
        self.stands_since = (!self.is_empty()).then_some(now);
        self.codel = Codel::new(self.value.target, self.value.interval);
    }

    /// Whether the newest are served first.
    fn stands(&self, now: Instant) -> bool {
        self.stands_since.is_some_and(|since| now.saturating_duration_since(since) >= self.value.interval)
    }

    /// How many would be served before one of a level that came now.
    pub(crate) fn ahead_of(&self, level: u8, now: Instant) -> u64 {
        let last = usize::from(level) + usize::from(!self.stands(now));
        self.levels[..last].iter().map(|count| u64::from(*count)).sum()
    }

    /// Lets somebody wait.
    pub(crate) fn join(&mut self, level: u8, waits: T, now: Instant) -> Joined<T> {
        let mut gone = None;
        if self.waiting.len() >= self.value.places {
            match self.waiting.last_key_value() {
                Some((last, _)) if last.level > level => gone = Some(*last),
                _ => return Joined::Full(waits),
            }
        }
        let gone = gone.and_then(|last| self.leave(last));
        self.stands_since.get_or_insert(now);
        let key = Key { level, number: self.next };
        self.next += 1;
        self.levels[usize::from(level)] += 1;
        self.waiting.insert(key, Entry { since: now, waits });
        match gone {
            Some(gone) => Joined::Instead(key, gone),
            None => Joined::At(key),
        }
    }

    /// Takes one out of the line.
    pub(crate) fn leave(&mut self, key: Key) -> Option<T> {
        let entry = self.waiting.remove(&key)?;
        self.levels[usize::from(key.level)] -= 1;
        if self.waiting.is_empty() {
            self.stands_since = None;
        }
        Some(entry.waits)
    }

    /// Who is next: of the most important level the oldest, or the newest while the line stands.
    pub(crate) fn next(&self, now: Instant) -> Option<(Key, &T)> {
        let (first, entry) = self.waiting.first_key_value()?;
        if !self.stands(now) {
            return Some((*first, &entry.waits));
        }
        let last = Key { level: first.level, number: u64::MAX };
        self.waiting.range(..=last).next_back().map(|(key, entry)| (*key, &entry.waits))
    }

    /// All who wait, in the order in which they are next.
    pub(crate) fn in_order(&self, now: Instant) -> Vec<Key> {
        let mut keys: Vec<Key> = self.waiting.keys().copied().collect();
        if self.stands(now) {
            keys.sort_unstable_by_key(|key| (key.level, u64::MAX - key.number));
        }
        keys
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        self.waiting.get(&key).map(|entry| &entry.waits)
    }

    /// Takes out one who has to go as the line has been too long for too long: the oldest of the least important.
    pub(crate) fn overdue(&mut self, now: Instant) -> Option<T> {
        let oldest = self.oldest(now);
        if !self.codel.drops(oldest, now) {
            return None;
        }
        let level = self.waiting.last_key_value()?.0.level;
        let key = *self.waiting.range(Key { level, number: 0 }..).next()?.0;
        self.leave(key)
    }

    /// How long the one has waited who has waited longest.
    pub(crate) fn oldest(&self, now: Instant) -> Option<Duration> {
        let mut level = 0;
        let mut oldest: Option<Instant> = None;
        // The first of each level is its oldest.
        while let Some((key, entry)) = self.waiting.range(Key { level, number: 0 }..).next() {
            oldest = Some(oldest.map_or(entry.since, |oldest| oldest.min(entry.since)));
            match key.level.checked_add(1) {
                Some(next) => level = next,
                None => break,
            }
        }
        oldest.map(|since| now.saturating_duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    fn line(places: usize) -> Line<char> {
        Line::new(Backlog::new(places).target(Duration::MAX))
    }

    fn all(line: &mut Line<char>, now: Instant) -> String {
        std::iter::from_fn(|| {
            let key = line.next(now)?.0;
            line.leave(key)
        })
        .collect()
    }

    #[test]
    fn the_important_first_and_among_equals_the_oldest() {
        let (mut line, now) = (line(9), Instant::now());
        for (level, name) in [(128, 'a'), (255, 'b'), (128, 'c'), (0, 'd')] {
            assert!(matches!(line.join(level, name, now), Joined::At(_)));
        }
        assert_eq!([0, 128, 255].map(|level| line.ahead_of(level, now)), [1, 3, 4]);
        assert_eq!(all(&mut line, now + 99 * MILLISECOND), "dacb");
        assert!(line.is_empty());
    }

    #[test]
    fn while_it_stands_the_newest_first() {
        let (mut line, now) = (line(9), Instant::now());
        for (level, name) in [(128, 'a'), (255, 'b'), (128, 'c'), (0, 'd')] {
            line.join(level, name, now);
        }
        let later = now + 100 * MILLISECOND;
        assert_eq!([0, 128, 255].map(|level| line.ahead_of(level, later)), [0, 1, 3]);
        let order: String = line.in_order(later).iter().filter_map(|key| line.get(*key)).collect();
        assert_eq!((order.as_str(), all(&mut line, later).as_str()), ("dcab", "dcab"));
        line.join(0, 'e', later);
        line.join(0, 'f', later);
        assert_eq!(all(&mut line, later), "ef", "it was empty, so it no longer stands");
    }

    #[test]
    fn a_full_line_turns_away_the_least_important() {
        let (mut line, now) = (line(2), Instant::now());
        line.join(128, 'a', now);
        line.join(255, 'b', now);
        assert!(matches!(line.join(255, 'c', now), Joined::Full('c')));
        assert!(matches!(line.join(0, 'd', now), Joined::Instead(_, 'b')));
        assert!(matches!(line.join(128, 'e', now), Joined::Full('e')));
        assert_eq!(all(&mut line, now), "da");
    }

    #[test]
    fn the_oldest_of_the_least_important_goes_when_the_line_is_too_long_for_too_long() {
        let mut line = Line::new(Backlog::new(9));
        let now = Instant::now();
        for (level, name) in [(128, 'a'), (255, 'b'), (255, 'c')] {
            line.join(level, name, now);
        }
        assert_eq!(line.overdue(now + 6 * MILLISECOND), None);
        assert_eq!(line.overdue(now + 105 * MILLISECOND), None);
        assert_eq!(line.overdue(now + 106 * MILLISECOND), Some('b'));
        assert_eq!(line.overdue(now + 107 * MILLISECOND), None, "the next one 100 ms later");
        assert_eq!(line.overdue(now + 206 * MILLISECOND), Some('c'));
    }
}
