//! What must be had before the load begins.

use super::gateway::{Answer, Gateway, Request, send};
use crate::parts::ask::Lost;
use crate::parts::failure::Failure;
use http::StatusCode;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// For how long somebody insists, and how long they wait between two questions.
const PATIENCE: Duration = Duration::from_secs(30);
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(4);

/// Asks until the gateway says something else than "later": 429, 503, 504, or no answer. Waits as long as it asks for.
///
/// # Errors
///
/// When the gateway cannot be reached at all, or says "later" for too long; `what` it was asked for is in the sentence.
pub(super) async fn insist(
    gateway: &Gateway,
    what: &str,
    request: impl Fn() -> Request,
) -> Result<Answer, Failure> {
    let end = Instant::now() + PATIENCE;
    let mut back_off = FIRST_WAIT;
    loop {
        let mut wait = back_off;
        let why = match send(request()).await {
            Ok(answer) if !is_later(answer.status) => return Ok(answer),
            Ok(answer) => {
                wait = wait.max(answer.retry_after().unwrap_or_default());
                format!("it answered {}", answer.status)
            }
            Err(Lost::Unreachable(why)) => {
                return Err(Failure::new(format!(
                    "the gateway at {} cannot be reached: {why}.",
                    gateway.url()
                )));
            }
            Err(Lost::Broken(why)) => format!("the connection broke: {why}"),
            Err(Lost::TimedOut) => "it did not answer in time".into(),
        };
        if Instant::now() + wait > end {
            return Err(refused(gateway, what, &why));
        }
        sleep(wait).await;
        back_off = (back_off * 2).min(LONGEST_WAIT);
    }
}

fn is_later(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 503 | 504)
}

pub(super) fn refused(gateway: &Gateway, what: &str, why: &str) -> Failure {
    Failure::new(format!("the gateway at {} does not {what}: {why}.", gateway.url()))
}
