//! What is counted, and how long it took.

use super::errand::Journey;
use super::outcome::Outcome;
use super::shopping::Done;
use hdrhistogram::{Counter, Histogram};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// What takes longer counts as this long.
const LONGEST: Duration = Duration::from_secs(600);

/// Where the bars of a spread end, in microseconds; the last takes the rest.
const BOUNDS: [u64; 19] = [
    500,
    1000,
    2000,
    5000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    3_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    60_000_000,
    120_000_000,
    600_000_000,
];

/// A row for each journey.
#[derive(Debug)]
pub(super) struct Tally {
    rows: [Row; Journey::ALL.len()],
}

/// The journeys of one kind, or of several.
#[derive(Clone, Debug)]
pub(super) struct Row {
    outcomes: [u64; Outcome::ALL.len()],
    /// Latencies in microseconds, from the moment at which a customer was to come.
    good: Histogram<u64>,
    all: Histogram<u64>,
    again: u64,
    acknowledged: u64,
}

/// Half of the latencies are at most the first, and so on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Latencies {
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    pub(super) p999: Duration,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self { rows: Journey::ALL.map(|_| Row::new()) }
    }

    pub(super) fn note(&mut self, done: Done, latency: Duration) {
        self.rows[done.journey as usize].note(done, latency);
    }

    /// How many ended so.
    pub(super) fn count(&self, outcome: Outcome) -> u64 {
        self.rows.iter().map(|row| row.count(outcome)).sum()
    }

    pub(super) fn good(&self) -> u64 {
        self.rows.iter().map(Row::good).sum()
    }

    pub(super) fn latencies(&self) -> Option<Latencies> {
        self.of(&Journey::ALL).latencies()
    }

    /// Some journeys taken together.
    pub(super) fn of(&self, journeys: &[Journey]) -> Row {
        journeys.iter().fold(Row::new(), |mut row, journey| {
            row.add(&self.rows[*journey as usize]);
            row
        })
    }
}

impl Row {
    fn new() -> Self {
        let latencies =
            || Histogram::new_with_bounds(1, LONGEST.as_micros() as u64, 3).expect("the bounds are in order");
        Self { outcomes: [0; _], good: latencies(), all: latencies(), again: 0, acknowledged: 0 }
    }

    fn note(&mut self, Done { outcome, again, acknowledged, .. }: Done, latency: Duration) {
        let latency = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.outcomes[outcome as usize] += 1;
        self.all.saturating_record(latency);
        if outcome.is_good() {
            self.good.saturating_record(latency);
        }
        self.again += u64::from(again);
        self.acknowledged += u64::from(acknowledged);
    }

    fn add(&mut self, other: &Self) {
        for (sum, count) in self.outcomes.iter_mut().zip(other.outcomes) {
            *sum += count;
        }
        let fits = "all rows have the same bounds";
        self.good.add(&other.good).expect(fits);
        self.all.add(&other.all).expect(fits);
        self.again += other.again;
        self.acknowledged += other.acknowledged;
    }

    /// How many are at their end.
    pub(super) fn ended(&self) -> u64 {
        self.outcomes.iter().sum()
    }

    pub(super) fn count(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome as usize]
    }

    pub(super) fn good(&self) -> u64 {
        Outcome::ALL.into_iter().filter(|outcome| outcome.is_good()).map(|outcome| self.count(outcome)).sum()
    }

    pub(super) fn again(&self) -> u64 {
        self.again
    }

    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Of the good ones; none where there are none.
    pub(super) fn good_latencies(&self) -> Option<Latencies> {
        Latencies::of(&self.good)
    }

    pub(super) fn latencies(&self) -> Option<Latencies> {
        Latencies::of(&self.all)
    }

    /// How many latencies were above the bound before, and at most the own one: `[{ "to_ms", "count" }]`, from the first to the
    /// last that there were.
    pub(super) fn spread(&self) -> Value {
        let mut counts = [0; BOUNDS.len()];
        for step in self.all.iter_recorded() {
            let bound = BOUNDS.iter().position(|bound| step.value_iterated_to() <= *bound);
            counts[bound.unwrap_or(BOUNDS.len() - 1)] += step.count_at_value();
        }
        let (Some(first), Some(last)) =
            (counts.iter().position(|count| *count > 0), counts.iter().rposition(|count| *count > 0))
        else {
            return json!([]);
        };
        let told = BOUNDS.iter().zip(counts).take(last + 1).skip(first);
        told.map(|(bound, count)| json!({ "to_ms": ms(Duration::from_micros(*bound)), "count": count }))
            .collect()
    }
}

