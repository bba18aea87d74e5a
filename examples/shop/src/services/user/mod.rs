//! Users, sessions, and the key that signs them.

mod accounts;
mod input;
mod sessions;

use crate::contracts::events::BINDINGS;
use crate::contracts::object::Object;
use crate::contracts::user::{self, LogIn, Register, Session, User};
use crate::parts::auth::{Jwks, Passwords};
use crate::parts::body::Input;
use crate::parts::bus::Bus;
use crate::parts::config::Config;
use crate::parts::failure::Failure;
use crate::parts::id::Id;
use crate::parts::outbox::{self, Outbox};
use crate::parts::problem::{self, Problem};
use crate::parts::store::Store;
use crate::parts::{health, id};
use crate::stacks;
use accounts::{Account, Accounts};
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use sessions::Sessions;

#[derive(Clone)]
struct Service {
    accounts: Accounts,
    passwords: Passwords,
    sessions: Sessions,
}

/// Opens the store, starts the relay on the current runtime, and returns the routes.
///
/// # Errors
///
/// When the store or the bus cannot be opened.
pub async fn start(config: &Config) -> Result<Router, Failure> {
    let store =
        Store::open(&config.data_dir, "user", &[accounts::TABLE, sessions::TABLE, outbox::TABLE]).await?;
    let outbox = Outbox::new(store.clone());
    let service = Service {
        accounts: Accounts::new(store.clone(), outbox.clone()),
        passwords: Passwords::new(config.cheap_passwords)?,
        sessions: Sessions::open(&store, config.session).await?,
    };
    let bus = Bus::open(&config.data_dir, BINDINGS).await?.behind(stacks::bus(config));
    tokio::spawn(outbox.relay(bus));
    let routes = Router::new()
        .route("/users", post(register))
        .route("/users/{id}", get(read))
        .route("/sessions", post(log_in))
        .route("/.well-known/jwks.json", get(keys));
    let routes = stacks::USER.guard(routes.with_state(service), config).merge(health::routes(Some(store)));
    Ok(problem::fallbacks(routes))
}

async fn register(
    State(service): State<Service>,
    Input(Object(user)): Input<Object<Register>>,
) -> Result<(StatusCode, Json<User>), Problem> {
    let user = input::check(user)?;
    let hash = service.passwords.hash(user.password).await;
    let hash = hash.ok_or_else(|| Problem::unavailable("the password could not be hashed"))?;
    let user = User { id: id::new(), name: user.name, email: user.email };
    if !service.accounts.create(&user, &hash).await? {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "email-taken",
            "there is already a user with this email",
        ));
    }
    Ok((StatusCode::CREATED, Json(user)))
}

async fn read(State(service): State<Service>, Id(id): Id) -> Result<Json<User>, Problem> {
    service.accounts.by_id(&id).await?.map(Json).ok_or_else(|| Problem::not_found("there is no such user"))
}

/// The same answer, after the same time, whether the email or the password is wrong.
async fn log_in(
    State(service): State<Service>,
    Input(Object(who)): Input<Object<LogIn>>,
) -> Result<Json<Session>, Problem> {
    let account = service.accounts.by_email(&user::account(&who.email)).await?;
    let (id, hash) = account.map(|Account { id, hash }| (id, hash)).unzip();
    match id.filter(|_| who.password.len() <= input::LONGEST_PASSWORD) {
        Some(id) if service.passwords.matches(who.password, hash).await => {
            Ok(Json(service.sessions.begin(id)))
        }
        Some(_) => Err(wrong()),
        None => {
            service.passwords.matches(String::new(), None).await;
            Err(wrong())
        }
    }
}

fn wrong() -> Problem {
    Problem::unauthorized("no user has this email and password")
}

async fn keys(State(service): State<Service>) -> Json<Jwks> {
    Json(service.sessions.keys())
}
