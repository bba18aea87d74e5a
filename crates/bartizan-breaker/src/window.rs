//! Sliding windows of good and bad calls. Every operation is O(1), the time windows' amortised.

use crate::rule::{Span, Window};

/// Calls seen within a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All calls.
    pub requests: u64,
    /// Those that were bad in the sense of the rule.
    pub bad: u64,
}

impl Counts {
    /// The share of bad calls; `None` where there were none at all.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a window holds far fewer than 2^52 calls")]
    pub fn ratio(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.bad as f64 / self.requests as f64)
    }

    fn add(&mut self, bad: bool) {
        self.requests += 1;
        self.bad += u64::from(bad);
    }

    fn join(&mut self, other: Self) {
        self.requests += other.requests;
        self.bad += other.bad;
    }

    fn take(&mut self, other: Self) {
        self.requests -= other.requests;
        self.bad -= other.bad;
    }
}

#[derive(Debug)]
pub(crate) enum Sliding {
    Calls(Ring),
    Time(Buckets),
}

impl Sliding {
    pub(crate) fn new(window: Window) -> Self {
        match window.0 {
            Span::Calls(calls) => Self::Calls(Ring::new(calls)),
            Span::Time(time) => Self::Time(Buckets::new(crate::nanos(time))),
        }
    }

    /// Counts a call that ended at `now`, in nanoseconds.
    pub(crate) fn add(&mut self, now: u64, bad: bool) {
        match self {
            Self::Calls(ring) => ring.add(bad),
            Self::Time(buckets) => buckets.add(now, bad),
        }
    }