/// So many of each outcome, by their names.
pub(super) fn outcomes(count: impl Fn(Outcome) -> u64) -> Map<String, Value> {
    let name = |outcome: Outcome| outcome.as_str().replace(' ', "_");
    Outcome::ALL.into_iter().map(|outcome| (name(outcome), count(outcome).into())).collect()
}

/// In milliseconds.
pub(super) fn ms(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

impl Latencies {
    pub(super) fn of<T: Counter>(histogram: &Histogram<T>) -> Option<Self> {
        let at = |share| Duration::from_micros(histogram.value_at_quantile(share));
        (!histogram.is_empty()).then(|| Self { p50: at(0.5), p99: at(0.99), p999: at(0.999) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(journey: Journey, outcome: Outcome) -> Done {
        Done { journey, outcome, again: 0, acknowledged: false }
    }

    /// A latency as a histogram of three digits tells it.
    fn is_about(told: Duration, is: Duration) -> bool {
        told.abs_diff(is) <= is / 1000 + Duration::from_micros(1)
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_latencies() {
        let mut dice = fastrand::Rng::with_seed(11);
        let mut latencies: Vec<_> = (0..5000)
            .map(|_| Duration::from_micros((-(1.0 - dice.f64()).ln() * 20_000.0) as u64 + 1))
            .collect();
        let mut tally = Tally::new();
        for latency in &latencies {
            tally.note(done(Journey::List, Outcome::Ok), *latency);
        }
        latencies.sort();
        let told = tally.of(&Journey::BROWSING).good_latencies().unwrap();
        for (told, nth) in [(told.p50, 2500), (told.p99, 4950), (told.p999, 4995)] {
            assert!(is_about(told, latencies[nth - 1]), "{told:?} is not {:?}", latencies[nth - 1]);
        }
    }

    #[test]
    fn what_was_no_good_counts_among_all_latencies_alone() {
        let mut tally = Tally::new();
        tally.note(done(Journey::Place, Outcome::Ok), Duration::from_millis(10));
        tally.note(done(Journey::Place, Outcome::Pending), Duration::from_millis(20));
        tally.note(done(Journey::Place, Outcome::TimedOut), Duration::from_secs(3));
        tally.note(done(Journey::Own, Outcome::Refused), Duration::from_millis(1));
        let place = tally.of(&[Journey::Place]);
        assert_eq!((place.ended(), place.good(), place.count(Outcome::TimedOut)), (3, 2, 1));
        assert!(is_about(place.good_latencies().unwrap().p999, Duration::from_millis(20)));
        assert!(is_about(place.latencies().unwrap().p999, Duration::from_secs(3)));
        let own = tally.of(&[Journey::Own]);
        assert_eq!((own.good_latencies(), own.good()), (None, 0));
        assert!(own.latencies().is_some());
    }

    #[test]
    fn a_group_is_the_sum_of_its_journeys() {
        let mut tally = Tally::new();
        for (nth, journey) in Journey::ALL.into_iter().enumerate() {
            for _ in 0..=nth {
                let done = Done { journey, outcome: Outcome::Ok, again: 2, acknowledged: true };
                tally.note(done, Duration::from_millis(5));
            }
        }
        let (orders, browsing) = (tally.of(&Journey::ORDERS), tally.of(&Journey::BROWSING));
        assert_eq!((orders.ended(), browsing.ended()), (6, 9));
        let total = tally.of(&Journey::ALL);
        assert_eq!((total.ended(), total.again(), total.acknowledged()), (15, 30, 15));
    }

    #[test]
    fn nothing_is_too_long_to_be_counted() {
        let mut tally = Tally::new();
        tally.note(done(Journey::List, Outcome::Ok), Duration::MAX);
        tally.note(done(Journey::List, Outcome::Ok), Duration::ZERO);
        assert!(is_about(tally.of(&Journey::ALL).latencies().unwrap().p999, LONGEST));
    }

    #[test]
    fn a_spread_has_every_latency_once() {
        let mut tally = Tally::new();
        assert_eq!(tally.of(&Journey::ALL).spread(), json!([]));
        for micros in [700, 4000, 4999, 15_000, 1_000_000_000] {
            tally.note(done(Journey::List, Outcome::Failed), Duration::from_micros(micros));
        }
        let told = tally.of(&Journey::ALL).spread();
        let told = told.as_array().unwrap();
        assert_eq!((&told[0], told.len()), (&json!({ "to_ms": 1.0, "count": 1 }), 18));
        assert_eq!(told[2], json!({ "to_ms": 5.0, "count": 2 }));
        assert_eq!(told[17], json!({ "to_ms": 600_000.0, "count": 1 }));
        assert_eq!(told.iter().map(|bar| bar["count"].as_u64().unwrap()).sum::<u64>(), 5);
    }
}
