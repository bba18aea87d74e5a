//! How a load went from second to second.

use super::outcome::Outcome;
use super::tally::{Latencies, ms, outcomes};
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::time::Duration;

/// A load is told in about so many spans at most.
const SPANS: u32 = 180;

/// How long a span may be, in seconds.
const LENGTHS: [u64; 6] = [1, 2, 5, 10, 20, 30];

/// What takes longer counts as this long, in microseconds.
const LONGEST: u64 = 600_000_000;

/// What was asked and what ended, in spans of the same length. The last one before the end of the load may be shorter.
#[derive(Debug)]
pub(super) struct Series {
    lasts: Duration,
    every: Duration,
    spans: Vec<Span>,
}

#[derive(Debug)]
struct Span {
    asked: u64,
    sent: u64,
    outcomes: [u64; Outcome::ALL.len()],
    /// Of those that ended in it, in microseconds.
    latencies: Histogram<u32>,
}

/// The last few seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Recent {
    /// Good ones in a second.
    pub(super) goodput: f64,
    pub(super) latencies: Option<Latencies>,
}

impl Series {
    pub(super) fn new(lasts: Duration) -> Self {
        let lengths = LENGTHS.map(Duration::from_secs).into_iter();
        let every = lengths.clone().find(|every| *every * SPANS >= lasts);
        Self { lasts, every: every.or(lengths.last()).unwrap_or(lasts), spans: Vec::new() }
    }

    /// Somebody was to come at `due`, and was sent or found no room.
    pub(super) fn come(&mut self, due: Duration, sent: bool) {
        let span = self.span(due);
        span.asked += 1;
        span.sent += u64::from(sent);
    }

    /// Somebody was done at `at`.
    pub(super) fn end(&mut self, at: Duration, outcome: Outcome, latency: Duration) {
        let span = self.span(at);
        span.outcomes[outcome as usize] += 1;
        let latency = u64::try_from(latency.as_micros()).unwrap_or(LONGEST).min(LONGEST);
        // It grows as far as it must, and that is not far.
        let _ = span.latencies.record(latency);
    }

    fn span(&mut self, at: Duration) -> &mut Span {
        let nth = self.nth(at);
        while self.spans.len() <= nth {
            self.spans.push(Span::new());
        }
        &mut self.spans[nth]
    }

    /// A span ends where the load ends, so that its rates are not thinned by the time after it.
    fn nth(&self, at: Duration) -> usize {
        let whole = |time: Duration| (time.as_nanos() / self.every.as_nanos()) as usize;
        match at.checked_sub(self.lasts) {
            None => whole(at),
            Some(after) => self.planned() + whole(after),
        }
    }

    fn planned(&self) -> usize {
        self.lasts.as_nanos().div_ceil(self.every.as_nanos()) as usize
    }

    /// When a span begins, and how long it is.
    fn place(&self, nth: usize) -> (Duration, Duration) {
        let (planned, nth) = (self.planned() as u32, nth as u32);
        match nth.checked_sub(planned) {
            None => (self.every * nth, self.every.min(self.lasts - self.every * nth)),
            Some(after) => (self.lasts + self.every * after, self.every),
        }
    }

    /// What ended in the `window` before `now`, and a span more or less.
    pub(super) fn recent(&self, now: Duration, window: Duration) -> Recent {
        let first = self.nth(now.saturating_sub(window));
        let mut latencies = Histogram::<u32>::new(3).expect("three digits are few");
        let mut good = 0;
        for span in self.spans.iter().skip(first) {
            good += span.good();
            let _ = latencies.add(&span.latencies);
        }
        let length = now.saturating_sub(self.place(first).0).as_secs_f64().max(0.25);
        Recent { goodput: thousandths(good as f64 / length), latencies: Latencies::of(&latencies) }
    }

