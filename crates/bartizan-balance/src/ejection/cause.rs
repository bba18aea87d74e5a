use std::collections::BTreeMap;
use std::fmt;

/// Why an endpoint was ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Its last calls failed, one after the other.
    Consecutive,
    /// Its last answers were 502, 503 or 504, one after the other.
    ConsecutiveGateway,
    /// Its last calls got no answer, one after the other.
    ConsecutiveLocal,
    /// It failed more calls than the others, by [`Excess`](crate::Excess).
    Excess,
    /// It left more calls without an answer than the others, where these are [counted apart](crate::Ejection::split_local).
    ExcessLocal,
    /// Its rate of success was far below the mean, by [`SuccessRate`](crate::SuccessRate).
    SuccessRate,
    /// It failed too large a share of its calls, by [`FailureRatio`](crate::FailureRatio).
    FailureRatio,
    /// It was far slower than the others, by [`Slowness`](crate::Slowness).
    Slowness,
    /// Somebody has ejected it by a handle.
    Manual,
}

impl Cause {
    /// All causes.
    pub const ALL: [Self; 9] = [
        Self::Consecutive,
        Self::ConsecutiveGateway,
        Self::ConsecutiveLocal,
        Self::Excess,
        Self::ExcessLocal,
        Self::SuccessRate,
        Self::FailureRatio,
        Self::Slowness,
        Self::Manual,
    ];

    /// The cause in a few words, always the same.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Consecutive => "failures in a row",
            Self::ConsecutiveGateway => "gateway failures in a row",
            Self::ConsecutiveLocal => "no answer in a row",
            Self::Excess => "more failures than the others",
            Self::ExcessLocal => "fewer answers than the others",
            Self::SuccessRate => "success rate",
            Self::FailureRatio => "failure ratio",
            Self::Slowness => "slower than the others",
            Self::Manual => "by hand",
        }
    }
}

/// A name for each cause, behind what is counted.
macro_rules! by_cause {
    ($what:literal) => {
        [
            concat!($what, "_consecutive"),
            concat!($what, "_consecutive_gateway"),
            concat!($what, "_consecutive_local"),
            concat!($what, "_excess"),
            concat!($what, "_excess_local"),
            concat!($what, "_success_rate"),
            concat!($what, "_failure_ratio"),
            concat!($what, "_slowness"),
            concat!($what, "_manual"),
        ]
    };
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How often a balancer has ejected endpoints since it began, and how often it has not though a rule had fired.
///
/// A rule that fires for an endpoint that is out already counts nowhere.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Ejections {
    ejected: [u64; Cause::ALL.len()],
    watched: [u64; Cause::ALL.len()],
    overflow: [u64; Cause::ALL.len()],
    withheld: [u64; Cause::ALL.len()],
}

impl Ejections {
    /// Endpoints ejected for this cause.
    #[must_use]
    pub const fn ejected(&self, cause: Cause) -> u64 {
        self.ejected[cause as usize]
    }

    /// Endpoints that would have been ejected for this cause, had it been [enforced](crate::Ejection::enforcing).
    #[must_use]
    pub const fn watched(&self, cause: Cause) -> u64 {
        self.watched[cause as usize]
    }

    /// Times this rule fired while [as many as may be](crate::Ejection::max_ejected) were out.
    #[must_use]
    pub const fn overflow(&self, cause: Cause) -> u64 {
        self.overflow[cause as usize]
    }

    /// Times this rule fired while [too many others failed](crate::Ejection::max_failing).
    #[must_use]
    pub const fn withheld(&self, cause: Cause) -> u64 {
        self.withheld[cause as usize]
    }

    /// Endpoints ejected for any cause.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.ejected.iter().sum()
    }

    /// Shows every count under its name, each sum before what it is made of. Who ejects by hand does not ask whether he may.
    pub(crate) fn each(&self, show: &mut dyn FnMut(&'static str, f64)) {
        for (sum, names, counts) in [
            ("ejections", by_cause!("ejections"), &self.ejected),
            ("watched", by_cause!("watched"), &self.watched),
            ("overflow", by_cause!("overflow"), &self.overflow),
            ("withheld", by_cause!("withheld"), &self.withheld),
        ] {
            show(sum, counts.iter().sum::<u64>() as f64);
            for (cause, (name, count)) in Cause::ALL.into_iter().zip(names.into_iter().zip(counts)) {
                if cause != Cause::Manual || sum == "ejections" {
                    show(name, *count as f64);
                }
            }
        }
    }

    pub(crate) fn count_ejected(&mut self, cause: Cause) {
        self.ejected[cause as usize] += 1;
    }

    pub(crate) fn count_watched(&mut self, cause: Cause) {
        self.watched[cause as usize] += 1;
    }

    pub(crate) fn count_overflow(&mut self, cause: Cause) {
        self.overflow[cause as usize] += 1;
    }

    pub(crate) fn count_withheld(&mut self, cause: Cause) {
        self.withheld[cause as usize] += 1;
    }
}

/// Shows what is not zero, by cause.
impl fmt::Debug for Ejections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Ejections");
        for (name, counts) in [
            ("ejected", self.ejected),
            ("watched", self.watched),
            ("overflow", self.overflow),
            ("withheld", self.withheld),
        ] {
            let counts = Cause::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0);
            shown.field(name, &counts.collect::<BTreeMap<_, _>>());
        }
        shown.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_are_the_causes_that_there_were() {
        let mut counts = Ejections::default();
        counts.count_ejected(Cause::Manual);
        let shown = "Ejections { ejected: {Manual: 1}, watched: {}, overflow: {}, withheld: {} }";
        assert_eq!(format!("{counts:?}"), shown);
    }

    #[test]
    fn every_cause_has_its_own_place_and_words() {
        for (at, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, at);
            assert!(Cause::ALL[..at].iter().all(|other| other.as_str() != cause.as_str()));
        }
    }

    #[test]
    fn counts_are_kept_apart() {
        let mut counts = Ejections::default();
        counts.count_ejected(Cause::Excess);
        counts.count_ejected(Cause::Manual);
        counts.count_watched(Cause::Excess);
        counts.count_watched(Cause::Excess);
        counts.count_overflow(Cause::Manual);
        assert_eq!((counts.ejected(Cause::Excess), counts.watched(Cause::Excess)), (1, 2));
        assert_eq!((counts.overflow(Cause::Excess), counts.overflow(Cause::Manual)), (0, 1));
        assert_eq!((counts.withheld(Cause::Excess), counts.total()), (0, 2));
    }
}
