//! How long calls take, of which some were cut short. No clock.

use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::Duration;

/// Latencies lately, counted in buckets of a sixty-fourth part of their size.
///
/// Of a call that was cut short it is only known that it took at least so long. Its share is spread over the longer ones as in E. L.
/// Kaplan and P. Meier, "Nonparametric estimation from incomplete observations" (Journal of the American Statistical Association 53,
/// 1958): left out, a delay that has once been learnt would get shorter and shorter, as it cuts short what is longer.
#[derive(Debug)]
pub(crate) struct Latencies {
    ended: [AtomicU32; BUCKETS],
    cut: [AtomicU32; BUCKETS],
    total: AtomicU32,
    /// Those that took longer than the quantile of the time.
    long: AtomicU32,
    /// Somebody is at work on what follows, and others go on.
    busy: AtomicBool,
    /// In nanoseconds, [`UNKNOWN`] before there is one.
    quantile: AtomicU64,
    median: AtomicU64,
}

type Counts = [u32; BUCKETS];

/// From a microsecond to a minute.
const BUCKETS: usize = 22 * PARTS as usize;
const PARTS: u64 = 64;
/// A microsecond, nearly.
const UNIT_BITS: u32 = 10;
const UNKNOWN: u64 = u64::MAX;
/// Calls after which those seen so far count half.
const MEMORY: u32 = 4096;
/// Calls that are each looked at.
const FEW: u32 = 64;
/// Calls from one look at the buckets to the next, of all and of the long ones.
const LOOK_EVERY: u32 = 256;
const LOOK_EVERY_LONG: u32 = 4;

impl Latencies {
    pub(crate) fn new() -> Self {
        let zeros = || std::array::from_fn(|_| AtomicU32::new(0));
        Self {
            ended: zeros(),
            cut: zeros(),
            total: AtomicU32::new(0),
            long: AtomicU32::new(0),
            busy: AtomicBool::new(false),
            quantile: AtomicU64::new(UNKNOWN),
            median: AtomicU64::new(UNKNOWN),
        }
    }

    /// Learns of a call that ended, or was cut short. The quantile is looked for once the layer is warm. Returns the first that is found.
    #[inline]
    pub(crate) fn learn(
        &self,
        took: Duration,
        cut: bool,
        warm_up: u32,
        quantile: impl FnOnce() -> f64,
    ) -> Option<Duration> {
        let buckets = if cut { &self.cut } else { &self.ended };
        buckets[bucket(took).min(BUCKETS - 1)].fetch_add(1, Relaxed);
        let total = self.total.fetch_add(1, Relaxed).wrapping_add(1);
        let looks = total >= warm_up.max(1) && self.is_due(total, took);
        if looks { self.look(total, quantile()) } else { None }
    }

    /// Whether to look at the buckets: at each call while there are few, then now and then. Long calls matter most, and of those that
    /// begin together they end last: what was seen before them is not the whole.
    #[inline]
    fn is_due(&self, total: u32, took: Duration) -> bool {
        let long = took.as_nanos() >= u128::from(self.quantile.load(Relaxed));
        total < FEW
            || total % LOOK_EVERY == 0
            || long && self.long.fetch_add(1, Relaxed) % LOOK_EVERY_LONG == 0
    }

    /// The latency that the share of calls stays below, once it was learnt.
    #[inline]
    pub(crate) fn quantile(&self) -> Option<Duration> {
        known(self.quantile.load(Relaxed))
    }

    /// The latency that half of the calls stay below.
    pub(crate) fn median(&self) -> Option<Duration> {
        known(self.median.load(Relaxed))
    }

    #[cold]
    fn look(&self, total: u32, quantile: f64) -> Option<Duration> {
        if self.busy.swap(true, Acquire) {
            return None;
        }
        let mut first = None;
        let load =
            |buckets: &[AtomicU32; BUCKETS]| -> Counts { std::array::from_fn(|i| buckets[i].load(Relaxed)) };
        let (ended, cut) = (load(&self.ended), load(&self.cut));
        if let Some(found) = find(&ended, &cut, quantile) {
            let was_unknown = self.quantile.swap(found, Relaxed) == UNKNOWN;
            first = Some(found).filter(|_| was_unknown).and_then(known);
        }
        if let Some(found) = find(&ended, &cut, 0.5) {
            self.median.store(found, Relaxed);
        }
        if total >= MEMORY {
            let kept = halve(&self.ended) + halve(&self.cut);
            self.total.fetch_sub(total - kept.min(total), Relaxed);
        }
        self.busy.store(false, Release);
        first
    }
}

fn known(nanos: u64) -> Option<Duration> {
    (nanos != UNKNOWN).then_some(Duration::from_nanos(nanos))
}

/// Halves all counts, and returns what is left of them. Odd ones are rounded up and down in turns, so that rare long calls stay.
fn halve(buckets: &[AtomicU32]) -> u32 {
    let (mut carry, mut left) = (0, 0);
    for bucket in buckets {
        let count = bucket.load(Relaxed);
        let half = (count + carry) / 2;
        carry = (count + carry) % 2;
        // What is added meanwhile stays.
        bucket.fetch_sub(count - half, Relaxed);
        left += half;
    }
    left
}

fn bucket(took: Duration) -> usize {
    let units = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX) >> UNIT_BITS;
    if units < PARTS {
        return units as usize;
    }
    let exponent = units.ilog2() - PARTS.ilog2();
    ((u64::from(exponent) + 1) * PARTS + (units >> exponent) - PARTS) as usize
}

