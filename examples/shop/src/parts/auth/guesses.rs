//! Passwords that are tried.

use super::super::buckets::Asked;
use super::super::problem::Problem;
use bartizan::Refused;
use http::StatusCode;

/// Limits how often somebody may try to log in to an account for which a wrong password was given a moment ago. Others may come as
/// often as they like. Clones share what they have seen.
#[derive(Clone)]
pub struct Guesses {
    /// An account has something left here unless it is suspected.
    suspicion: Asked,
    tries: Asked,
}

impl Guesses {
    /// An account is suspected from a wrong password on until `suspicion` lets it through, and has the `tries` meanwhile.
    pub fn new(suspicion: Asked, tries: Asked) -> Self {
        Self { suspicion, tries }
    }

    /// Takes one of the tries of an account that is suspected.
    ///
    /// # Errors
    ///
    /// 429 when there is none left.
    pub async fn begin(&self, account: &str) -> Result<(), Problem> {
        if self.suspicion.has(account).await {
            return Ok(());
        }
        self.tries.check(account).await.map_err(|refused| too_many(&refused))
    }

    /// Hears that the password was wrong.
    pub async fn failed(&self, account: &str) {
        if self.suspicion.check(account).await.is_ok() {
            self.tries.charge(account).await;
        }
    }
}

fn too_many(refused: &Refused) -> Problem {
    let wait = refused.retry_after().unwrap_or_default();
    let detail = "too many tries to log in to this account have failed";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-tries", detail)
        .retry_after(wait.as_secs_f64().ceil().max(1.0) as u64)
}
