//! Passwords that are tried.

use super::super::problem::Problem;
use bartizan::Refused;
use bartizan::limit::KeyedHandle;
use http::StatusCode;

/// Limits how often somebody may try to log in to an account for which a wrong password was given a moment ago. Others may come as
/// often as they like. Clones share what they have seen.
#[derive(Clone)]
pub struct Guesses {
    /// An account has something left here unless it is suspected.
    suspicion: KeyedHandle<str>,
    tries: KeyedHandle<str>,
}

impl Guesses {
    /// An account is suspected from a wrong password on until `suspicion` lets it through, and has the `tries` meanwhile.
    pub fn new(suspicion: KeyedHandle<str>, tries: KeyedHandle<str>) -> Self {
        Self { suspicion, tries }
    }

    /// Takes one of the tries of an account that is suspected.
    ///
    /// # Errors
    ///
    /// 429 when there is none left.
    pub fn begin(&self, account: &str) -> Result<(), Problem> {
        match self.suspicion.peek(account, 1) {
            Ok(()) => Ok(()),
            Err(_) => self.tries.check(account, 1).map_err(|refused| too_many(&refused)),
        }
    }

    /// Hears that the password was wrong.
    pub fn failed(&self, account: &str) {
        if self.suspicion.check(account, 1).is_ok() {
            self.tries.charge(account, 1);
        }
    }
}

fn too_many(refused: &Refused) -> Problem {
    let wait = refused.retry_after().unwrap_or_default();
    let detail = "too many tries to log in to this account have failed";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-tries", detail)
        .retry_after(wait.as_secs_f64().ceil().max(1.0) as u64)
}
