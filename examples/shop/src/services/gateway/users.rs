use super::Service;
use super::relay::relay;
use crate::contracts::order::{Order, Orders};
use crate::contracts::user::{LogIn, User, account};
use crate::parts::auth::Customer;
use crate::parts::body;
use crate::parts::problem::Problem;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::Serialize;

/// How many of the last orders go with a user.
const LAST: usize = 5;

pub(super) async fn register(State(service): State<Service>, request: Request) -> Result<Response, Problem> {
    relay(&service.register, request).await
}

/// What is no account is for the user service to say.
pub(super) async fn log_in(State(service): State<Service>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let body = body::read(body).await?;
    let account = serde_json::from_slice(&body).ok().map(|LogIn { email, .. }| account(&email));
    if let Some(account) = &account {
        service.guesses.begin(account).await?;
    }
    let answer = relay(&service.log_in, Request::from_parts(parts, body.into())).await?;
    if let Some(account) = account.filter(|_| answer.status() == StatusCode::UNAUTHORIZED) {
        service.guesses.failed(&account).await;
    }
    Ok(answer)
}

/// The token is checked first, so that strangers hash nothing. Whoever has one guesses no more often than who logs in.
pub(super) async fn change_password(
    State(service): State<Service>,
    customer: Customer,
    request: Request,
) -> Result<Response, Problem> {
    service.guesses.begin(&customer.id).await?;
    let answer = relay(&service.register, request).await?;
    match answer.status() {
        StatusCode::FORBIDDEN => service.guesses.failed(&customer.id).await,
        status if status.is_success() => hear(&service).await,
        _ => {}
    }
    Ok(answer)
}

/// Of this session, or of all of the user.
pub(super) async fn log_out(
    State(service): State<Service>,
    _: Customer,
    request: Request,
) -> Result<Response, Problem> {
    let answer = relay(&service.users, request).await?;
    if answer.status().is_success() {
        hear(&service).await;
    }
    Ok(answer)
}

/// Hears at once of the sessions that have ended; if not now, then within a second or two.
async fn hear(service: &Service) {
    if let Err(why) = service.gatekeeper.refresh().await {
        tracing::debug!(%why, "who has logged out is known a moment later");
    }
}

/// A user with the last orders; `null` when they cannot be had now.
#[derive(Serialize)]
pub(super) struct Me {
    #[serde(flatten)]
    user: User,
    orders: Option<Vec<Order>>,
}

/// Asks two services at once.
pub(super) async fn me(State(service): State<Service>, customer: Customer) -> Result<Json<Me>, Problem> {
    let path = format!("/users/{}", customer.id);
    let (user, orders) = tokio::join!(service.users.get(&path), last_orders(&service, &customer));
    let user = user?;
    if user.status == StatusCode::NOT_FOUND {
        return Err(Problem::not_found("there is no such user"));
    }
    Ok(Json(Me { user: user.json()?, orders }))
}

async fn last_orders(service: &Service, customer: &Customer) -> Option<Vec<Order>> {
    let token = HeaderValue::try_from(format!("Bearer {}", customer.token)).ok()?;
    let headers = HeaderMap::from_iter([(AUTHORIZATION, token)]);
    let answer = service.orders.send(Method::GET, "/orders", headers, Bytes::new()).await.ok()?;
    let Orders { mut orders } = answer.json().ok()?;
    orders.truncate(LAST);
    Some(orders)
}
