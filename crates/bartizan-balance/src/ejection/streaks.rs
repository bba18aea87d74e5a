use super::{Cause, Ejection};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where a failure came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The server answered, and badly.
    Server,
    /// It answered 502, 503 or 504.
    Gateway,
    /// It did not answer: no connection, a broken one, a time-out.
    Local,
}

/// Failures in a row of one endpoint, in one word that threads share without a lock. Calls that say nothing about the
/// endpoint, or that were throttled, are not told to it.
#[derive(Debug, Default)]
pub(crate) struct Streaks(AtomicU64);

/// What the word holds, 21 bits each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rows {
    pub(crate) failures: u32,
    pub(crate) gateway: u32,
    pub(crate) local: u32,
}

const BITS: u32 = 21;
const MOST: u32 = (1 << BITS) - 1;
const _: () = assert!(Ejection::MAX_CONSECUTIVE <= MOST);

impl Streaks {
    /// A call was good. Where the one before was, this is one load.
    #[inline]
    pub(crate) fn success(&self) {
        // A failure that is counted between the two is lost, as it would be had it come a moment before.
        if self.failed_last() {
            self.0.store(0, Ordering::Relaxed);
        }
    }

    /// A call has failed. Returns why the endpoint is to be ejected, if it is: again after each full row of the rule's length,
    /// as there may have been no room for it the first time.
    pub(crate) fn failure(&self, origin: Origin, ejection: &Ejection) -> Option<Cause> {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let before = Rows::of(word);
            let after = before.and(origin, ejection.split_local);
            match self.0.compare_exchange_weak(word, after.word(), Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return after.fires(before, ejection),
                Err(now) => word = now,
            }
        }
    }

    /// Whether the last call that counts has failed.
    #[inline]
    pub(crate) fn failed_last(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// Begins anew, for an endpoint that comes back.
    pub(crate) fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// The rows as they are.
    #[cfg(test)]
    pub(crate) fn rows(&self) -> Rows {
        Rows::of(self.0.load(Ordering::Relaxed))
    }
}

impl Rows {
    fn of(word: u64) -> Self {
        let field = |at: u32| (word >> (at * BITS)) as u32 & MOST;
        Self { failures: field(0), gateway: field(1), local: field(2) }
    }

    fn word(self) -> u64 {
        u64::from(self.failures) | u64::from(self.gateway) << BITS | u64::from(self.local) << (2 * BITS)
    }

    /// The rows after one more failure.
    fn and(self, origin: Origin, split_local: bool) -> Self {
        // A full counter begins anew: a row of two million has been told often enough.
        let more = |row: u32| if row == MOST { 1 } else { row + 1 };
        match origin {
            Origin::Server => Self { failures: more(self.failures), gateway: 0, local: 0 },
            Origin::Gateway => Self { failures: more(self.failures), gateway: more(self.gateway), local: 0 },
            Origin::Local if split_local => Self { local: more(self.local), ..self },
            Origin::Local => {
                Self { failures: more(self.failures), gateway: more(self.gateway), local: more(self.local) }
            }
        }
    }

    /// The rule that says most, of those that have just come to the end of a row.
    fn fires(self, before: Self, ejection: &Ejection) -> Option<Cause> {
        if !ejection.enabled {
            return None;
        }
        let full = |row: u32, before: u32, rule: Option<NonZeroU32>| {
            row != before && row != 0 && rule.is_some_and(|length| row % length == 0)
        };
        if full(self.local, before.local, ejection.consecutive_local) {
            Some(Cause::ConsecutiveLocal)
        } else if full(self.gateway, before.gateway, ejection.consecutive_gateway) {
            Some(Cause::ConsecutiveGateway)
        } else if full(self.failures, before.failures, ejection.consecutive) {
            Some(Cause::Consecutive)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays calls by status, 0 for one without an answer, and returns after how many each rule fired.
    fn play(ejection: Ejection, calls: &[u16]) -> Vec<(usize, Cause)> {
        let streaks = Streaks::default();
        let mut fired = Vec::new();
        for (at, call) in calls.iter().enumerate() {
            let origin = match call {
                0 => Origin::Local,
                502..=504 => Origin::Gateway,
                500.. => Origin::Server,
                _ => {
                    streaks.success();
                    continue;
                }
            };
            fired.extend(streaks.failure(origin, &ejection).map(|cause| (at + 1, cause)));
        }
        fired
    }

    #[test]
    fn the_fifth_in_a_row_ejects() {
        let calls = [500, 200, 500, 500, 500, 500, 500];
        assert_eq!(play(Ejection::new(), &calls), [(7, Cause::Consecutive)]);
        assert_eq!(play(Ejection::new(), &calls[..6]), []);
        assert_eq!(play(Ejection::new(), &[500; 12]), [(5, Cause::Consecutive), (10, Cause::Consecutive)]);
        assert_eq!(play(Ejection::new().enabled(false), &calls), []);
        assert_eq!(play(Ejection::new().consecutive(0), &calls), []);
    }

    #[test]
    fn the_gateway_rule_is_separate() {
        let gateway = Ejection::new().consecutive(0).consecutive_gateway(5);
        assert_eq!(play(gateway, &[503, 500, 503, 503, 503, 503]), []);
        assert_eq!(play(gateway, &[503, 502, 504, 503, 503]), [(5, Cause::ConsecutiveGateway)]);
        assert_eq!(play(gateway.consecutive_local(0), &[0, 503, 0, 0, 0]), [(5, Cause::ConsecutiveGateway)]);
    }

    #[test]
    fn what_got_no_answer_is_counted_apart_if_so_wished() {
        let split = Ejection::new().split_local(true);
        assert_eq!(play(split, &[0; 5]), [(5, Cause::ConsecutiveLocal)]);
        assert_eq!(play(split, &[500, 500, 500, 500, 0, 500]), [(6, Cause::Consecutive)]);
        assert_eq!(
            play(split, &[500, 500, 500, 500, 500, 0]),
            [(5, Cause::Consecutive)],
            "a full row is told once"
        );
        assert_eq!(play(split, &[0, 0, 0, 0, 500, 0]), [], "an answer, if a bad one");
        assert_eq!(play(split, &[0, 0, 0, 0, 503, 0]), [], "and one of a gateway");
        assert_eq!(play(Ejection::new(), &[0, 500, 0, 500, 0]), [(5, Cause::Consecutive)]);
        assert_eq!(play(Ejection::new(), &[0; 5]), [(5, Cause::ConsecutiveLocal)], "the one that says more");
    }

    #[test]
    fn success_cancels() {
        for split in [false, true] {
            let alternating: Vec<u16> = (0..200).map(|at| if at % 2 == 0 { 200 } else { 0 }).collect();
            assert_eq!(play(Ejection::new().split_local(split), &alternating), []);
        }
    }

    #[test]
    fn the_word_holds_all_rows_and_begins_anew_when_full() {
        let rows = Rows { failures: MOST, gateway: 7, local: MOST };
        assert_eq!(Rows::of(rows.word()), rows);
        assert_eq!(rows.and(Origin::Local, false), Rows { failures: 1, gateway: 8, local: 1 });
        let streaks = Streaks(AtomicU64::new(rows.word()));
        assert!(streaks.failed_last());
        streaks.reset();
        assert_eq!((streaks.failed_last(), streaks.rows()), (false, Rows::default()));
    }
}
