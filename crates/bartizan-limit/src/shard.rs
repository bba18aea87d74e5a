use crate::pace::Pace;

/// A part of the table: buckets by their number, in one array with linear probing.
///
/// A slot is two words, and at most three of four are taken: a bucket needs 21 to 43 bytes.
#[derive(Debug)]
pub(crate) struct Shard {
    slots: Box<[Slot]>,
    len: u32,
    /// Where the search for a bucket to forget goes on.
    hand: u32,
    /// No bucket is full before this time, as far as is known: until then there is none to be forgotten.
    none_before: u64,
    pub(crate) pace: Pace,
    /// The latest time at which something was decided here. Threads may come with a clock reading that is older.
    latest: u64,
}

/// The number of a bucket, zero in an empty slot, and when the bucket is full.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    number: u64,
    full: u64,
}

/// Slots of the smallest array.
const SMALLEST: usize = 8;

impl Shard {
    pub(crate) fn new(pace: Pace) -> Self {
        Self { slots: Box::new([]), len: 0, hand: 0, none_before: 0, pace, latest: 0 }
    }

    /// The time to decide at: never before a time at which something was decided or forgotten.
    #[inline]
    pub(crate) fn at(&mut self, now: u64) -> u64 {
        self.latest = self.latest.max(now);
        self.latest
    }

