//! The customer behind a request.

use super::super::clock::now_ms;
use super::super::peer::Peer;
use super::super::problem::Problem;
use super::token::{Bad, Claims, Jwks, Keys};
use axum::extract::{FromRef, FromRequestParts};
use http::header::AUTHORIZATION;
use http::request::Parts;
use std::sync::{Arc, Mutex, PoisonError};

/// How long a set of keys is trusted to be all of them, in milliseconds. Tokens of unknown keys cannot make this
/// service ask more often.
const ASK_EVERY_MS: i64 = 5_000;

/// Checks tokens with keys that it asks the user service for. Clones share the keys, and the last good ones stay.
#[derive(Clone)]
pub struct Gatekeeper {
    users: Peer,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    keys: Arc<Keys>,
    asked_ms: Option<i64>,
}

impl Gatekeeper {
    pub fn new(users: Peer) -> Self {
        Self { users, known: Arc::default() }
    }

    async fn check(&self, token: &str) -> Result<Claims, Problem> {
        let keys = self.keys();
        let mut checked = keys.check(token, now_ms() / 1000);
        if checked == Err(Bad::UnknownKey) && self.may_ask() {
            let jwks: Jwks = self.users.get("/.well-known/jwks.json").await?.json()?;
            let keys = Arc::new(Keys::new(jwks));
            checked = keys.check(token, now_ms() / 1000);
            *self.known.lock().unwrap_or_else(PoisonError::into_inner) =
                Known { keys, asked_ms: Some(now_ms()) };
        }
        checked.map_err(|bad| match bad {
            Bad::Expired => Problem::unauthorized("the token has expired: log in again"),
            Bad::Invalid | Bad::UnknownKey => Problem::unauthorized("the token is not one of this shop"),
        })
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.known.lock().unwrap_or_else(PoisonError::into_inner).keys)
    }

    /// Whether the last good answer is old enough to ask again. A failure does not count, and is asked again at once.
    fn may_ask(&self) -> bool {
        let asked = self.known.lock().unwrap_or_else(PoisonError::into_inner).asked_ms;
        asked.is_none_or(|asked| now_ms() - asked > ASK_EVERY_MS)
    }
}

/// The customer who sent the request, proved by its bearer token.
pub struct Customer {
    pub id: String,
    /// The token, for services further down, which check it again.
    pub token: String,
}

impl<S> FromRequestParts<S> for Customer
where
    S: Send + Sync,
    Gatekeeper: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(Problem::unauthorized("`Authorization: Bearer <token>` is asked for, once"));
        };
        let token = value.to_str().ok().and_then(|value| value.split_once(' '));
        let Some((_, token)) = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) else {
            return Err(Problem::unauthorized("`Authorization` must be `Bearer <token>`"));
        };
        let token = token.trim().to_owned();
        let claims = Gatekeeper::from_ref(state).check(&token).await?;
        Ok(Self { id: claims.sub, token })
    }
}
