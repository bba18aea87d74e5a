//! The customer behind a request.

use super::super::clock::now_ms;
use super::super::peer::Peer;
use super::super::problem::Problem;
use super::token::{Bad, Claims, Jwks, Keys};
use axum::extract::{FromRef, FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
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

#[derive(Clone, Default)]
struct Known {
    keys: Arc<Keys>,
    asked_ms: Option<i64>,
}

impl Gatekeeper {
    pub fn new(users: Peer) -> Self {
        Self { users, known: Arc::default() }
    }

    async fn identify(&self, headers: &HeaderMap) -> Result<Customer, Problem> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(Problem::unauthorized("`Authorization: Bearer <token>` is asked for, once"));
        };
        let token = value.to_str().ok().and_then(|value| value.split_once(' '));
        let Some((_, token)) = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) else {
            return Err(Problem::unauthorized("`Authorization` must be `Bearer <token>`"));
        };
        let token = token.trim().to_owned();
        let claims = self.check(&token).await?;
        Ok(Customer { id: claims.sub, token })
    }

    async fn check(&self, token: &str) -> Result<Claims, Problem> {
        // Taken together: else keys that somebody else asked for meanwhile would be taken for those that were looked at.
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut checked = known.keys.check(token, now_ms() / 1000);
        if checked == Err(Bad::UnknownKey) && known.may_ask() {
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
}

impl Known {
    /// Whether the last good answer is old enough to ask again. A failure does not count, and is asked again at once.
    fn may_ask(&self) -> bool {
        self.asked_ms.is_none_or(|asked| now_ms() - asked > ASK_EVERY_MS)
    }
}

/// The customer who sent the request, proved by its bearer token.
#[derive(Clone, Debug)]
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
        match parts.extensions.remove() {
            Some(Identified(customer)) => customer,
            None => Gatekeeper::from_ref(state).identify(&parts.headers).await,
        }
    }
}

/// Who sent the request, found out before the handler asks.
#[derive(Clone)]
struct Identified(Result<Customer, Problem>);

impl Customer {
    /// Who sent the request, where [`identify`] has found it out.
    pub fn of<'a>(head: &bartizan::http::Head<'a>) -> Option<&'a Self> {
        let Identified(customer) = head.extensions.get()?;
        customer.as_ref().ok()
    }
}

/// Finds out who sends a request that has a token, for the layers after this one and for the handler. Whoever cannot be told is
/// the handler's business: it may not care.
pub async fn identify(State(gatekeeper): State<Gatekeeper>, mut request: Request, next: Next) -> Response {
    if request.headers().contains_key(AUTHORIZATION) {
        let customer = gatekeeper.identify(request.headers()).await;
        request.extensions_mut().insert(Identified(customer));
    }
    next.run(request).await
}
