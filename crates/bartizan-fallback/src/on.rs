use bartizan_core::{ErrorsFail, Invalid, Kind, Refused, Verdict};
use bartizan_http::grpc_status;
use bartizan_http::http::Response;
use std::fmt;

/// Which failures something else takes the place of.
///
/// The default, [`FAILURES`](Self::FAILURES), is what the layer's classifier calls a failure or throttled, and what a layer inside has
/// refused. The others look at the failure itself, whatever the classifier says. What is not asked for passes as it is.
///
/// ```
/// use bartizan_fallback::FallbackOn;
///
/// // An open breaker, an overload, a time-out: no answer of the service itself, and no broken connection either.
/// const BUSY: FallbackOn = FallbackOn::REFUSALS.and(FallbackOn::TIMEOUTS);
/// assert_eq!(BUSY.to_string(), "refusals, time-outs");
/// assert_eq!(BUSY.and(FallbackOn::code(503)).to_string(), "refusals, time-outs, 503");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FallbackOn {
    groups: u8,
    /// Statuses and gRPC codes, zeros behind the last.
    codes: [u16; 8],
}

const FAILURES: u8 = 1;
const ERRORS: u8 = 1 << 1;
const REFUSALS: u8 = 1 << 2;
const TIMEOUTS: u8 = 1 << 3;
const SERVER_ERRORS: u8 = 1 << 4;
const THROTTLED: u8 = 1 << 5;
const WORDS: [&str; 6] = ["failures", "errors", "refusals", "time-outs", "server errors", "throttled"];
const NO_CODE: &str = "fallback_on: a code must be above zero, and there is room for eight";

impl FallbackOn {
    /// What the classifier calls a failure or throttled, what a layer inside has refused, and an inner service that is not ready. The
    /// default.
    pub const FAILURES: Self = Self::group(FAILURES);
    /// Calls that ended without an answer: errors of the inner service that are no refusal.
    pub const ERRORS: Self = Self::group(ERRORS);
    /// Calls that a layer inside has refused before they reached the service, as an open breaker, a full limit or a shedding layer does;
    /// and calls of an inner service that is not ready.
    pub const REFUSALS: Self = Self::group(REFUSALS);
    /// Calls whose time was up: a layer inside said so, or the answer is 504 or gRPC's `DEADLINE_EXCEEDED`.
    pub const TIMEOUTS: Self = Self::group(TIMEOUTS);
    /// Answers of the service itself that are 5xx, or gRPC's `UNKNOWN`, `INTERNAL`, `UNAVAILABLE` or `DATA_LOSS`.
    pub const SERVER_ERRORS: Self = Self::group(SERVER_ERRORS);
    /// Answers of the service itself that are 429, or gRPC's `RESOURCE_EXHAUSTED`.
    pub const THROTTLED: Self = Self::group(THROTTLED);

    pub(crate) const fn group(groups: u8) -> Self {
        Self { groups, codes: [0; 8] }
    }

    /// The kinds, one bit each, and whether there are codes beside them.
    pub(crate) const fn groups(&self) -> (u8, bool) {
        (self.groups, self.codes[0] != 0)
    }

    /// An HTTP status or, for gRPC calls, a gRPC code, whoever answered with it, and nothing else.
    ///
    /// # Panics
    ///
    /// When the code is zero; [`and`](Self::and) of more than eight codes panics too.
    #[must_use]
    #[track_caller]
    pub const fn code(code: u16) -> Self {
        match Self::try_code(code) {
            Ok(on) => on,
            Err(_) => panic!("{}", NO_CODE),
        }
    }

    /// An HTTP status or a gRPC code, as [`code`](Self::code).
    ///
    /// # Errors
    ///
    /// When the code is zero.
    pub const fn try_code(code: u16) -> Result<Self, Invalid> {
        if code == 0 {
            return Err(Invalid::new("fallback_on", NO_CODE));
        }
        Ok(Self { groups: 0, codes: [code, 0, 0, 0, 0, 0, 0, 0] })
    }

    /// Both.
    ///
    /// # Panics
    ///
    /// When these are more than eight codes; [`try_and`](Self::try_and) returns an error instead.
    #[must_use]
    #[track_caller]
    pub const fn and(self, other: Self) -> Self {
        match self.try_and(other) {
            Ok(on) => on,
            Err(_) => panic!("{}", NO_CODE),
        }
    }

