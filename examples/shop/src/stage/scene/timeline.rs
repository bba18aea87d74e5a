//! The journeys of the last five minutes, second by second.

use super::outcome::Outcome;
use serde::Serialize;
use std::collections::VecDeque;

/// How many seconds are kept.
const SECONDS: usize = 300;

/// What ended within a second.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Second {
    pub(super) at_ms: i64,
    pub(super) good: u32,
    pub(super) degraded: u32,
    pub(super) bad: u32,
    pub(super) p50_ms: Option<u64>,
    pub(super) p99_ms: Option<u64>,
    #[serde(skip)]
    took: Vec<u64>,
}

#[derive(Debug)]
pub(super) struct Timeline(VecDeque<Second>);

impl Timeline {
    pub(super) fn new() -> Self {
        Self(VecDeque::new())
    }

    pub(super) fn note(&mut self, at_ms: i64, outcome: Outcome, ms: u64) {
        self.goes_on(at_ms);
        let Some(second) = self.0.back_mut() else { return };
        let count = match outcome {
            outcome if outcome.is_hurt() => &mut second.bad,
            outcome if outcome.is_degraded() => &mut second.degraded,
            _ => &mut second.good,
        };
        *count += 1;
        let place = second.took.partition_point(|other| *other <= ms);
        second.took.insert(place, ms);
        let at = |share: f64| {
            let last = second.took.len().saturating_sub(1);
            second.took.get((last as f64 * share).round() as usize).copied()
        };
        (second.p50_ms, second.p99_ms) = (at(0.5), at(0.99));
    }

    /// The newest, the last of which is not over.
    pub(super) fn show(&mut self, now_ms: i64, newest: Option<usize>) -> Vec<Second> {
        self.goes_on(now_ms);
        let left_out = self.0.len().saturating_sub(newest.unwrap_or(SECONDS));
        self.0.iter().skip(left_out).cloned().collect()
    }

    /// Seconds in which nothing happened are there too. A clock that is set back adds none.
    fn goes_on(&mut self, now_ms: i64) {
        let now = now_ms - now_ms.rem_euclid(1000);
        let last = self.0.back().map_or(now - 1000, |last| last.at_ms);
        let first = last.max(now - 1000 * SECONDS as i64) + 1000;
        for at_ms in (first..=now).step_by(1000) {
            self.0.push_back(Second { at_ms, ..Second::default() });
        }
        self.0.drain(..self.0.len().saturating_sub(SECONDS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_counts_what_ended_in_it() {
        let mut timeline = Timeline::new();
        for ms in 1..=99 {
            timeline.note(5_100, Outcome::Ok, ms);
        }
        timeline.note(5_900, Outcome::Stale, 100);
        timeline.note(5_999, Outcome::Failed, 101);
        timeline.note(8_000, Outcome::Slow, 2_000);
        let seconds = timeline.show(9_500, None);
        let counts: Vec<_> = seconds.iter().map(|it| (it.at_ms, it.good, it.degraded, it.bad)).collect();
        let expected =
            [(5_000, 99, 1, 1), (6_000, 0, 0, 0), (7_000, 0, 0, 0), (8_000, 0, 0, 1), (9_000, 0, 0, 0)];
        assert_eq!(counts, expected);
        assert_eq!((seconds[0].p50_ms, seconds[0].p99_ms), (Some(51), Some(100)));
        assert_eq!((seconds[1].p50_ms, seconds[1].p99_ms), (None, None));
        assert_eq!(timeline.show(9_500, Some(2)), seconds[3..]);
    }

    #[test]
    fn five_minutes_are_kept_and_no_more() {
        let mut timeline = Timeline::new();
        timeline.note(1_000, Outcome::Ok, 1);
        let seconds = timeline.show(2_000_000, None);
        assert_eq!(seconds.len(), SECONDS);
        assert_eq!((seconds[0].at_ms, seconds[SECONDS - 1].at_ms), (1_701_000, 2_000_000));
        // The clock was set back.
        timeline.note(1_500_000, Outcome::Ok, 1);
        assert_eq!(timeline.show(1_500_000, None).len(), SECONDS);
    }
}
