//! A look at the service below its limit.

use super::rule::Window;

/// Seconds from the moment the service was saturated to the first dip, from one to the next, and to the next if one has found the knee far off.
const WAIT: (f64, f64, f64) = (1.0, 5.0, 0.5);
/// As many as this share of the knee are let in during a dip.
const DEPTH: f64 = 0.75;
/// A dip takes effect, and then lasts, for so many service times; and begins for so many seconds at least.
const SERVICES: f64 = 2.0;
const BEGINS: f64 = 0.02;
/// It lasts for so many answers.
const ANSWERS: f64 = 20.0;

/// Lets fewer in for a moment while the service is saturated, and sees how long they take.
///
/// A saturated service tells its throughput, but not how many it works on at once: its answers have waited. Below the knee they have not. A
/// knee that is set too low, by a service that became slower without serving fewer at once, is found as well: throughput falls with what is
/// let in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Dip {
    /// In so many seconds.
    Next(f64),
    /// For so many seconds; those who came before are still leaving.
    Begun(f64),
    On(Found),
}

/// What is seen in a dip.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Found {
    length: f64,
    pub(super) ended: f64,
    taken: f64,
}

impl Found {
    pub(super) fn latency(&self) -> f64 {
        self.taken / self.ended
    }
}

impl Dip {
    pub(super) fn new() -> Self {
        Self::Next(WAIT.0)
    }

    pub(super) fn later() -> Self {
        Self::Next(WAIT.1)
    }

    pub(super) fn again() -> Self {
        Self::Next(WAIT.2)
    }

    pub(super) fn is_on(&self) -> bool {
        !matches!(self, Self::Next(_))
    }

    /// How many are let in.
    pub(super) fn cap(&self, knee: f64) -> f64 {
        if self.is_on() { (knee * DEPTH).ceil() } else { f64::MAX }
    }

    /// Lets a window of a saturated service pass, and returns what was found when that is enough.
    pub(super) fn pass(&mut self, window: &Window, service: f64) -> Option<Found> {
        match *self {
            Self::Next(left) if left > window.length => *self = Self::Next(left - window.length),
            Self::Next(_) => *self = Self::Begun(0.0),
            Self::Begun(time) => {
                let time = time + window.length;
                let settled = time > SERVICES * service + BEGINS;
                *self = if settled { Self::On(Found::default()) } else { Self::Begun(time) };
            }
            Self::On(found) => {
                let found = Found {
                    length: found.length + window.length,
                    ended: found.ended + window.ended,
                    taken: found.taken + window.taken,
                };
                *self = Self::On(found);
                return (found.ended >= ANSWERS && found.length > SERVICES * service).then_some(found);
            }
        }
        None
    }
}
