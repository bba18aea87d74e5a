//! How a journey of a customer ended, in one word for its cell.

use super::super::load::gateway::{Answer, Said};
use super::super::load::outcome::Outcome as Told;
use crate::parts::problem;
use crate::stage::traces::Saved;
use http::header::RETRY_AFTER;
use serde::Serialize;
use std::time::Duration;

/// Who waits for longer is kept waiting.
const SLOW: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Ok,
    /// What the shop knew when it could still ask.
    Stale,
    /// 202: the order waits.
    Pending,
    /// Saved by another attempt.
    Retried,
    /// Saved by a copy.
    Hedged,
    /// Refused, and told when to come again.
    Shed,
    Failed,
    Slow,
    /// Nothing was asked yet.
    Idle,
}

impl Outcome {
    pub(super) const ALL: [Self; 9] = [
        Self::Ok,
        Self::Stale,
        Self::Pending,
        Self::Retried,
        Self::Hedged,
        Self::Shed,
        Self::Failed,
        Self::Slow,
        Self::Idle,
    ];

    /// What is known of an answer, and what saved it, if anything did. Also says why, where it is no good.
    pub(super) fn of(said: &Said, took: Duration, saved: Option<Saved>) -> (Self, Option<String>) {
        let answer = match said {
            Ok(answer) => answer,
            Err(lost) => return (Self::Failed, Some(lost.to_string())),
        };
        let outcome = match Told::of(said) {
            Told::Pending => Self::Pending,
            Told::Stale => Self::Stale,
            Told::Refused if answer.headers.contains_key(RETRY_AFTER) => Self::Shed,
            Told::Refused | Told::Failed | Told::TimedOut => Self::Failed,
            // The shop did what it should.
            Told::Ok | Told::SoldOut | Told::Declined => match saved {
                _ if took > SLOW => Self::Slow,
                Some(Saved::Retry) => Self::Retried,
                Some(Saved::Hedge) => Self::Hedged,
                None => Self::Ok,
            },
        };
        (outcome, why(answer))
    }

    pub(super) fn is_hurt(self) -> bool {
        matches!(self, Self::Shed | Self::Failed | Self::Slow)
    }

    /// Whether the customer was served, and not as usual.
    pub(super) fn is_degraded(self) -> bool {
        matches!(self, Self::Stale | Self::Pending | Self::Retried | Self::Hedged)
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Stale => "stale",
            Self::Pending => "pending",
            Self::Retried => "retried",
            Self::Hedged => "hedged",
            Self::Shed => "shed",
            Self::Failed => "failed",
            Self::Slow => "slow",
            Self::Idle => "idle",
        }
    }
}

/// The words of a problem.
fn why(answer: &Answer) -> Option<String> {
    if answer.status.is_success() {
        return None;
    }
    let body = answer.json();
    let detail = body["detail"].as_str().map(str::to_owned);
    Some(detail.unwrap_or_else(|| format!("{} {}", answer.status, problem::kind(&answer.body))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::ask::Lost;
    use http::{HeaderMap, StatusCode};

    const SOON: Duration = Duration::from_millis(20);

    fn said(status: u16, headers: &[(&'static str, &str)]) -> Said {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let body = r#"{"detail": "the store is closed"}"#;
        Ok(Answer { status: StatusCode::from_u16(status).unwrap(), headers: map, body: body.into() })
    }

    fn of(said: &Said) -> Outcome {
        Outcome::of(said, SOON, None).0
    }

    #[test]
    fn every_answer_has_its_cell() {
        const PROBLEM: (&str, &str) = ("content-type", "application/problem+json");
        for (said, outcome) in [
            (said(200, &[]), Outcome::Ok),
            (said(200, &[("age", "3")]), Outcome::Stale),
            (said(202, &[]), Outcome::Pending),
            (said(503, &[PROBLEM, ("retry-after", "1")]), Outcome::Shed),
            (said(429, &[PROBLEM, ("retry-after", "1")]), Outcome::Shed),
            // Who is refused and not told when to come again was not protected.
            (said(503, &[PROBLEM]), Outcome::Failed),
            (said(500, &[PROBLEM]), Outcome::Failed),
            (said(504, &[PROBLEM]), Outcome::Failed),
            (Err(Lost::TimedOut), Outcome::Failed),
            (Err(Lost::Broken("reset".into())), Outcome::Failed),
        ] {
            assert_eq!(of(&said), outcome, "{said:?}");
        }
    }

    #[test]
    fn who_was_served_may_have_been_saved_or_kept_waiting() {
        let good = said(200, &[]);
        assert_eq!(Outcome::of(&good, SOON, Some(Saved::Retry)).0, Outcome::Retried);
        assert_eq!(Outcome::of(&good, SOON, Some(Saved::Hedge)).0, Outcome::Hedged);
        assert_eq!(Outcome::of(&good, SLOW * 2, Some(Saved::Hedge)).0, Outcome::Slow);
        // What the customer has to show for it counts for more.
        assert_eq!(Outcome::of(&said(202, &[]), SLOW * 2, None).0, Outcome::Pending);
        assert_eq!(Outcome::of(&said(500, &[]), SOON, Some(Saved::Retry)).0, Outcome::Failed);
    }

    #[test]
    fn who_is_hurt_is_told_why() {
        let (_, why) = Outcome::of(&said(500, &[]), SOON, None);
        assert_eq!(why.as_deref(), Some("the store is closed"));
        assert_eq!(Outcome::of(&said(200, &[]), SOON, None).1, None);
        assert!(Outcome::of(&Err(Lost::TimedOut), SOON, None).1.is_some());
    }

    #[test]
    fn nobody_is_hurt_and_degraded() {
        assert!(Outcome::ALL.iter().all(|outcome| !(outcome.is_hurt() && outcome.is_degraded())));
        let json = serde_json::to_value(Outcome::ALL).unwrap();
        let words: Vec<_> = Outcome::ALL.iter().map(|outcome| outcome.as_str()).collect();
        assert_eq!(json, serde_json::json!(words));
    }
}
