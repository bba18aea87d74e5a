use bartizan_again::{Outcome, Signs};
use bartizan_core::{Invalid, Verdict};

/// Which answers are retried.
///
/// The default, [`FAILURES`](Self::FAILURES), is what the layer's classifier calls a failure or throttled. The others look at the
/// answer itself, whatever the classifier says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryOn {
    pub(crate) groups: u8,
    /// Statuses and gRPC codes, zeros behind the last.
    pub(crate) codes: [u16; 8],
}

pub(crate) const FAILURES: u8 = 1;
pub(crate) const GATEWAY: u8 = 1 << 1;
pub(crate) const CONNECT: u8 = 1 << 2;
const NO_CODE: &str = "retry_on: a code must be above zero, and there is room for eight";

impl RetryOn {
    /// What the classifier calls a failure or throttled. The default.
    pub const FAILURES: Self = Self::group(FAILURES);
    /// 502, 503, 504, gRPC's `UNAVAILABLE`, and calls that ended without an answer.
    pub const GATEWAY: Self = Self::group(GATEWAY);
    /// Calls that are proven never to have reached their server, and nothing else.
    pub const CONNECT: Self = Self::group(CONNECT);

    const fn group(groups: u8) -> Self {
        Self { groups, codes: [0; 8] }
    }

    /// An HTTP status or, for gRPC calls, a gRPC code, and nothing else.
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
            return Err(Invalid::new("retry_on", NO_CODE));
        }
        Ok(Self { groups: 0, codes: [code, 0, 0, 0, 0, 0, 0, 0] })
    }

    /// Both.
    ///
    /// # Panics
    ///
    /// When these are more than eight codes.
    #[must_use]
    #[track_caller]
    pub const fn and(mut self, other: Self) -> Self {
        self.groups |= other.groups;
        let mut from = 0;
        while from < other.codes.len() && other.codes[from] != 0 {
            let mut to = 0;
            while to < self.codes.len() && self.codes[to] != 0 && self.codes[to] != other.codes[from] {
                to += 1;
            }
            assert!(to < self.codes.len(), "{}", NO_CODE);
            self.codes[to] = other.codes[from];
            from += 1;
        }
        self
    }

    /// Whether answers that the classifier calls good have to be looked at as well.
    pub(crate) const fn looks(&self) -> bool {
        self.codes[0] != 0 || self.groups & GATEWAY != 0
    }

    pub(crate) fn matches(&self, verdict: Verdict, signs: &Signs, asked: &[u16]) -> bool {
        let group = |group| self.groups & group != 0;
        let code = match signs.outcome {
            Outcome::Status(code) | Outcome::Grpc(code) => code,
            Outcome::Lost => 0,
        };
        let gateway = match signs.outcome {
            Outcome::Status(code) => (502..=504).contains(&code),
            Outcome::Grpc(code) => code == 14,
            Outcome::Lost => true,
        };
        group(FAILURES) && matches!(verdict, Verdict::Failure | Verdict::Throttled(_))
            || group(GATEWAY) && gateway
            || group(CONNECT) && signs.never_arrived
            || code != 0 && (self.codes.contains(&code) || asked.contains(&code))
    }
}

impl Default for RetryOn {
    fn default() -> Self {
        Self::FAILURES
    }
}