    /// A point for each span: rates a second, latencies in milliseconds, and how many ended how.
    pub(super) fn json(&self) -> Value {
        let points = self.spans.iter().enumerate().map(|(nth, span)| {
            let (at, length) = self.place(nth);
            let rate = |count: u64| thousandths(count as f64 / length.as_secs_f64());
            let told = Latencies::of(&span.latencies);
            let latency = |which: fn(Latencies) -> Duration| told.map(|told| ms(which(told)));
            json!({
                "at_s": at.as_secs_f64(),
                "asked": rate(span.asked),
                "sent": rate(span.sent),
                "served": rate(span.outcomes.iter().sum()),
                "goodput": rate(span.good()),
                "p50_ms": latency(|told| told.p50),
                "p99_ms": latency(|told| told.p99),
                "p99.9_ms": latency(|told| told.p999),
                "outcomes": outcomes(|outcome| span.outcomes[outcome as usize]),
            })
        });
        points.collect()
    }
}

impl Span {
    fn new() -> Self {
        let latencies = Histogram::new(3).expect("three digits are few");
        Self { asked: 0, sent: 0, outcomes: [0; _], latencies }
    }

    fn good(&self) -> u64 {
        let good = Outcome::ALL.into_iter().filter(|outcome| outcome.is_good());
        good.map(|outcome| self.outcomes[outcome as usize]).sum()
    }
}

/// With three digits after the point.
pub(super) fn thousandths(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms_of(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn everything_is_told_once_and_where_it_was() {
        let mut series = Series::new(ms_of(2500));
        for due in [0, 999, 1000, 2499] {
            series.come(ms_of(due), due != 999);
        }
        series.end(ms_of(400), Outcome::Ok, ms_of(400));
        series.end(ms_of(2600), Outcome::Refused, ms_of(101));
        series.end(ms_of(4400), Outcome::Stale, ms_of(3400));
        let told = series.json();
        let told = told.as_array().unwrap();
        let column = |name: &str| told.iter().map(|point| point[name].as_f64()).collect::<Vec<_>>();
        assert_eq!(column("at_s"), [0.0, 1.0, 2.0, 2.5, 3.5].map(Some));
        // The third span is half a second long.
        assert_eq!(column("asked"), [2.0, 1.0, 2.0, 0.0, 0.0].map(Some));
        assert_eq!(column("sent"), [1.0, 1.0, 2.0, 0.0, 0.0].map(Some));
        assert_eq!(column("served"), [1.0, 0.0, 0.0, 1.0, 1.0].map(Some));
        assert_eq!(column("goodput"), [1.0, 0.0, 0.0, 0.0, 1.0].map(Some));
        assert_eq!(
            column("p99_ms").iter().map(Option::is_some).collect::<Vec<_>>(),
            [true, false, false, true, true]
        );
        assert!((told[4]["p50_ms"].as_f64().unwrap() - 3400.0).abs() < 4.0);
        assert_eq!((&told[3]["outcomes"]["refused"], &told[3]["outcomes"]["ok"]), (&json!(1), &json!(0)));
    }

    #[test]
    fn a_long_load_has_longer_spans() {
        for (seconds, every) in [(1, 1), (180, 1), (181, 2), (900, 5), (3600, 20)] {
            assert_eq!(Series::new(Duration::from_secs(seconds)).every.as_secs(), every, "{seconds}");
        }
    }

    #[test]
    fn what_is_recent_is_of_the_last_seconds() {
        let mut series = Series::new(Duration::from_secs(60));
        assert_eq!(series.recent(Duration::ZERO, Duration::from_secs(5)), Recent::default());
        for second in 0..20 {
            for _ in 0..10 {
                let latency = if second < 10 { ms_of(900) } else { ms_of(10) };
                series.end(Duration::from_secs(second), Outcome::Ok, latency);
            }
        }
        let recent = series.recent(Duration::from_secs(20), Duration::from_secs(5));
        assert_eq!(recent.goodput, 10.0);
        assert!(recent.latencies.is_some_and(|told| told.p999 < ms_of(11)), "{recent:?}");
    }
}
