//! The keys of several generations. Each signs until the next one does, and is known until the last token that it has
//! signed is over; the next one is known for a while before it signs, so that nobody meets a key that is strange.

use crate::parts::auth::Key;
use std::sync::Arc;

/// How long a key is known before it signs, in milliseconds; at most half of its time.
const AHEAD_MS: i64 = 10_000;

/// The key of one generation.
#[derive(Clone)]
pub(super) struct Generation {
    pub(super) number: i64,
    pub(super) id: String,
    /// Milliseconds since 1970.
    pub(super) signs_from: i64,
    pub(super) key: Arc<Key>,
}

/// A generation that is to be made.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Wanted {
    pub(super) number: i64,
    pub(super) signs_from: i64,
}

/// The generations that there are, the oldest first.
#[derive(Clone, Default)]
pub(super) struct Ring(Vec<Generation>);

impl Ring {
    pub(super) fn new(mut generations: Vec<Generation>) -> Self {
        generations.sort_by_key(|generation| generation.number);
        Self(generations)
    }

    /// The key that signs at `now`: the newest whose time has come.
    pub(super) fn signer(&self, now: i64) -> Option<&Key> {
        let come = self.0.iter().rev().find(|generation| generation.signs_from <= now);
        come.or(self.0.first()).map(|generation| &*generation.key)
    }

    /// The keys that are needed at `now`, and those that are not any more, where a token lives for `token`.
    pub(super) fn split(&self, now: i64, token: i64) -> (Vec<&Generation>, Vec<&Generation>) {
        let over =
            |at: usize| self.0.get(at + 1).is_some_and(|next| next.signs_from + token + AHEAD_MS < now);
        let (over, needed): (Vec<_>, Vec<_>) = self.0.iter().enumerate().partition(|(at, _)| over(*at));
        let plain = |generations: Vec<(usize, _)>| {
            generations.into_iter().map(|(_, generation)| generation).collect()
        };
        (plain(needed), plain(over))
    }

    /// The next generation, when it is time to make it, where a key signs for `life`.
    pub(super) fn wanted(&self, now: i64, life: i64) -> Option<Wanted> {
        let Some(newest) = self.0.last() else { return Some(self.next(now)) };
        let ahead = AHEAD_MS.min(life / 2);
        let due = newest.signs_from + life <= now + ahead;
        due.then(|| self.next((newest.signs_from + life).max(now + ahead)))
    }

    /// The next generation, if it is to sign from a moment on.
    pub(super) fn next(&self, signs_from: i64) -> Wanted {
        Wanted { number: self.0.last().map_or(0, |newest| newest.number + 1), signs_from }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: i64 = 100_000;
    const TOKEN: i64 = 50_000;

    fn ring(signs_from: &[i64]) -> Ring {
        let generation = |(number, signs_from): (usize, &i64)| {
            let (number, id) = (number as i64, number.to_string());
            let key = Arc::new(Key::from_seed(id.clone(), &[number as u8; 32]));
            Generation { number, id, signs_from: *signs_from, key }
        };
        Ring::new(signs_from.iter().enumerate().map(generation).collect())
    }

    fn ids(generations: &[&Generation]) -> Vec<String> {
        generations.iter().map(|generation| generation.id.clone()).collect()
    }

    #[test]
    fn the_next_key_is_known_before_it_signs() {
        assert_eq!(ring(&[]).wanted(5, LIFE), Some(Wanted { number: 0, signs_from: 5 }));
        let ring = ring(&[0]);
        for (now, wanted) in [
            (0, None),
            (LIFE - AHEAD_MS - 1, None),
            (LIFE - AHEAD_MS, Some(LIFE)),
            (LIFE, Some(LIFE + AHEAD_MS)),
            (20 * LIFE, Some(20 * LIFE + AHEAD_MS)),
        ] {
            let signs_from = ring.wanted(now, LIFE).map(|wanted| wanted.signs_from);
            assert_eq!(signs_from, wanted, "{now}");
        }
        assert_eq!(ring.wanted(1000, 2000).unwrap().signs_from, 2000, "a short life is half ahead");
    }

    #[test]
    fn one_key_signs_and_all_are_known_whose_tokens_live() {
        let ring = ring(&[0, LIFE, 2 * LIFE]);
        let end = LIFE + TOKEN + AHEAD_MS;
        for (now, signs, needed) in [
            (0, "0", &["0", "1", "2"][..]),
            (LIFE - 1, "0", &["0", "1", "2"]),
            (LIFE, "1", &["0", "1", "2"]),
            (end, "1", &["0", "1", "2"]),
            (end + 1, "1", &["1", "2"]),
            (2 * LIFE, "2", &["1", "2"]),
            (20 * LIFE, "2", &["2"]),
        ] {
            assert_eq!(ring.signer(now).unwrap().public().kid, signs, "{now}");
            let (known, over) = ring.split(now, TOKEN);
            assert_eq!(ids(&known), needed, "{now}");
            assert_eq!(known.len() + over.len(), 3);
        }
        assert!(Ring::default().signer(0).is_none());
    }
}