/// Where a bucket begins, in nanoseconds.
fn start(bucket: usize) -> u64 {
    let (row, part) = (bucket as u64 / PARTS, bucket as u64 % PARTS);
    let units = if row == 0 { part } else { (PARTS + part) << (row - 1) };
    units << UNIT_BITS
}

/// Finds the time before which this share of the calls has ended. Where so many were cut short that it is unknown, the longest.
fn find(ended: &Counts, cut: &Counts, quantile: f64) -> Option<u64> {
    let sum = |counts: &Counts| counts.iter().map(|count| f64::from(*count)).sum::<f64>();
    let (mut at_risk, mut going_on) = (sum(ended) + sum(cut), 1.0);
    let mut last = None;
    for i in 0..BUCKETS {
        if ended[i] == 0 && cut[i] == 0 {
            continue;
        }
        let after = going_on * (1.0 - f64::from(ended[i]) / at_risk);
        if after <= 1.0 - quantile {
            // Where in the bucket it is, is not known, and a copy too late costs less than one too many.
            return Some(start(i + 1));
        }
        going_on = after;
        at_risk -= f64::from(ended[i]) + f64::from(cut[i]);
        last = Some(start(i + 1));
    }
    last
}

#[cfg(all(test, not(bartizan_loom)))]
mod tests {
    use super::*;
    use bartizan_core::Dice;

    /// A call of a log-logistic latency: its quantiles are known.
    fn latency(dice: &Dice) -> Duration {
        let share = dice.unit();
        Duration::from_secs_f64(0.010 * (share / (1.0 - share)).powf(0.3))
    }

    fn ought(quantile: f64) -> f64 {
        0.010 * (quantile / (1.0 - quantile)).powf(0.3)
    }

    fn ratio(latencies: &Latencies, quantile: f64) -> f64 {
        latencies.quantile().expect("it is warm").as_secs_f64() / ought(quantile)
    }

    #[test]
    fn buckets_are_where_they_begin() {
        for i in 0..BUCKETS {
            assert_eq!(bucket(Duration::from_nanos(start(i))), i);
            assert_eq!(bucket(Duration::from_nanos(start(i + 1) - 1)), i);
        }
        assert!(start(BUCKETS) > 60_000_000_000);
        assert!(bucket(Duration::MAX) > BUCKETS, "the longest ones are put into the last bucket");
    }

    #[test]
    fn quantiles_of_whole_calls() {
        for quantile in [0.5, 0.9, 0.95, 0.98] {
            let (latencies, dice) = (Latencies::new(), Dice::new(Some(1)));
            (0..20_000).for_each(|_| {
                latencies.learn(latency(&dice), false, 20, || quantile);
            });
            let ratio = ratio(&latencies, quantile);
            assert!((0.9..1.1).contains(&ratio), "{quantile}: {ratio}");
        }
    }

    #[test]
    fn calls_that_are_cut_short_do_not_shorten_the_delay() {
        let (latencies, dice) = (Latencies::new(), Dice::new(Some(2)));
        for _ in 0..50_000 {
            let took = latency(&dice);
            // What a hedge does: nine of ten calls that are longer than the delay end with its answer, a little later.
            let cut = latencies.quantile().filter(|delay| took > *delay && dice.hits(0.9));
            match cut {
                Some(delay) => {
                    let seen = took.min(delay + latency(&dice));
                    latencies.learn(seen, seen < took, 20, || 0.95);
                }
                None => {
                    latencies.learn(took, false, 20, || 0.95);
                }
            }
        }
        let ratio = ratio(&latencies, 0.95);
        assert!((0.9..1.1).contains(&ratio), "{ratio}");
    }

    #[test]
    fn a_new_latency_is_learnt_anew() {
        let latencies = Latencies::new();
        let learn = |ms| {
            latencies.learn(Duration::from_millis(ms), false, 20, || 0.95);
        };
        (0..19).for_each(|_| learn(10));
        assert_eq!(latencies.quantile(), None);
        (0..10_000).for_each(|_| learn(10));
        assert!(latencies.quantile() < Some(Duration::from_millis(11)));
        (0..1000).for_each(|_| learn(50));
        assert!(latencies.quantile() > Some(Duration::from_millis(48)));
    }

    #[test]
    fn halving_keeps_half() {
        let buckets: Vec<AtomicU32> = [1, 0, 1, 3, 1, 1, 0, 1].map(AtomicU32::new).into();
        assert_eq!(halve(&buckets), 4);
    }
}

#[cfg(all(test, bartizan_loom))]
mod loom_models {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    /// Whoever counts while the counts are halved is not lost.
    #[test]
    fn loom_no_call_is_lost_while_counts_are_halved() {
        loom::model(|| {
            let buckets: Arc<[AtomicU32; 2]> = Arc::new([AtomicU32::new(3), AtomicU32::new(1)]);
            let counting = {
                let buckets = buckets.clone();
                thread::spawn(move || {
                    buckets[0].fetch_add(1, Relaxed);
                    buckets[1].fetch_add(1, Relaxed);
                })
            };
            let kept = halve(&*buckets);
            counting.join().expect("it ends");
            let all: u32 = buckets.iter().map(|bucket| bucket.load(Relaxed)).sum();
            assert!((2..=4).contains(&kept) && (3..=4).contains(&all), "{kept} {all}");
        });
    }
}
