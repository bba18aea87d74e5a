//! What is known of tokens where they are checked: the keys, and the sessions that have ended before their time.

use super::token::{Bad, Claims, Jwk, Keys};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// So much of what was told is asked for again, in milliseconds: the clocks of several user services differ, and what
/// they write down is seen in another order.
const AGAIN_MS: i64 = 10_000;

/// `GET /.well-known/jwks.json?since=<ms>` → 200: a JWKS, and beside the keys what has ended since.
#[derive(Debug, Deserialize, Serialize)]
pub struct Jwks {
    pub keys: Vec<Jwk>,
    pub ended: Vec<Ended>,
    /// Milliseconds since 1970, by the clock of who tells.
    pub now: i64,
}

/// A session that has ended, or all of a user that began in an earlier epoch.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Ended {
    /// Of the session, or of the user.
    pub id: String,
    /// Of a user: the first epoch that has not ended.
    pub epoch: i64,
    /// Milliseconds since 1970. From then on nobody has a token that it would concern.
    pub until: i64,
}

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Distrust {
    Bad(Bad),
    Ended,
}

/// The last that was told. Clones share it until they hear more.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    keys: Arc<Keys>,
    ended: Arc<HashMap<String, Ended>>,
    told_ms: Option<i64>,
}

impl Trust {
    /// Whether anything was told yet.
    pub fn is_told(&self) -> bool {
        self.told_ms.is_some()
    }

    /// From when on to ask.
    pub fn since(&self) -> i64 {
        self.told_ms.map_or(0, |told| told - AGAIN_MS)
    }

    /// Takes the keys in the place of those that were known, adds what has ended, and forgets what is over.
    pub fn hear(&mut self, Jwks { keys, ended, now }: Jwks) {
        self.keys = Arc::new(Keys::new(keys));
        self.told_ms = Some(now);
        let over = |ended: &Ended| ended.until <= now;
        if !ended.is_empty() || self.ended.values().any(over) {
            let known = Arc::make_mut(&mut self.ended);
            known.extend(ended.into_iter().map(|ended| (ended.id.clone(), ended)));
            known.retain(|_, ended| !over(ended));
        }
    }

    /// Checks a token at `now`, in milliseconds since 1970.
    pub fn check(&self, token: &str, now: i64) -> Result<Claims, Distrust> {
        let claims = self.keys.check(token, now / 1000).map_err(Distrust::Bad)?;
        let all = self.ended.get(&claims.sub).is_some_and(|ended| claims.epoch < ended.epoch);
        if all || self.ended.contains_key(&claims.jti) { Err(Distrust::Ended) } else { Ok(claims) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::{AUDIENCE, ISSUER, Key, Role};
    use super::*;

    const NOW: i64 = 1_000_000_000;

    fn key() -> Key {
        Key::from_seed("k1".into(), &[7; 32])
    }

    fn token(sub: &str, jti: &str, epoch: i64) -> String {
        let (iat, exp) = (NOW / 1000, NOW / 1000 + 100);
        let (iss, aud) = (ISSUER.into(), AUDIENCE.into());
        let (sub, jti, role) = (sub.into(), jti.into(), Role::Customer);
        key().sign(&Claims { iss, aud, sub, iat, nbf: iat, exp, jti, role, epoch })
    }

    fn told(ended: &[(&str, i64, i64)], now: i64) -> Jwks {
        let ended =
            ended.iter().map(|(id, epoch, until)| Ended { id: (*id).into(), epoch: *epoch, until: *until });
        Jwks { keys: vec![key().public()], ended: ended.collect(), now }
    }

    #[test]
    fn what_has_ended_is_not_taken_and_others_are() {
        let mut trust = Trust::default();
        let (first, second) = (token("u1", "s1", 0), token("u1", "s2", 1));
        assert_eq!(trust.check(&first, NOW), Err(Distrust::Bad(Bad::UnknownKey)));
        assert!(!trust.is_told());
        trust.hear(told(&[("s1", 0, NOW + 100_000)], NOW));
        assert_eq!(trust.check(&first, NOW), Err(Distrust::Ended));
        assert!(trust.check(&second, NOW).is_ok() && trust.check(&token("u2", "s3", 0), NOW).is_ok());

        trust.hear(told(&[("u1", 2, NOW + 100_000)], NOW));
        for (epoch, is) in [(0, false), (1, false), (2, true), (3, true)] {
            assert_eq!(trust.check(&token("u1", "s4", epoch), NOW).is_ok(), is, "{epoch}");
        }
        assert!(trust.check(&token("u2", "s3", 0), NOW).is_ok(), "another user");
        assert_eq!(trust.since(), NOW - AGAIN_MS);
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let mut trust = Trust::default();
        trust.hear(told(&[("s1", 0, NOW + 1000), ("s2", 0, NOW + 2000), ("s3", 0, NOW)], NOW));
        assert_eq!(trust.ended.len(), 2);
        trust.hear(told(&[], NOW + 1000));
        assert_eq!(trust.ended.keys().collect::<Vec<_>>(), ["s2"]);
        trust.hear(told(&[("s2", 0, NOW + 2000)], NOW + 1500));
        assert_eq!(trust.ended.len(), 1, "told twice, known once");
        trust.hear(told(&[], NOW + 2000));
        assert!(trust.ended.is_empty());
    }
}
