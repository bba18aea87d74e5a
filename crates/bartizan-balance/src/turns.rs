use bartizan_core::Dice;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Numbers that are another at every call, shared without a read-modify-write: two threads may get the same one, which does no harm
/// where one of several is to be picked.
#[derive(Debug)]
pub(crate) struct Turns(AtomicU64);

/// One number. All that is asked of it is asked of the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn(u64);

impl Turns {
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self(AtomicU64::new((Dice::new(seed).unit() * (1_u64 << 53) as f64) as u64))
    }

    #[inline]
    pub(crate) fn next(&self) -> Turn {
        let turn = self.0.load(Relaxed).wrapping_add(1);
        self.0.store(turn, Relaxed);
        Turn(turn)
    }
}

impl Turn {
    /// As it counts up.
    #[inline]
    pub(crate) fn count(self) -> u64 {
        self.0
    }

    /// At random.
    #[inline]
    pub(crate) fn dice(self) -> Throws {
        Throws(mix(self.0))
    }
}

/// What is thrown in one turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Throws(u64);

impl Throws {
    /// One of `n`, which is not zero.
    #[inline]
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((u64::from(self.bits()) * n as u64) >> 32) as usize
    }

    /// Sixteen of `n`, which are at least as many: one of each sixteenth, so that no two are the same.
    #[inline]
    pub(crate) fn sample(&mut self, n: usize) -> impl Iterator<Item = usize> + use<> {
        let (low, high) = (self.0, mix(self.0));
        self.0 = mix(high);
        (0..16_usize).map(move |part| {
            let bits = if part < 8 { low } else { high };
            // Sixteen bits that the next part shares half of.
            let bits = bits.rotate_left(part as u32 * 8) as u16 as usize;
            let (from, to) = (n * part / 16, n * (part + 1) / 16);
            from + (((to - from) * bits) >> 16)
        })
    }

    /// Within `0.0..1.0`.
    #[inline]
    pub(crate) fn unit(&mut self) -> f32 {
        (self.bits() >> 8) as f32 / (1_u32 << 24) as f32
    }

    #[inline]
    fn bits(&mut self) -> u32 {
        let bits = (self.0 >> 32) as u32;
        self.0 = mix(self.0);
        bits
    }
}

/// The output function of SplitMix64: G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number generators", 2014.
#[inline]
fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throws_are_even_and_those_of_a_turn_differ() {
        let turns = Turns::new(Some(7));
        let (mut first, mut second) = ([0_u32; 10], [0_u32; 100]);
        for _ in 0..100_000 {
            let mut dice = turns.next().dice();
            let (a, b) = (dice.below(10), dice.below(10));
            first[a] += 1;
            second[a * 10 + b] += 1;
        }
        let mut sampled = [0_u32; 100];
        for _ in 0..100_000 {
            turns.next().dice().sample(100).for_each(|place| sampled[place] += 1);
        }
        assert!(sampled.iter().all(|n| (14_000..18_000).contains(n)), "{sampled:?}");
        assert!(first.iter().all(|n| (9_600..10_400).contains(n)), "{first:?}");
        assert!(second.iter().all(|n| (850..1_150).contains(n)), "{second:?}");
    }
}