    /// Both, as [`and`](Self::and).
    ///
    /// # Errors
    ///
    /// When these are more than eight codes.
    pub const fn try_and(mut self, other: Self) -> Result<Self, Invalid> {
        self.groups |= other.groups;
        let mut from = 0;
        while from < other.codes.len() && other.codes[from] != 0 {
            let mut to = 0;
            while to < self.codes.len() && self.codes[to] != 0 && self.codes[to] != other.codes[from] {
                to += 1;
            }
            if to == self.codes.len() {
                return Err(Invalid::new("fallback_on", NO_CODE));
            }
            self.codes[to] = other.codes[from];
            from += 1;
        }
        Ok(self)
    }

    /// Whether answers that the classifier calls good, or ignores, have to be looked at as well.
    pub(crate) const fn looks(&self) -> bool {
        self.codes[0] != 0 || self.groups & !(FAILURES | ERRORS | REFUSALS) != 0
    }

    /// Whether an inner service that is not ready counts as a failure.
    pub(crate) const fn unready(&self) -> bool {
        self.groups & (FAILURES | REFUSALS) != 0
    }

    /// Whether a call that ended like this is one of those asked for.
    pub(crate) fn matches(&self, verdict: Verdict, signs: &Signs<'_>) -> bool {
        let Signs { outcome, refused } = *signs;
        let group = |group| self.groups & group != 0;
        let outright = refused.is_some_and(|refused| !refused.reached()) || outcome == Outcome::Unready;
        let code = outcome.code();
        let own = |http: fn(u16) -> bool, grpc: &[u16]| match outcome {
            Outcome::Status(status) => refused.is_none() && http(status),
            Outcome::Grpc(code) => refused.is_none() && grpc.contains(&code),
            Outcome::Error | Outcome::Answer | Outcome::Unready => false,
        };
        group(FAILURES) && (outright || matches!(verdict, Verdict::Failure | Verdict::Throttled(_)))
            || group(ERRORS) && outcome == Outcome::Error && refused.is_none()
            || group(REFUSALS) && outright
            || group(TIMEOUTS)
                && (refused.is_some_and(|refused| refused.kind() == Kind::DeadlineExceeded)
                    || own(|status| status == 504, &[4]))
            || group(SERVER_ERRORS) && own(|status| (500..600).contains(&status), &[2, 13, 14, 15])
            || group(THROTTLED) && own(|status| status == 429, &[8])
            || code.is_some_and(|code| code != 0 && self.codes.contains(&code))
    }
}

impl Default for FallbackOn {
    fn default() -> Self {
        Self::FAILURES
    }
}

impl fmt::Display for FallbackOn {
    /// The kinds with commas between them, as `refusals, time-outs, 503`; `nothing` if there are none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for (bit, word) in WORDS.iter().enumerate() {
            if self.groups & 1 << bit != 0 {
                write!(f, "{between}{word}")?;
                between = ", ";
            }
        }
        for code in self.codes.iter().take_while(|code| **code != 0) {
            write!(f, "{between}{code}")?;
            between = ", ";
        }
        if between.is_empty() { f.write_str("nothing") } else { Ok(()) }
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// With an answer of this HTTP status.
    Status(u16),
    /// With an answer of this gRPC code.
    Grpc(u16),
    /// With an answer that is neither HTTP nor gRPC.
    Answer,
    /// Without an answer.
    Error,
    /// It was not made, as the inner service was not ready.
    Unready,
}

impl Outcome {
    /// The HTTP status or the gRPC code.
    #[must_use]
    pub const fn code(self) -> Option<u16> {
        match self {
            Self::Status(code) | Self::Grpc(code) => Some(code),
            Self::Answer | Self::Error | Self::Unready => None,
        }
    }
}

/// What an answer, or its failure to come, says of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signs<'a> {
    pub(crate) outcome: Outcome,
    /// The refusal by a layer inside, if it is one.
    pub(crate) refused: Option<&'a Refused>,
}

impl<'a> Signs<'a> {
    /// Signs of an inner service that is not ready.
    pub(crate) const UNREADY: Self = Self { outcome: Outcome::Unready, refused: None };

