//! Controlled delay: K. Nichols, V. Jacobson, A. McGregor, J. Iyengar, RFC 8289, sections 5.4 to 5.6, with the delay of the
//! oldest who waits in place of the one who is served, as the newest are served first.

use bartizan_core::Instant;
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub(super) struct Codel {
    target: Duration,
    interval: Duration,
    /// When the delay will have been above the target for an interval.
    first_above: Option<Instant>,
    /// When the next one is dropped; none while nobody is.
    drop_next: Option<Instant>,
    /// When dropping ended, and how many were dropped then.
    ended: Option<(Instant, u32)>,
    /// How many were dropped since dropping began.
    count: u32,
}

/// Dropping that begins again so many intervals after it ended goes on near where it was.
const SOON: u32 = 16;

impl Codel {
    pub(super) const fn new(target: Duration, interval: Duration) -> Self {
        Self { target, interval, first_above: None, drop_next: None, ended: None, count: 0 }
    }

    /// Whether one has to go now, the oldest of those who wait having waited so long.
    pub(super) fn drops(&mut self, oldest: Option<Duration>, now: Instant) -> bool {
        if !self.is_above_for_long(oldest, now) {
            if let Some(next) = self.drop_next.take() {
                self.ended = Some((next, self.count));
            }
            return false;
        }
        match self.drop_next {
            Some(next) if now < next => return false,
            Some(next) => {
                self.count += 1;
                self.drop_next = Some(self.after(next));
            }
            None => {
                let recent = self.ended.filter(|(at, _)| {
                    now.saturating_duration_since(*at) < self.interval.saturating_mul(SOON)
                });
                self.count = recent.map_or(1, |(_, count)| count.saturating_sub(2).max(1));
                self.drop_next = Some(self.after(now));
            }
        }
        true
    }

    fn is_above_for_long(&mut self, oldest: Option<Duration>, now: Instant) -> bool {
        if oldest.is_none_or(|oldest| oldest < self.target) {
            self.first_above = None;
            return false;
        }
        let end = self.first_above.or_else(|| now.checked_add(self.interval));
        self.first_above = end;
        end.is_some_and(|end| now >= end)
    }

    /// The control law.
    fn after(&self, at: Instant) -> Instant {
        at + self.interval.div_f64(f64::from(self.count).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    /// When, in milliseconds, one is dropped while the oldest has waited so long.
    fn drops(codel: &mut Codel, begin: Instant, span: std::ops::Range<u32>, oldest: u32) -> Vec<u32> {
        span.filter(|at| codel.drops(Some(oldest * MILLISECOND), begin + *at * MILLISECOND)).collect()
    }

    #[test]
    fn drops_begin_after_an_interval_and_come_closer() {
        let (mut codel, begin) = (Codel::new(5 * MILLISECOND, 100 * MILLISECOND), Instant::now());
        let dropped = drops(&mut codel, begin, 0..600, 20);
        assert_eq!(dropped, [100, 200, 271, 329, 379, 424, 464, 502, 538, 571]);
        assert_eq!(drops(&mut codel, begin, 600..800, 4), [0_u32; 0], "below the target nobody goes");
        let again = drops(&mut codel, begin, 800..1000, 20);
        assert_eq!(again[..2], [900, 936], "and it goes on near where it was");
    }

    #[test]
    fn a_moment_below_the_target_begins_the_interval_anew() {
        let (mut codel, begin) = (Codel::new(5 * MILLISECOND, 100 * MILLISECOND), Instant::now());
        assert!(drops(&mut codel, begin, 0..100, 20).is_empty());
        assert!(!codel.drops(Some(MILLISECOND), begin + 100 * MILLISECOND));
        assert_eq!(drops(&mut codel, begin, 101..202, 20), [201]);
        assert!(!codel.drops(None, begin + 300 * MILLISECOND), "an empty line has no delay");
    }

    #[test]
    fn any_duration_is_legal() {
        let now = Instant::now();
        let mut codel = Codel::new(Duration::ZERO, Duration::MAX);
        assert!(!codel.drops(Some(Duration::MAX), now));
        let mut codel = Codel::new(Duration::MAX, MILLISECOND);
        assert!(!codel.drops(Some(Duration::from_secs(9)), now));
    }
}
