//! What a question says behind its question mark.

use super::duration;
use super::no::No;
use axum::extract::{FromRequestParts, Query};
use http::request::Parts;
use std::time::Duration;

/// How long a question waits when it does not say, as Consul has it.
const UNSAID: Duration = Duration::from_secs(300);

/// How long a question waits at most. It ends before the connection does, on which nothing moves meanwhile.
pub(super) const LONGEST: Duration = Duration::from_secs(50);

/// What would narrow an answer, and is not understood: the answer would be another one than was asked for.
const NARROWER: [&str; 5] = ["filter", "node-meta", "ns", "partition", "peer"];

/// Everything that is asked, with what is not said by its default.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Ask {
    /// Zero: do not wait.
    pub index: u64,
    pub wait: Duration,
    pub passing: bool,
    pub tags: Vec<String>,
}

impl Ask {
    fn read(pairs: &[(String, String)]) -> Result<Self, No> {
        let all = |name: &'static str| {
            pairs.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
        };
        for name in NARROWER {
            if all(name).any(|value| !value.is_empty()) {
                return Err(No::bad(format!("Invalid query: this registry knows no {name:?}")));
            }
        }
        let first = |name| all(name).next().filter(|value| !value.is_empty());
        let wait = match first("wait") {
            None => Duration::ZERO,
            Some(wait) => duration::parse(wait).ok_or_else(|| No::bad("Invalid wait time"))?,
        };
        let index = match first("index") {
            None => 0,
            Some(index) => index.parse().map_err(|_| No::bad("Invalid index"))?,
        };
        let passing = match all("passing").next() {
            None | Some("0" | "f" | "F" | "false" | "False" | "FALSE") => false,
            Some("" | "1" | "t" | "T" | "true" | "True" | "TRUE") => true,
            Some(_) => return Err(No::bad("Invalid value for ?passing")),
        };
        let wait = if wait.is_zero() { UNSAID } else { wait }.min(LONGEST);
        let tags = all("tag").filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
        Ok(Self { index, wait, passing, tags })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Ask {
    type Rejection = No;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, No> {
        Self::read(&pairs(parts, state).await?)
    }
}

/// `?note=`: what there is to say of a check.
pub(super) struct Note(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Note {
    type Rejection = No;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, No> {
        let notes = pairs(parts, state).await?.into_iter().filter(|(name, _)| name == "note");
        Ok(Self(notes.map(|(_, note)| note).next().unwrap_or_default()))
    }
}

async fn pairs<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<Vec<(String, String)>, No> {
    let query = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
    query.map(|Query(pairs)| pairs).map_err(|refused| No::bad(refused.body_text()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::serve::Limits;

    fn ask(query: &str) -> Result<Ask, String> {
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name.to_owned(), value.to_owned())
        });
        Ask::read(&pairs.collect::<Vec<_>>()).map_err(|no| no.why().to_owned())
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let unsaid = Ask { index: 0, wait: LONGEST, passing: false, tags: vec![] };
        for query in ["", "wait=0s", "wait=1h", "index=", "tag=", "passing=0", "stale&near=_agent", "filter="]
        {
            assert_eq!(ask(query), Ok(unsaid.clone()), "{query}");
        }
        let said = ask("index=7&wait=250ms&passing&tag=a&tag=b").unwrap();
        assert_eq!((said.index, said.wait, said.passing), (7, Duration::from_millis(250), true));
        assert_eq!(said.tags, ["a", "b"]);
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        for (query, why) in [
            ("wait=soon", "Invalid wait time"),
            ("wait=-5s", "Invalid wait time"),
            ("index=-1", "Invalid index"),
            ("index=1.5", "Invalid index"),
            ("index=99999999999999999999", "Invalid index"),
            ("passing=perhaps", "Invalid value for ?passing"),
            ("filter=Service.Port==1", "Invalid query: this registry knows no \"filter\""),
        ] {
            assert_eq!(ask(query), Err(why.to_owned()), "{query}");
        }
    }

    #[test]
    fn a_question_ends_before_its_connection() {
        assert!(LONGEST + LONGEST / 16 < Limits::default().idle);
    }
}
