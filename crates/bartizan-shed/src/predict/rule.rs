//! What is learnt from a window, and what follows. No clock, no lock, no atomics.

use super::counts::Seen;

const MILLISECOND: u64 = 1_000_000;
/// A window may be closed after so long, if so many were answered.
const CLOSES: [(u64, u64); 3] = [(100 * MILLISECOND, 10), (1000 * MILLISECOND, 3), (5000 * MILLISECOND, 1)];
/// How much of a difference a window moves the throughput.
const SHARE: f64 = 0.3;
/// The unsaturated windows of so many minutes are remembered.
const MINUTES: usize = 10;

/// What was seen in one window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Seconds.
    pub(super) length: f64,
    pub(super) ended: f64,
    /// Seconds that those took who ended.
    pub(super) taken: f64,
    pub(super) refused: f64,
}

/// What has been learnt.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    begun: Seen,
    throughput: f64,
    service: f64,
    saturated: bool,
    floors: [(u64, f64); MINUTES],
    /// Until the first window is closed, nothing is known and all are admitted.
    blank: bool,
}

impl Rule {
    pub(super) fn new() -> Self {
        Self::beginning(Seen::default())
    }

    pub(super) fn beginning(begun: Seen) -> Self {
        Self {
            begun,
            throughput: 0.0,
            service: 0.0,
            saturated: false,
            floors: [(0, 0.0); MINUTES],
            blank: true,
        }
    }

    /// Looks at the counts, and closes the window if enough has been seen.
    pub(super) fn look(&mut self, seen: Seen) {
        let length = seen.at.saturating_sub(self.begun.at);
        let ended = seen.ended_since(&self.begun);
        if !CLOSES.iter().any(|&(time, count)| length >= time && ended >= count) {
            return;
        }
        let window = Window {
            length: length as f64 * 1e-9,
            ended: ended as f64,
            taken: seen.taken_since(&self.begun) as f64 * 1e-9,
            refused: seen.refused_since(&self.begun) as f64,
        };
        self.begun = seen;
        self.learn(&window, seen.at / (60_000 * MILLISECOND));
    }

    fn learn(&mut self, window: &Window, minute: u64) {
        let rate = window.ended / window.length;
        self.saturated = window.refused > 0.0;
        if self.blank {
            self.blank = false;
            self.throughput = rate;
            self.service = window.taken / window.ended;
        } else if self.saturated || rate > self.throughput {
            self.throughput += SHARE * (rate - self.throughput);
        }
        if window.ended >= 10.0 {
            let sure = (window.ended - 1.5 * window.ended.sqrt()) / window.length;
            self.throughput = self.throughput.max(sure);
        }
        if !self.saturated {
            self.service += SHARE * (window.taken / window.ended - self.service);
            let floor = (rate * self.service).min(window.taken / window.length);
            let place = &mut self.floors[(minute % MINUTES as u64) as usize];
            if place.0 != minute {
                *place = (minute, 0.0);
            }
            place.1 = place.1.max(floor);
        }
    }

    pub(super) fn throughput(&self) -> f64 {
        self.throughput
    }

    pub(super) fn service(&self) -> f64 {
        self.service
    }

    pub(super) fn floor(&self) -> f64 {
        if self.blank { f64::MAX } else { self.floors.iter().map(|(_, floor)| *floor).fold(1.0, f64::max) }
    }

    /// Seconds that one would wait who comes when so many are in flight.
    pub(super) fn wait(&self, in_flight: u64) -> f64 {
        if self.throughput > 0.0 { in_flight as f64 / self.throughput - self.service } else { 0.0 }
    }

    pub(super) fn is_saturated(&self) -> bool {
        self.saturated
    }

    /// When the window may be closed first.
    pub(super) fn due(&self) -> u64 {
        self.begun.at + CLOSES[0].0
    }
}
