//! How a journey ends.

use super::gateway::Said;
use crate::contracts::problems::{OUT_OF_STOCK, PAYMENT_DECLINED};
use crate::parts::ask::Lost;
use crate::parts::problem;
use http::header::AGE;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::stage) enum Outcome {
    Ok,
    /// 202: the order is on its way.
    Pending,
    /// An answer with an age: what the shop knew when it could still ask.
    Stale,
    /// 409, as there are not so many left.
    SoldOut,
    /// 402, as the bank said no.
    Declined,
    /// 429 or 503, said properly: a problem. The shop protects itself.
    Refused,
    /// Any other answer that is no good, or a broken connection.
    Failed,
    /// No answer within the customer's patience.
    TimedOut,
}

impl Outcome {
    pub(super) const ALL: [Self; 8] = [
        Self::Ok,
        Self::Pending,
        Self::Stale,
        Self::SoldOut,
        Self::Declined,
        Self::Refused,
        Self::Failed,
        Self::TimedOut,
    ];

    pub(in crate::stage) fn of(said: &Said) -> Self {
        let answer = match said {
            Ok(answer) => answer,
            Err(Lost::TimedOut) => return Self::TimedOut,
            Err(Lost::Unreachable(_) | Lost::Broken(_)) => return Self::Failed,
        };
        match answer.status.as_u16() {
            202 => Self::Pending,
            200..=299 if answer.headers.contains_key(AGE) => Self::Stale,
            200..=299 => Self::Ok,
            402 if problem::kind(&answer.body) == PAYMENT_DECLINED => Self::Declined,
            409 if problem::kind(&answer.body) == OUT_OF_STOCK => Self::SoldOut,
            429 | 503 if answer.is_problem() => Self::Refused,
            _ => Self::Failed,
        }
    }

    /// Whether the customer got what they came for: this is what goodput counts.
    pub(super) fn is_good(self) -> bool {
        matches!(self, Self::Ok | Self::Pending | Self::Stale)
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Pending => "pending",
            Self::Stale => "stale",
            Self::SoldOut => "sold out",
            Self::Declined => "declined",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::TimedOut => "timeout",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::gateway::Answer;
    use super::*;
    use http::{HeaderMap, StatusCode};

    fn answer(status: u16, kind: Option<&str>) -> Said {
        let mut headers = HeaderMap::new();
        let mut body = "{}".to_owned();
        if let Some(kind) = kind {
            headers.insert("content-type", "application/problem+json".parse().unwrap());
            body = format!(r#"{{"type": "urn:shop:problem:{kind}"}}"#);
        }
        Ok(Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: body.into() })
    }

    #[test]
    fn every_answer_has_its_outcome() {
        for (said, outcome) in [
            (answer(200, None), Outcome::Ok),
            (answer(201, None), Outcome::Ok),
            (answer(202, None), Outcome::Pending),
            (answer(402, Some(PAYMENT_DECLINED)), Outcome::Declined),
            (answer(402, None), Outcome::Failed),
            (answer(409, Some(OUT_OF_STOCK)), Outcome::SoldOut),
            (answer(409, Some("reservation-released")), Outcome::Failed),
            (answer(429, Some("exhausted")), Outcome::Refused),
            (answer(503, Some("unavailable")), Outcome::Refused),
            (answer(503, None), Outcome::Failed),
            (answer(500, Some("internal")), Outcome::Failed),
            (answer(504, Some("timeout")), Outcome::Failed),
            (answer(401, Some("unauthorized")), Outcome::Failed),
            (answer(302, None), Outcome::Failed),
            (Err(Lost::TimedOut), Outcome::TimedOut),
            (Err(Lost::Broken("reset".into())), Outcome::Failed),
            (Err(Lost::Unreachable("refused".into())), Outcome::Failed),
        ] {
            assert_eq!(Outcome::of(&said), outcome, "{said:?}");
        }
    }

    #[test]
    fn an_answer_with_an_age_is_stale() {
        let mut said = answer(200, None);
        said.iter_mut().for_each(|answer| drop(answer.headers.insert(AGE, 0.into())));
        assert_eq!(Outcome::of(&said), Outcome::Stale);
    }

    #[test]
    fn goodput_counts_what_was_done_or_will_be() {
        let good: Vec<_> = Outcome::ALL.into_iter().filter(|outcome| outcome.is_good()).collect();
        assert_eq!(good, [Outcome::Ok, Outcome::Pending, Outcome::Stale]);
    }

    #[test]
    fn every_outcome_has_its_place() {
        for (place, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, place, "{outcome:?}");
        }
    }
}
