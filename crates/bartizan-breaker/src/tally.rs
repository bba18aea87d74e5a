//! What a circuit counts in bad times.

use crate::denial::Denial;
use crate::state::{Cause, Change, State};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The counters of one circuit. They are made at the first bad time: a circuit that was always well stays small.
#[derive(Debug, Default)]
pub(crate) struct Tally([AtomicU64; COUNT]);

/// What the counters of one circuit said, or of many together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tallied([u64; COUNT]);

/// Refusals by their reasons, in the order of [`Denial::counted`], stand first.
const REFUSED: usize = 9;
const SHADOWED: usize = REFUSED;
const TRIPS: usize = SHADOWED + 1;
const PROBES: usize = TRIPS + 4;
const PROBES_FAILED: usize = PROBES + 1;
const REOPENED: usize = PROBES + 2;
const RECOVERED: usize = PROBES + 3;
const COUNT: usize = RECOVERED + 1;

const NAMES: [&str; COUNT] = [
    "refused_start",
    "refused_evidence",
    "refused_failure_ratio",
    "refused_slow_ratio",
    "refused_consecutive",
    "refused_probe",
    "refused_forced",
    "refused_probing",
    "refused_recovering",
    "shadowed",
    "trips_evidence",
    "trips_failure_ratio",
    "trips_slow_ratio",
    "trips_consecutive",
    "probes",
    "probes_failed",
    "reopened",
    "recovered",
];

impl Tally {
    /// Counts a refusal; not one of a circuit that is forced open.
    #[inline]
    pub(crate) fn refused(&self, denial: Denial) {
        if let Some(reason) = denial.counted() {
            self.count(reason);
        }
    }

    pub(crate) fn shadowed(&self) {
        self.count(SHADOWED);
    }

    pub(crate) fn probe(&self) {
        self.count(PROBES);
    }

    pub(crate) fn probe_failed(&self) {
        self.count(PROBES_FAILED);
    }

    /// Counts what a change is that the circuit made by itself: a trip, or a round of probes that failed or went well.
    pub(crate) fn changed(&self, change: &Change) {
        let counter = match (change.from, change.to, change.cause) {
            (State::Closed, State::Open, Some(Cause::Evidence)) => TRIPS,
            (State::Closed, State::Open, Some(Cause::FailureRatio)) => TRIPS + 1,
            (State::Closed, State::Open, Some(Cause::SlowRatio)) => TRIPS + 2,
            (State::Closed, State::Open, Some(Cause::Consecutive)) => TRIPS + 3,
            (State::HalfOpen, State::Open, _) => REOPENED,
            (State::HalfOpen, State::Closed, _) => RECOVERED,
            _ => return,
        };
        self.count(counter);
    }

    #[inline]
    fn count(&self, counter: usize) {
        self.0[counter].fetch_add(1, Relaxed);
    }

    pub(crate) fn read(&self) -> Tallied {
        Tallied(std::array::from_fn(|counter| self.0[counter].load(Relaxed)))
    }
}

impl Tallied {
    /// Every counter under its name.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        NAMES.into_iter().zip(self.0)
    }

    pub(crate) fn refused(&self) -> u64 {
        self.0[..REFUSED].iter().sum()
    }

    pub(crate) fn trips(&self) -> u64 {
        self.0[TRIPS..PROBES].iter().sum()
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, count)| *sum += count);
    }

    /// The refusals by their reasons.
    pub(crate) const fn refusals(&self) -> Refusals {
        let [start, evidence, failure_ratio, slow_ratio, consecutive, probe, forced, probing, recovering, ..] =
            self.0;
        Refusals {
            start,
            evidence,
            failure_ratio,
            slow_ratio,
            consecutive,
            probe,
            forced,
            probing,
            recovering,
        }
    }

    /// The trips by the rules that fired.
    pub(crate) const fn rules(&self) -> Trips {
        Trips {
            evidence: self.0[TRIPS],
            failure_ratio: self.0[TRIPS + 1],
            slow_ratio: self.0[TRIPS + 2],
            consecutive: self.0[TRIPS + 3],
        }
    }

    pub(crate) const fn withheld(&self) -> u64 {
        self.0[SHADOWED]
    }

    /// Probes that were let through, and those of them that were bad; rounds of them that opened the circuit again, and that closed it.
    pub(crate) const fn probing(&self) -> [u64; 4] {
        [self.0[PROBES], self.0[PROBES_FAILED], self.0[REOPENED], self.0[RECOVERED]]
    }
}

/// Requests refused so far, by their reasons. While the circuit is forced open, refusals are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusals {
    /// `open from the start`.
    pub start: u64,
    /// `open: evidence of failure`.
    pub evidence: u64,
    /// `open: failure ratio`.
    pub failure_ratio: u64,
    /// `open: slow ratio`.
    pub slow_ratio: u64,
    /// `open: failures in a row`.
    pub consecutive: u64,
    /// `open: probe failed`.
    pub probe: u64,
    /// `open: forced`, for a while.
    pub forced: u64,
    /// `half-open: probing`.
    pub probing: u64,
    /// `recovering`.
    pub recovering: u64,
}

/// Trips so far, by the rules that fired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trips {
    /// Of the [evidence](crate::Breaker::evidence).
    pub evidence: u64,
    /// Of the [failure ratio](crate::Breaker::failure_ratio).
    pub failure_ratio: u64,
    /// Of the [slow ratio](crate::Breaker::slow_ratio).
    pub slow_ratio: u64,
    /// Of the [failures in a row](crate::Breaker::consecutive).
    pub consecutive: u64,
}
