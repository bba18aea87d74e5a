//! How many customers come each second, while the load lasts.

use serde_json::{Map, Value, json};
use std::time::Duration;

/// The rate over time. Every rate is at least 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Profile {
    Steady(u32),
    /// From the first to the second, by as much each second.
    Ramp(u32, u32),
    /// One after another, each for as long as the others.
    Steps(Vec<u32>),
}

/// A stretch of time in which the rate changes evenly.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) seconds: f64,
    from: f64,
    to: f64,
}

impl Profile {
    pub(super) fn pieces(&self, lasts: Duration) -> Vec<Piece> {
        let piece = |seconds, from: u32, to: u32| Piece { seconds, from: from.into(), to: to.into() };
        let seconds = lasts.as_secs_f64();
        match self {
            Self::Steady(rate) => vec![piece(seconds, *rate, *rate)],
            Self::Ramp(from, to) => vec![piece(seconds, *from, *to)],
            Self::Steps(rates) => {
                let each = seconds / rates.len() as f64;
                rates.iter().map(|rate| piece(each, *rate, *rate)).collect()
            }
        }
    }

    /// The rate on average.
    pub(super) fn mean(&self) -> f64 {
        match self {
            Self::Steady(rate) => f64::from(*rate),
            Self::Ramp(from, to) => f64::midpoint(f64::from(*from), f64::from(*to)),
            Self::Steps(rates) => rates.iter().map(|rate| f64::from(*rate)).sum::<f64>() / rates.len() as f64,
        }
    }

    /// What a person calls it.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Steady(rate) => format!("{rate}/s"),
            Self::Ramp(from, to) => format!("{from}/s to {to}/s"),
            Self::Steps(rates) => {
                let rates: Vec<_> = rates.iter().map(|rate| format!("{rate}/s")).collect();
                rates.join(", ")
            }
        }
    }

    /// The rate on average, and the ramp or the steps that it is made of.
    pub(super) fn json(&self) -> Map<String, Value> {
        let mut told = Map::new();
        let mean = self.mean();
        let mean = if mean.fract() == 0.0 { json!(mean as u64) } else { json!(mean) };
        told.insert("rps".into(), mean);
        match self {
            Self::Steady(_) => {}
            Self::Ramp(from, to) => drop(told.insert("ramp".into(), json!([from, to]))),
            Self::Steps(rates) => drop(told.insert("steps".into(), json!(rates))),
        }
        told
    }
}

impl Piece {
    /// How many come in it, on average.
    pub(super) fn arrivals(&self) -> f64 {
        f64::midpoint(self.from, self.to) * self.seconds
    }

    /// When so many are expected to have come, in seconds from its begin; at most all of them.
    pub(super) fn reaches(&self, arrivals: f64) -> f64 {
        // Of the two ways to write the root of a quadratic equation this one has no difference of like numbers in it.
        let growth = 2.0 * (self.to - self.from) / self.seconds;
        let root = (self.from * self.from + growth * arrivals).max(0.0).sqrt();
        (2.0 * arrivals / (self.from + root)).min(self.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_as_long_as_the_load_and_hold_all_arrivals() {
        let lasts = Duration::from_secs(60);
        for (profile, arrivals) in [
            (Profile::Steady(50), 3000.0),
            (Profile::Ramp(50, 500), 16_500.0),
            (Profile::Ramp(500, 50), 16_500.0),
            (Profile::Steps(vec![50, 100, 150]), 6000.0),
        ] {
            let pieces = profile.pieces(lasts);
            assert_eq!(pieces.iter().map(|piece| piece.seconds).sum::<f64>(), 60.0);
            assert_eq!(pieces.iter().map(Piece::arrivals).sum::<f64>(), arrivals, "{profile:?}");
            assert_eq!(profile.mean() * 60.0, arrivals);
        }
    }

    #[test]
    fn a_ramp_has_come_half_way_later_than_at_half_time() {
        let [piece] = Profile::Ramp(10, 90).pieces(Duration::from_secs(10))[..] else { panic!("one piece") };
        for at in [0.001, 1.0, 5.0, 9.999] {
            let arrivals = 10.0 * at + 4.0 * at * at;
            assert!((piece.reaches(arrivals) - at).abs() < 1e-9, "{at}");
        }
        assert_eq!(piece.reaches(piece.arrivals()), 10.0);
        let [down] = Profile::Ramp(90, 10).pieces(Duration::from_secs(10))[..] else { panic!("one piece") };
        assert!(
            (down.reaches(down.arrivals() / 2.0)) < 5.0
                && (down.reaches(down.arrivals()) - 10.0).abs() < 1e-9
        );
    }

    #[test]
    fn it_is_told_with_what_it_is_made_of() {
        assert_eq!(Value::from(Profile::Steady(50).json()), json!({ "rps": 50 }));
        assert_eq!(Value::from(Profile::Ramp(1, 2).json()), json!({ "rps": 1.5, "ramp": [1, 2] }));
        let steps = Profile::Steps(vec![50, 100]);
        assert_eq!(Value::from(steps.json()), json!({ "rps": 75, "steps": [50, 100] }));
        assert_eq!(steps.told(), "50/s, 100/s");
    }
}