    /// Signs of an answer's head. A gRPC code counts where the head has one: the answer is over then.
    pub(crate) fn of_response<B>(response: &'a Response<B>) -> Self {
        let outcome = match grpc_status(response.headers()) {
            Some(code) => Outcome::Grpc(code),
            None => Outcome::Status(response.status().as_u16()),
        };
        Self { outcome, refused: response.extensions().get() }
    }

    /// Signs of an error of any type.
    pub(crate) fn of_error<E: 'static>(error: &'a E) -> Self {
        Self { outcome: Outcome::Error, refused: ErrorsFail::refusal(error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_core::Reason;

    const OPEN: Reason = Reason::new("breaker", Kind::Unavailable, "open");
    const LATE: Reason = Reason::new("deadline", Kind::DeadlineExceeded, "deadline passed").reached();
    const EXPIRED: Reason = Reason::new("deadline", Kind::DeadlineExceeded, "expired on arrival");

    const GROUPS: [FallbackOn; 6] = [
        FallbackOn::FAILURES,
        FallbackOn::ERRORS,
        FallbackOn::REFUSALS,
        FallbackOn::TIMEOUTS,
        FallbackOn::SERVER_ERRORS,
        FallbackOn::THROTTLED,
    ];

    /// Which of the groups take such an end.
    fn groups(verdict: Verdict, outcome: Outcome, reason: Option<&'static Reason>) -> String {
        let refused = reason.map(Refused::new);
        let signs = Signs { outcome, refused: refused.as_ref() };
        let taken = GROUPS.iter().filter(|on| on.matches(verdict, &signs));
        taken.map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn each_end_is_of_its_kinds() {
        use Outcome::{Answer, Error, Grpc, Status, Unready};
        use Verdict::{Failure, Ignored, Success, Throttled};
        for (verdict, outcome, reason, ought) in [
            (Success, Status(200), None, ""),
            (Success, Status(404), None, ""),
            (Failure, Status(500), None, "failures, server errors"),
            (Failure, Status(504), None, "failures, time-outs, server errors"),
            (Throttled(None), Status(429), None, "failures, throttled"),
            (Ignored, Status(503), Some(&OPEN), "failures, refusals"),
            (Ignored, Status(504), Some(&EXPIRED), "failures, refusals, time-outs"),
            (Failure, Status(504), Some(&LATE), "failures, time-outs"),
            (Failure, Error, None, "failures, errors"),
            (Ignored, Error, Some(&OPEN), "failures, refusals"),
            (Failure, Error, Some(&LATE), "failures, time-outs"),
            (Success, Grpc(5), None, ""),
            (Ignored, Grpc(1), None, ""),
            (Failure, Grpc(14), None, "failures, server errors"),
            (Failure, Grpc(4), None, "failures, time-outs"),
            (Throttled(None), Grpc(8), None, "failures, throttled"),
            (Ignored, Grpc(14), Some(&OPEN), "failures, refusals"),
            (Ignored, Unready, None, "failures, refusals"),
            (Failure, Answer, None, "failures"),
            (Success, Answer, None, ""),
        ] {
            assert_eq!(groups(verdict, outcome, reason), ought, "{verdict:?} {outcome:?} {reason:?}");
        }
    }

    #[test]
    fn codes_are_looked_at_whatever_the_verdict() {
        let on = FallbackOn::code(404).and(FallbackOn::code(5)).and(FallbackOn::code(404));
        assert_eq!((on.to_string().as_str(), on.looks(), on.unready()), ("404, 5", true, false));
        let takes = |outcome| on.matches(Verdict::Success, &Signs { outcome, refused: None });
        assert!(takes(Outcome::Status(404)) && takes(Outcome::Grpc(5)));
        assert!(!takes(Outcome::Status(500)) && !takes(Outcome::Error) && !takes(Outcome::Grpc(0)));
        assert!(!FallbackOn::FAILURES.looks() && FallbackOn::TIMEOUTS.looks());
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(FallbackOn::try_code(0).is_err());
        let eight = (500..508).map(FallbackOn::code).reduce(FallbackOn::and).unwrap();
        assert!(eight.try_and(FallbackOn::code(507)).is_ok());
        assert!(eight.try_and(FallbackOn::code(508)).is_err());
        assert_eq!(FallbackOn::group(0).to_string(), "nothing");
    }
}
