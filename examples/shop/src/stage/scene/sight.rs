//! What the layers show, and what they counted in the last ten seconds, and in the last four.

use bartizan::core::registry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

/// Looks that are kept, a second apart.
const LOOKS: usize = 10;

/// The looks that go back to what happened just now.
const LATE: usize = 4;

/// So many calls are enough to go by.
const ENOUGH: f64 = 3.0;

/// Calls that take longer are slow; this is the number that counts them.
const SLOW: Duration = Duration::from_millis(800);
pub(super) const TOOK_LONG: &str = "took long";

/// The kinds of layers that tell how the shop is.
const TELLING: [&str; 15] = [
    "breaker",
    "config",
    "deadline",
    "endpoint",
    "fallback",
    "hedge",
    "invariant",
    "limit",
    "load",
    "meter",
    "orders",
    "retry",
    "service",
    "shed",
    "stale",
];

/// A layer, as it is now.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Glance {
    pub(super) layer: &'static str,
    pub(super) name: String,
    pub(super) state: &'static str,
    pub(super) numbers: BTreeMap<&'static str, f64>,
    /// By how much the numbers that only grow have grown.
    pub(super) grown: BTreeMap<&'static str, f64>,
    /// By how much in the last four seconds.
    pub(super) late: BTreeMap<&'static str, f64>,
}

impl Glance {
    pub(super) fn now(&self, name: &str) -> f64 {
        self.numbers.get(name).copied().unwrap_or_default()
    }

    pub(super) fn grown(&self, name: &str) -> f64 {
        self.grown.get(name).copied().unwrap_or_default()
    }

    /// By how much these numbers have grown: just now if that is enough to go by, and else in the last ten seconds. So who
    /// is well again is not told to be ill for long.
    pub(super) fn grown_lately<const N: usize>(&self, names: [&str; N]) -> [f64; N] {
        let late = names.map(|name| self.late.get(name).copied().unwrap_or_default());
        if late.iter().sum::<f64>() >= ENOUGH { late } else { names.map(|name| self.grown(name)) }
    }
}

type Key = (&'static str, String);
type Numbers = BTreeMap<&'static str, f64>;

/// The looks of the last ten seconds.
#[derive(Debug, Default)]
pub(super) struct Sight(VecDeque<HashMap<Key, Numbers>>);

impl Sight {
    /// Looks at all that this process knows; to be called every second.
    pub(super) fn look(&mut self) -> Vec<Glance> {
        let (mut seen, mut glances) = (HashMap::new(), Vec::new());
        for handle in registry::handles().iter().filter(|handle| TELLING.contains(&handle.layer())) {
            let mut numbers = Numbers::new();
            handle.numbers(&mut |name, number| numbers.extend([(name, number)]));
            if handle.layer() == "meter" {
                let mut long = 0;
                handle.times(&mut |_, times| {
                    let is_long = |end: Option<Duration>| end.is_none_or(|end| end > SLOW);
                    long +=
                        times.buckets().filter(|(end, _)| is_long(*end)).map(|(_, count)| count).sum::<u64>();
                });
                numbers.insert(TOOK_LONG, long as f64);
            }
            let key = (handle.layer(), handle.name().to_owned());
            let first = self.0.front().and_then(|look| look.get(&key));
            let last = self.0.iter().rev().take(LATE).next_back().and_then(|look| look.get(&key));
            glances.push(Glance {
                layer: handle.layer(),
                name: key.1.clone(),
                state: handle.state(),
                grown: grown(&numbers, first),
                late: grown(&numbers, last),
                numbers: numbers.clone(),
            });
            seen.insert(key, numbers);
        }
        self.0.push_back(seen);
        if self.0.len() > LOOKS {
            self.0.pop_front();
        }
        glances
    }
}

/// What was counted since `before`; from zero on, if the layer was not there yet, or began anew.
fn grown(numbers: &Numbers, before: Option<&Numbers>) -> Numbers {
    let grown = numbers.iter().map(|(name, number)| {
        let before = before.and_then(|before| before.get(name)).copied().unwrap_or_default();
        (*name, if before <= *number { number - before } else { *number })
    });
    grown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_long_ago_does_not_count() {
        let numbers = |successes| Numbers::from([("successes", successes)]);
        assert_eq!(grown(&numbers(46.0), Some(&numbers(40.0))), numbers(6.0));
        // A new one in its place, or the first look of all.
        assert_eq!(grown(&numbers(3.0), Some(&numbers(40.0))), numbers(3.0));
        assert_eq!(grown(&numbers(46.0), None), numbers(46.0));
    }

    #[test]
    fn what_happened_just_now_counts_for_more_if_there_is_enough_of_it() {
        let glance = |late| Glance {
            grown: [("failures", 9.0), ("successes", 9.0)].into(),
            late: [("failures", 0.0), ("successes", late)].into(),
            ..Glance::default()
        };
        assert_eq!(glance(2.0).grown_lately(["failures", "successes"]), [9.0, 9.0]);
        assert_eq!(glance(3.0).grown_lately(["failures", "successes"]), [0.0, 3.0]);
    }

    #[test]
    fn a_look_goes_back_ten_seconds() {
        let mut sight = Sight::default();
        for _ in 0..20 {
            sight.look();
        }
        assert_eq!(sight.0.len(), LOOKS);
    }
}
