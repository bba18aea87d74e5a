//! What the layers show, and what they counted in the last ten seconds.

use bartizan::core::registry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

/// Looks that are kept, a second apart.
const LOOKS: usize = 11;

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
    /// Of a meter: what calls took lately, on average.
    pub(super) took: Option<Duration>,
}

impl Glance {
    pub(super) fn now(&self, name: &str) -> f64 {
        self.numbers.get(name).copied().unwrap_or_default()
    }

    pub(super) fn grown(&self, name: &str) -> f64 {
        self.grown.get(name).copied().unwrap_or_default()
    }
}

type Key = (&'static str, String);
type Buckets = Vec<(Option<Duration>, u64)>;

/// What a layer had counted at a time.
#[derive(Debug, Default)]
struct Counted {
    numbers: BTreeMap<&'static str, f64>,
    took: Buckets,
}

/// The looks of the last ten seconds.
#[derive(Debug, Default)]
pub(super) struct Sight(VecDeque<HashMap<Key, Counted>>);

impl Sight {
    /// Looks at all that this process knows; to be called every second.
    pub(super) fn look(&mut self) -> Vec<Glance> {
        let (mut seen, mut glances) = (HashMap::new(), Vec::new());
        for handle in registry::handles().iter().filter(|handle| TELLING.contains(&handle.layer())) {
            let mut counted = Counted::default();
            handle.numbers(&mut |name, number| counted.numbers.extend([(name, number)]));
            if handle.layer() == "meter" {
                handle.times(&mut |_, times| counted.took = times.buckets().collect());
            }
            let key = (handle.layer(), handle.name().to_owned());
            let before = self.0.front().and_then(|look| look.get(&key));
            glances.push(glance(&key, handle.state(), &counted, before));
            seen.insert(key, counted);
        }
        self.0.push_back(seen);
        if self.0.len() > LOOKS {
            self.0.pop_front();
        }
        glances
    }
}

/// What a layer has counted since `before`; from zero on, if it was not there yet, or began anew.
fn glance((layer, name): &Key, state: &'static str, counted: &Counted, before: Option<&Counted>) -> Glance {
    let grown = counted.numbers.iter().map(|(name, number)| {
        let before = before.and_then(|before| before.numbers.get(name)).copied().unwrap_or_default();
        (*name, if before <= *number { number - before } else { *number })
    });
    Glance {
        layer,
        name: name.clone(),
        state,
        numbers: counted.numbers.clone(),
        grown: grown.collect(),
        took: average(&counted.took, before.map(|before| &before.took)),
    }
}

fn average(took: &Buckets, before: Option<&Buckets>) -> Option<Duration> {
    let (mut count, mut sum, mut end) = (0, Duration::ZERO, Duration::ZERO);
    for (nth, (longest, now)) in took.iter().enumerate() {
        // The last has no end.
        end = longest.unwrap_or(end);
        let before = before.and_then(|before| before.get(nth)).map_or(0, |(_, before)| *before);
        let new = u32::try_from(now.saturating_sub(before)).unwrap_or(u32::MAX);
        count += new;
        sum += end * new;
    }
    (count > 0).then(|| sum / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(successes: f64, took: &[u64]) -> Counted {
        let ends = [Some(Duration::from_millis(10)), Some(Duration::from_millis(100)), None];
        Counted {
            numbers: [("successes", successes)].into(),
            took: ends.into_iter().zip(took.iter().copied()).collect(),
        }
    }

    #[test]
    fn what_was_counted_long_ago_does_not_count() {
        let key = ("meter", "order".to_owned());
        let (before, now) = (counted(40.0, &[40, 0, 0]), counted(46.0, &[42, 2, 0]));
        let glance = glance(&key, "enabled", &now, Some(&before));
        assert_eq!((glance.now("successes"), glance.grown("successes")), (46.0, 6.0));
        assert_eq!(glance.took, Some(Duration::from_millis(55)));
        // A new one in its place, or the first look of all.
        let anew = super::glance(&key, "enabled", &counted(3.0, &[0, 1, 1]), Some(&before));
        assert_eq!((anew.grown("successes"), anew.took), (3.0, Some(Duration::from_millis(100))));
        assert_eq!(super::glance(&key, "enabled", &now, None).grown("successes"), 46.0);
        assert_eq!(super::glance(&key, "enabled", &now, Some(&now)).took, None);
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
