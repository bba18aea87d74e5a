//! A look at the service below its limit.

use super::rule::Window;

/// Seconds and answers from the moment the service was saturated to the first dip: by then its throughput is known.
const FIRST: (f64, f64) = (1.0, 120.0);
/// From one dip to the next.
const LATER: (f64, f64) = (5.0, 120.0);
/// And if one has found the knee far off.
const AGAIN: (f64, f64) = (0.5, 60.0);
/// As many as this share of the knee are let in during a dip.
const DEPTH: f64 = 0.75;
/// A dip has begun when those have left who came before it, which takes as long as they took and a service time, and so many seconds more.
const BEGINS: f64 = 0.02;
/// Then it lasts for so many answers and service times.
const ANSWERS: f64 = 20.0;
const SERVICES: f64 = 2.0;

/// Lets fewer in for a moment while the service is saturated, and sees how long they take.
///
/// A saturated service tells its throughput, but not how many it works on at once: its answers have waited. Below the knee they have not. A
/// knee that is set too low, by a service that became slower without serving fewer at once, is found as well: throughput falls with what is
/// let in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Dip {
    /// In so many seconds and answers.
    Next(f64, f64),
    /// For so many seconds; those who came before are still leaving, who took so many at most in the mean of a window.
    Begun(f64, f64),
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
        Self::Next(FIRST.0, FIRST.1)
    }

    pub(super) fn later() -> Self {
        Self::Next(LATER.0, LATER.1)
    }

    pub(super) fn again() -> Self {
        Self::Next(AGAIN.0, AGAIN.1)
    }

    pub(super) fn is_on(&self) -> bool {
        !matches!(self, Self::Next(..))
    }

    /// How many are let in.
    pub(super) fn cap(&self, knee: f64) -> f64 {
        if self.is_on() { (knee * DEPTH).ceil() } else { f64::MAX }
    }

    /// Lets a window of a saturated service pass, and returns what was found when that is enough.
    pub(super) fn pass(&mut self, window: &Window, service: f64) -> Option<Found> {
        match *self {
            Self::Next(seconds, answers) if seconds > window.length || answers > window.ended => {
                *self = Self::Next(seconds - window.length, answers - window.ended);
            }
            Self::Next(..) => *self = Self::Begun(0.0, window.latency()),
            Self::Begun(time, longest) => {
                let (time, longest) = (time + window.length, longest.max(window.latency()));
                let settled = time > longest + service + BEGINS;
                *self = if settled { Self::On(Found::default()) } else { Self::Begun(time, longest) };
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
