//! The customer behind a request.

use super::super::clock::now_ms;
use super::super::peer::Peer;
use super::super::problem::Problem;
use super::token::{Bad, Claims, Role};
use super::trust::{Distrust, Jwks, Trust};
use axum::extract::{FromRef, FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bartizan::Limit;
use bartizan::limit::KeyedHandle;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use std::pin::Pin;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::sleep;

/// How often the user service is asked for its keys and for what has ended, from the first token on.
const EVERY: Duration = Duration::from_secs(1);

/// How often tokens of unknown keys can make this service ask in between.
const STRANGERS: Limit = Limit::per_second(1).burst(4);

/// Checks tokens with what it asks the user service for. Clones share it, and the last that was told stays while nobody
/// tells more.
#[derive(Clone)]
pub struct Gatekeeper(Arc<Gate>);

struct Gate {
    ask: Ask,
    /// Who asks; the others wait for the answer.
    turn: Semaphore,
    trust: Mutex<Trust>,
    strangers: KeyedHandle<str>,
    follows: Once,
}

type Ask = Box<dyn Fn(i64) -> Asked + Send + Sync>;
type Asked = Pin<Box<dyn Future<Output = Result<Jwks, Problem>> + Send>>;

impl Gatekeeper {
    /// One who asks the user service.
    pub fn new(users: Peer) -> Self {
        Self::asking(move |since| {
            let users = users.clone();
            async move { users.get(&format!("/.well-known/jwks.json?since={since}")).await?.json() }
        })
    }

    /// One who asks `ask` for what has ended since a moment.
    pub fn asking<F, Fut>(ask: F) -> Self
    where
        F: Fn(i64) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Jwks, Problem>> + Send + 'static,
    {
        let (turn, strangers) = (Semaphore::new(1), KeyedHandle::new(STRANGERS));
        let ask: Ask = Box::new(move |since| Box::pin(ask(since)));
        Self(Arc::new(Gate { ask, turn, trust: Mutex::default(), strangers, follows: Once::new() }))
    }

    /// Asks at once, instead of within a second.
    ///
    /// # Errors
    ///
    /// When there is no answer; what was known stays known.
    pub async fn refresh(&self) -> Result<(), Problem> {
        let _turn = self.0.turn.acquire().await;
        self.0.refresh().await
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
        let token = token.trim_matches(' ').to_owned();
        let Claims { sub, jti, exp, role, .. } = self.check(&token).await?;
        Ok(Customer { id: sub, role, session: jti, until: exp, token })
    }

    async fn check(&self, token: &str) -> Result<Claims, Problem> {
        self.follow();
        let mut checked = self.0.trust().check(token, now_ms());
        if checked == Err(Distrust::Bad(Bad::UnknownKey)) {
            let _turn = self.0.turn.acquire().await;
            checked = self.0.trust().check(token, now_ms());
            if checked == Err(Distrust::Bad(Bad::UnknownKey)) && self.0.strangers.check("", 1).is_ok() {
                self.0.refresh().await?;
                checked = self.0.trust().check(token, now_ms());
            }
        }
        checked.map_err(|distrust| match distrust {
            Distrust::Bad(Bad::UnknownKey) if !self.0.trust().is_told() => {
                Problem::unavailable("the keys of the tokens cannot be had")
            }
            Distrust::Bad(Bad::Expired) => Problem::unauthorized("the token has expired: log in again"),
            Distrust::Ended => Problem::unauthorized("the session has ended: log in again"),
            Distrust::Bad(_) => Problem::unauthorized("the token is not one of this shop"),
        })
    }

    /// Asks again and again, until all are gone who check tokens.
    fn follow(&self) {
        self.0.follows.call_once(|| {
            let gate = Arc::downgrade(&self.0);
            tokio::spawn(async move {
                loop {
                    sleep(EVERY).await;
                    let Some(gate) = gate.upgrade() else { return };
                    if let Err(why) = Self(gate).refresh().await {
                        tracing::debug!(?why, "the keys of the tokens are those of a moment ago");
                    }
                }
            });
        });
    }
}

impl Gate {
    fn trust(&self) -> Trust {
        self.trust.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn refresh(&self) -> Result<(), Problem> {
        let told = (self.ask)(self.trust().since()).await?;
        self.trust.lock().unwrap_or_else(PoisonError::into_inner).hear(told);
        Ok(())
    }
}

/// The customer who sent the request, proved by its bearer token.
#[derive(Clone, Debug)]
pub struct Customer {
    pub id: String,
    pub role: Role,
    /// The session's id.
    pub session: String,
    /// When the session is over, in seconds since 1970.
    pub until: i64,
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

/// A customer who may do everything that an [`Role::Admin`] may. Others get 403.
pub struct Admin;

impl<S> FromRequestParts<S> for Admin
where
    S: Send + Sync,
    Gatekeeper: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        if Customer::from_request_parts(parts, state).await?.is_admin() {
            return Ok(Self);
        }
        Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", "only an admin may do this"))
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

    pub fn is_admin(&self) -> bool {
        self.role == Role::Admin
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

#[cfg(test)]
mod tests;