    /// When a bucket is full, to be read or changed.
    #[inline]
    pub(crate) fn find(&mut self, number: u64) -> Option<&mut u64> {
        if self.len == 0 {
            return None;
        }
        let mask = self.slots.len() - 1;
        let mut at = home(number, mask);
        // It ends, as a quarter of the slots is empty.
        loop {
            let slot = self.slots[at];
            if slot.number == number {
                return Some(&mut self.slots[at].full);
            }
            if slot.number == 0 {
                return None;
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds a bucket that is not there.
    pub(crate) fn insert(&mut self, number: u64, full: u64) {
        if (self.len() + 1) * 4 > self.slots.len() * 3 {
            self.resize((self.slots.len() * 2).max(SMALLEST));
        }
        self.place(Slot { number, full });
        self.len += 1;
        self.none_before = self.none_before.min(full);
    }

    /// Forgets one bucket that is full; says whether there was one. A search in vain is not repeated before the first of the
    /// buckets is full: one that is given tokens back meanwhile is found a little later.
    pub(crate) fn forget_one(&mut self, now: u64) -> bool {
        if now < self.none_before {
            return false;
        }
        let mut first = u64::MAX;
        for _ in 0..self.slots.len() {
            let at = (self.hand as usize + 1) & (self.slots.len() - 1);
            self.hand = at as u32;
            let slot = self.slots[at];
            if slot.is_full_at(now) {
                self.remove(at);
                return true;
            }
            if slot.number != 0 {
                first = first.min(slot.full);
            }
        }
        self.none_before = first;
        false
    }

    /// Forgets all buckets that are full, and gives memory back. Returns how many they were.
    pub(crate) fn sweep(&mut self, now: u64) -> usize {
        let before = self.len();
        let mut at = 0;
        while at < self.slots.len() {
            // In the place of one that leaves there may be another.
            if self.slots[at].is_full_at(now) { self.remove(at) } else { at += 1 }
        }
        if self.len == 0 {
            self.slots = Box::default();
        } else if self.len() * 8 < self.slots.len() {
            self.resize((self.len() * 2).next_power_of_two().max(SMALLEST));
        }
        before - self.len()
    }

    /// Forgets everything. Returns how many buckets there were.
    pub(crate) fn clear(&mut self) -> usize {
        self.slots = Box::default();
        std::mem::take(&mut self.len) as usize
    }

    const fn len(&self) -> usize {
        self.len as usize
    }

    /// Carries all buckets over to another pace.
    pub(crate) fn update(&mut self, pace: Pace, now: u64) {
        for slot in self.slots.iter_mut().filter(|slot| slot.number != 0) {
            slot.full = self.pace.carry(slot.full, now, pace);
        }
        (self.pace, self.none_before) = (pace, 0);
    }

    fn resize(&mut self, slots: usize) {
        let old = std::mem::replace(&mut self.slots, vec![Slot::default(); slots].into());
        self.hand = 0;
        old.into_iter().filter(|slot| slot.number != 0).for_each(|slot| self.place(slot));
    }

    fn place(&mut self, slot: Slot) {
        let mask = self.slots.len() - 1;
        let mut at = home(slot.number, mask);
        while self.slots[at].number != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
    }

    /// Empties a slot, and moves up those behind it that would no longer be found (D. E. Knuth, "The Art of Computer Programming",
    /// volume 3, section 6.4, algorithm R).
    fn remove(&mut self, mut hole: usize) {
        let mask = self.slots.len() - 1;
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let slot = self.slots[at];
            if slot.number == 0 {
                break;
            }
            let home = home(slot.number, mask);
            // It may move up if its home is not between the hole and itself.
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(hole) & mask) {
                self.slots[hole] = slot;
                hole = at;
            }
        }
        self.slots[hole] = Slot::default();
        self.len -= 1;
    }
}

impl Slot {
    const fn is_full_at(self, now: u64) -> bool {
        self.number != 0 && self.full <= now
    }
}

/// Where a bucket would stand if it were alone. The upper bits have chosen the shard.
#[inline]
const fn home(number: u64, mask: usize) -> usize {
    number as usize & mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limit;
    use bartizan_core::Dice;
    use std::collections::HashMap;

    /// It knows what a map knows, whatever comes and goes, and wherever its numbers would like to stand.
    #[test]
    fn does_what_a_map_does() {
        for seed in 0..50 {
            let dice = Dice::new(Some(seed));
            let below = |n: u64| (dice.unit() * n as f64) as u64;
            let mut shard = Shard::new(Limit::per_second(1).pace());
            let mut map: HashMap<u64, u64> = HashMap::new();
            // Few homes, so that they collide, at the array's end too.
            let number = |n: u64| 1 + n % 40 * 64 + [0, 1, 62, 63][(n % 4) as usize];
            for now in 0..3000 {
                match below(40) {
                    0 => {
                        let before = map.len();
                        map.retain(|_, full| *full > now);
                        assert_eq!(shard.sweep(now), before - map.len());
                    }
                    1..=4 => {
                        let full: Vec<u64> = map.keys().copied().filter(|key| map[key] <= now).collect();
                        let forgot = shard.forget_one(now);
                        assert_eq!(forgot, !full.is_empty());
                        if forgot {
                            let gone: Vec<u64> =
                                full.into_iter().filter(|key| shard.find(*key).is_none()).collect();
                            assert_eq!(gone.len(), 1);
                            map.remove(&gone[0]);
                        }
                    }
                    _ => {
                        let number = number(below(200));
                        let full = now + below(200);
                        match shard.find(number) {
                            // What is taken lets it be full later, never sooner.
                            Some(slot) => *slot = full.max(*slot),
                            None => shard.insert(number, full),
                        }
                        map.entry(number).and_modify(|known| *known = full.max(*known)).or_insert(full);
                    }
                }
                assert_eq!(shard.len(), map.len());
                // A stride without a common divisor with the numbers asks for all of them in turn.
                for n in (0..10).map(|n| (now * 7 + n * 21) % 200) {
                    assert_eq!(shard.find(number(n)).copied(), map.get(&number(n)).copied(), "at {now}");
                }
            }
            shard.sweep(u64::MAX);
            assert_eq!((shard.len, shard.slots.len()), (0, 0));
        }
    }

    #[test]
    fn a_bucket_needs_at_most_64_bytes_and_memory_comes_back() {
        let mut shard = Shard::new(Limit::per_second(1).pace());
        for number in 1..=100_000_u64 {
            shard.insert(number.wrapping_mul(0x9e37_79b9_7f4a_7c15), number);
            assert!(number < 6 || shard.slots.len() * size_of::<Slot>() <= 43 * number as usize, "{number}");
        }
        shard.sweep(99_000);
        assert_eq!((shard.len, shard.slots.len()), (1000, 2048));
    }

    #[test]
    fn a_shard_and_its_lock_fill_one_cache_line() {
        assert_eq!(size_of::<std::sync::Mutex<Shard>>(), 64);
    }

    #[test]
    fn time_does_not_go_back() {
        let mut shard = Shard::new(Limit::per_second(1).pace());
        assert_eq!([5, 3, 7].map(|now| shard.at(now)), [5, 5, 7]);
    }
}
