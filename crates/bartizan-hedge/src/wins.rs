//! Whether copies are of any use. No clock.

use crate::sync::{AtomicU64, Ordering::Relaxed};
use bartizan_core::Dice;

/// How often a copy that was sent because the first one took long has answered before it.
///
/// A slow call is worth a copy if it is slow for a reason of its own: then it takes longer still than a new one would, and the copy wins
/// most of the time. Where all calls wait in queues, the rest of a long wait is as long as a new one, the copy wins every other time, and
/// it makes the queues longer. The border is the exponential distribution: G. Joshi, E. Soljanin, G. Wornell, "Efficient redundancy techniques
/// for latency reduction in cloud systems" (ACM TOMPECS 2:2, 2017).
#[derive(Debug)]
pub(crate) struct Wins {
    /// The bits of an `f64`.
    share: AtomicU64,
    /// How many were decided, up to [`MEMORY`](Self::MEMORY).
    decided: AtomicU64,
    dice: Dice,
}

impl Wins {
    /// Calls after which those before them count for a third.
    const MEMORY: u64 = 4096;
    /// Calls that the first guess counts for, which is that copies win.
    const GUESS: u64 = 32;
    /// Copies that win so rarely are useless, and those that win so often are all sent. Where only some calls are slow for a reason of
    /// their own, the copies of all others lose, and still six of ten win.
    const USELESS: f64 = 0.52;
    const USEFUL: f64 = 0.545;
    /// The part of useless copies that is sent all the same, to find out whether they still are.
    const PROBES: f64 = 1.0 / 32.0;

    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self {
            share: AtomicU64::new(1.0_f64.to_bits()),
            decided: AtomicU64::new(Self::GUESS),
            dice: Dice::new(seed),
        }
    }

    /// Learns which of two has answered first.
    pub(crate) fn decided(&self, copy_won: bool) {
        let count = |decided: u64| (decided < Self::MEMORY).then_some(decided + 1);
        let decided =
            self.decided.fetch_update(Relaxed, Relaxed, count).map_or(Self::MEMORY, |before| before + 1);
        let step = |share: f64| share + (f64::from(u8::from(copy_won)) - share) / decided as f64;
        let learn = |bits| Some(step(f64::from_bits(bits)).to_bits());
        let _ = self.share.fetch_update(Relaxed, Relaxed, learn);
    }

    /// The share of copies that win.
    pub(crate) fn share(&self) -> f64 {
        f64::from_bits(self.share.load(Relaxed))
    }

    /// Says whether to send the next one.
    pub(crate) fn allow(&self) -> bool {
        let useful = (self.share() - Self::USELESS) / (Self::USEFUL - Self::USELESS);
        self.dice.hits(useful.clamp(Self::PROBES, 1.0))
    }
}

#[cfg(all(test, not(bartizan_loom)))]
mod tests {
    use super::*;

    fn sent_of_1600(wins: &Wins) -> usize {
        (0..1600).filter(|_| wins.allow()).count()
    }

    #[test]
    fn copies_that_win_every_other_time_are_hardly_sent_until_they_win_again() {
        let wins = Wins::new(Some(1));
        (0..30_000).for_each(|n| wins.decided(n % 10 < 7));
        assert_eq!(sent_of_1600(&wins), 1600, "most of them win");
        (0..30_000).for_each(|n| wins.decided(n % 2 == 0));
        assert!((20..100).contains(&sent_of_1600(&wins)), "one in 32");
        (0..30_000).for_each(|n| wins.decided(n % 10 < 7));
        assert_eq!(sent_of_1600(&wins), 1600, "they are of use again");
    }
}