    /// What the window holds at `now`.
    pub(crate) fn counts(&mut self, now: u64) -> Counts {
        match self {
            Self::Calls(ring) => ring.counts,
            Self::Time(buckets) => {
                buckets.slide(now);
                buckets.counts
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        match self {
            Self::Calls(ring) => *ring = Ring::new(ring.size),
            Self::Time(buckets) => *buckets = Buckets::new(buckets.width.saturating_mul(Buckets::LEN)),
        }
    }

    /// Makes a window of another size with what this one holds. A window of another kind starts empty.
    pub(crate) fn resized(&mut self, window: Window, now: u64) -> Self {
        let mut next = Self::new(window);
        match (self, &mut next) {
            (Self::Calls(from), Self::Calls(to)) => from.oldest_first().for_each(|bad| to.add(bad)),
            (Self::Time(from), Self::Time(to)) => {
                from.slide(now);
                to.copy(from, now);
            }
            _ => {}
        }
        next
    }
}

/// The last `size` calls. Grows to its size with the calls that come.
#[derive(Debug)]
pub(crate) struct Ring {
    calls: Vec<bool>,
    next: usize,
    size: u32,
    counts: Counts,
}

impl Ring {
    fn new(size: u32) -> Self {
        Self { calls: Vec::new(), next: 0, size, counts: Counts::default() }
    }

    fn add(&mut self, bad: bool) {
        self.counts.add(bad);
        if self.calls.len() < self.size as usize {
            self.calls.push(bad);
            return;
        }
        let old = std::mem::replace(&mut self.calls[self.next], bad);
        self.counts.take(Counts { requests: 1, bad: u64::from(old) });
        self.next = (self.next + 1) % self.calls.len();
    }

    fn oldest_first(&self) -> impl Iterator<Item = bool> {
        self.calls[self.next..].iter().chain(&self.calls[..self.next]).copied()
    }
}

/// A length of time in ten buckets. The youngest fills up while the oldest has left, so that what is exactly the length old is outside.
#[derive(Debug)]
pub(crate) struct Buckets {
    buckets: [Counts; Self::LEN as usize],
    /// Which bucket since the beginning of time the youngest one is.
    youngest: u64,
    width: u64,
    counts: Counts,
}

impl Buckets {
    const LEN: u64 = 10;

    fn new(nanos: u64) -> Self {
        let buckets = [Counts::default(); Self::LEN as usize];
        Self { buckets, youngest: 0, width: (nanos / Self::LEN).max(1), counts: Counts::default() }
    }

    fn slot(&mut self, bucket: u64) -> &mut Counts {
        &mut self.buckets[(bucket % Self::LEN) as usize]
    }

    fn slide(&mut self, now: u64) {
        let youngest = now / self.width;
        let gone = youngest.saturating_sub(self.youngest);
        for step in 1..=gone.min(Self::LEN) {
            let bucket = self.youngest + step;
            let old = std::mem::take(self.slot(bucket));
            self.counts.take(old);
        }
        self.youngest = self.youngest.max(youngest);
    }

    fn add(&mut self, now: u64, bad: bool) {
        self.slide(now);
        self.counts.add(bad);
        let youngest = self.youngest;
        self.slot(youngest).add(bad);
    }

    /// Copies what `from` holds, each of its buckets at the time at which it began.
    fn copy(&mut self, from: &mut Self, now: u64) {
        self.slide(now);
        for age in (0..Self::LEN).rev() {
            let Some(bucket) = from.youngest.checked_sub(age) else { continue };
            let here = (bucket.saturating_mul(from.width) / self.width).min(self.youngest);
            if self.youngest - here >= Self::LEN {
                continue;
            }
            let counts = *from.slot(bucket);
            self.slot(here).join(counts);
            self.counts.join(counts);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::time::Duration;

    const SECOND: u64 = 1_000_000_000;

    fn window(window: Window, calls: &[(u64, bool)]) -> Sliding {
        let mut sliding = Sliding::new(window);
        calls.iter().for_each(|&(now, bad)| sliding.add(now, bad));
        sliding
    }

    #[test]
    fn a_ring_forgets_one_by_one() {
        let mut ring = window(Window::calls(5), &[(0, true), (0, true), (0, true), (0, true)]);
        let mut left = Vec::new();
        for _ in 0..6 {
            ring.add(0, false);
            left.push(ring.counts(0).bad);
        }
        assert_eq!(left, [4, 3, 2, 1, 0, 0]);
        assert_eq!(ring.counts(0).requests, 5);
    }

    #[test]
    fn time_leaves_bucket_by_bucket_and_the_edge_is_outside() {
        let ten = Window::time(Duration::from_secs(10));
        let at = |seconds: f64| (seconds * 1e9) as u64;
        let mut sliding = window(ten, &[(0, true), (at(9.9), true)]);
        assert_eq!(sliding.counts(at(9.999)).bad, 2);
        assert_eq!(sliding.counts(at(10.0)).bad, 1);
        assert_eq!(sliding.counts(at(18.999)).bad, 1);
        assert_eq!(sliding.counts(at(19.0)).bad, 0);
        sliding.add(at(1e6), true);
        assert_eq!(sliding.counts(at(1e6)), Counts { requests: 1, bad: 1 });
    }

    #[test]
    fn windows_agree_with_a_queue() {
        let mut dice = fastrand::Rng::with_seed(7);
        for round in 0..50 {
            let size = dice.u32(1..40);
            let (mut ring, mut time) =
                (Sliding::new(Window::calls(size)), Sliding::new(Window::time(Duration::from_secs(10))));
            let (mut calls, mut times) = (VecDeque::new(), VecDeque::new());
            let mut now = 0;
            for _ in 0..500 {
                now += dice.u64(0..2 * SECOND);
                let bad = dice.bool();
                ring.add(now, bad);
                time.add(now, bad);
                calls.push_back(bad);
                times.push_back((now / SECOND, bad));
                calls.drain(..calls.len().saturating_sub(size as usize));
                times.retain(|(second, _)| now / SECOND - second < 10);
                assert_eq!(ring.counts(now).bad, calls.iter().filter(|bad| **bad).count() as u64, "{round}");
                let bad = times.iter().filter(|(_, bad)| *bad).count() as u64;
                assert_eq!(time.counts(now), Counts { requests: times.len() as u64, bad }, "{round}");
            }
        }
    }

    #[test]
    fn a_resized_window_keeps_what_it_holds() {
        let calls: Vec<(u64, bool)> = (0..8).map(|n| (n * SECOND, n >= 4)).collect();
        let mut ring = window(Window::calls(8), &calls);
        assert_eq!(ring.resized(Window::calls(4), 0).counts(0), Counts { requests: 4, bad: 4 });
        assert_eq!(ring.resized(Window::calls(20), 0).counts(0), Counts { requests: 8, bad: 4 });
        let mut time = window(Window::time(Duration::from_secs(10)), &calls);
        let now = 7 * SECOND;
        let longer = time.resized(Window::time(Duration::from_secs(60)), now).counts(now);
        assert_eq!(longer, Counts { requests: 8, bad: 4 });
        let shorter = time.resized(Window::time(Duration::from_secs(4)), now).counts(now);
        assert_eq!(shorter, Counts { requests: 4, bad: 4 });
        assert_eq!(time.resized(Window::calls(9), now).counts(now).requests, 0);
    }
}
