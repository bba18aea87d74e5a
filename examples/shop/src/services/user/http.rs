//! The HTTP side.

use super::Service;
use super::accounts::Account;
use super::input;
use crate::contracts::object::Object;
use crate::contracts::user::{self, LogIn, NewPassword, Register, Session, User};
use crate::parts::auth::{Customer, Jwks, Matched, Role};
use crate::parts::body::Input;
use crate::parts::id::{self, Id};
use crate::parts::problem::Problem;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use http::StatusCode;
use serde::Deserialize;

pub(super) async fn register(
    State(service): State<Service>,
    Input(Object(user)): Input<Object<Register>>,
) -> Result<(StatusCode, Json<User>), Problem> {
    let user = input::check(user)?;
    let hash = service.passwords.hash(user.password).await?;
    let user = User { id: id::new(), name: user.name, email: user.email };
    if !service.accounts.create(&user, Role::Customer, &hash).await? {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "email-taken",
            "there is already a user with this email",
        ));
    }
    Ok((StatusCode::CREATED, Json(user)))
}

pub(super) async fn read(State(service): State<Service>, Id(id): Id) -> Result<Json<User>, Problem> {
    service.accounts.by_id(&id).await?.map(Json).ok_or_else(|| Problem::not_found("there is no such user"))
}

/// The same answer, after the same time, whether the email or the password is wrong.
pub(super) async fn log_in(
    State(service): State<Service>,
    Input(Object(who)): Input<Object<LogIn>>,
) -> Result<Json<Session>, Problem> {
    let email = user::account(&who.email);
    let account = match input::is_email(&email) && input::is_password(&who.password) {
        true => service.accounts.by_email(&email).await?,
        false => None,
    };
    let password = if account.is_some() { who.password } else { String::new() };
    let hash = account.as_ref().map(|account| account.hash.clone());
    let matched = service.passwords.matches(password.clone(), hash).await?;
    let Some(account) = account.filter(|_| matched != Matched::No) else {
        return Err(Problem::unauthorized("no user has this email and password"));
    };
    let session = service.sessions.begin(account.id.clone(), account.role, account.epoch)?;
    if matched == Matched::Outdated {
        tokio::spawn(rehash(service, account, password));
    }
    Ok(Json(session))
}

/// Hashes a password as passwords are hashed now. Where there is no time for it, the next log-in does.
async fn rehash(service: Service, account: Account, password: String) {
    let Ok(hash) = service.passwords.hash(password).await else { return };
    if let Err(error) = service.accounts.rehash(account, hash).await {
        tracing::warn!(%error, "a password is hashed as it was");
    }
}

pub(super) async fn change_password(
    State(service): State<Service>,
    customer: Customer,
    Input(Object(new)): Input<Object<NewPassword>>,
) -> Result<StatusCode, Problem> {
    let wrong = || Problem::new(StatusCode::FORBIDDEN, "wrong-password", "`old_password` is another one");
    input::check_password(&new.password)?;
    if !input::is_password(&new.old_password) {
        return Err(wrong());
    }
    service.sessions.has_room().await?;
    let account = service.accounts.account(&customer.id).await?;
    let account = account.ok_or_else(|| Problem::not_found("there is no such user"))?;
    if service.passwords.matches(new.old_password, Some(account.hash.clone())).await? == Matched::No {
        return Err(wrong());
    }
    let hash = service.passwords.hash(new.password).await?;
    match service.accounts.set_password(account, hash, service.sessions.lasts()).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(wrong()),
    }
}

pub(super) async fn log_out(
    State(service): State<Service>,
    customer: Customer,
) -> Result<StatusCode, Problem> {
    service.sessions.end(customer.session, customer.until).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn log_out_everywhere(
    State(service): State<Service>,
    customer: Customer,
) -> Result<StatusCode, Problem> {
    service.sessions.end_all(customer.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
pub(super) struct Since {
    #[serde(default)]
    since: i64,
}

pub(super) async fn keys(
    State(service): State<Service>,
    since: Result<Query<Since>, QueryRejection>,
) -> Result<Json<Jwks>, Problem> {
    let bad =
        |refused: QueryRejection| Problem::new(StatusCode::BAD_REQUEST, "bad-query", refused.body_text());
    let Query(Since { since }) = since.map_err(bad)?;
    Ok(Json(service.sessions.told(since).await?))
}

/// For the operator alone: what the keys have signed is refused everywhere within two seconds.
pub(super) async fn withdraw_keys(State(service): State<Service>) -> Result<StatusCode, Problem> {
    service.sessions.withdraw_keys().await?;
    Ok(StatusCode::NO_CONTENT)
}
