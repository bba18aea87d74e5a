use super::value::Throttle;
use super::window::Counts;
use crate::sync::{AtomicU64, Ordering};

/// The numbers of the rule, which may change while it is asked.
#[derive(Debug)]
pub(super) struct Rule {
    k: AtomicU64,
    max_rejection: AtomicU64,
    root: AtomicU64,
    min_requests: AtomicU64,
}

impl Rule {
    pub(super) fn new(value: &Throttle) -> Self {
        let zero = || AtomicU64::new(0);
        let rule = Self { k: zero(), max_rejection: zero(), root: zero(), min_requests: zero() };
        rule.update(value);
        rule
    }

    pub(super) fn update(&self, value: &Throttle) {
        for (number, new) in [
            (&self.k, value.k),
            (&self.max_rejection, value.max_rejection),
            (&self.root, 1.0 / value.aggression),
            (&self.min_requests, f64::from(value.min_requests)),
        ] {
            number.store(new.to_bits(), Ordering::Relaxed);
        }
    }

    /// The probability with which a request is to be refused.
    pub(super) fn rejection(&self, Counts { requests, accepts }: Counts) -> f64 {
        let [k, max, root, min] = [&self.k, &self.max_rejection, &self.root, &self.min_requests]
            .map(|number| f64::from_bits(number.load(Ordering::Relaxed)));
        let (requests, accepts) = (requests as f64, accepts as f64);
        let excess = requests - k * accepts;
        if excess <= 0.0 || requests < min {
            return 0.0;
        }
        let share = excess / (requests + 1.0);
        let bent = if root < 1.0 { share.powf(root) } else { share };
        bent.min(max)
    }
}

#[cfg(all(test, not(bartizan_loom)))]
mod tests {
    use super::*;

    fn check(value: Throttle, table: &[(u64, u64, f64)]) {
        let rule = Rule::new(&value);
        for &(requests, accepts, ought) in table {
            let is = rule.rejection(Counts { requests, accepts });
            assert!((is - ought).abs() < 1e-12, "{requests} {accepts}: {is}, not {ought}");
        }
    }

    #[test]
    fn the_rule_of_the_book() {
        let cap = Throttle::DEFAULT_MAX_REJECTION;
        check(
            Throttle::new(),
            &[
                (0, 0, 0.0),
                (100, 50, 0.0),
                (100, 45, 10.0 / 101.0),
                (100, 0, cap),
                (9, 0, 0.0),
                (10, 1, 8.0 / 11.0),
            ],
        );
        check(
            Throttle::new().accept_rate(0.9),
            &[(100, 95, 0.0), (120, 90, 20.0 / 121.0), (1000, 10, cap), (0, 0, 0.0), (100, 0, cap)],
        );
        check(Throttle::new().max_rejection(1.0), &[(100, 0, 100.0 / 101.0)]);
        check(Throttle::new().max_rejection(0.0), &[(100, 0, 0.0)]);
    }

    #[test]
    fn aggression_takes_the_root() {
        let value = Throttle::new().min_requests(0).aggression(2.0);
        check(value, &[(0, 0, 0.0), (99, 37, 0.5), (3, 1, 0.5), (100, 50, 0.0)]);
    }
}
