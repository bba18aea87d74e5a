//! Users, sessions, and the keys that sign them.

mod accounts;
mod http;
mod input;
mod keys;
mod ring;
mod sessions;

use crate::contracts::events::BINDINGS;
use crate::contracts::user::{Register, User};
use crate::parts::auth::{Gatekeeper, Passwords, Role, operator};
use crate::parts::bus::Bus;
use crate::parts::config::Config;
use crate::parts::failure::Failure;
use crate::parts::outbox::{self, Outbox};
use crate::parts::problem;
use crate::parts::store::Store;
use crate::parts::{health, id};
use crate::stacks;
use accounts::Accounts;
use axum::Router;
use axum::extract::FromRef;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post, put};
use sessions::Sessions;
use std::sync::Arc;

#[derive(Clone)]
struct Service {
    accounts: Accounts,
    passwords: Passwords,
    sessions: Sessions,
    gatekeeper: Gatekeeper,
}

impl FromRef<Service> for Gatekeeper {
    fn from_ref(service: &Service) -> Self {
        service.gatekeeper.clone()
    }
}

/// Opens the store, starts the relay on the current runtime, and returns the routes.
///
/// # Errors
///
/// When the store or the bus cannot be opened, or nobody can be made an admin who is to be one.
pub async fn start(config: &Config) -> Result<Router, Failure> {
    let outbox = outbox::table!("user_outbox");
    let tables = [accounts::TABLE, keys::TABLE, sessions::TABLE, sessions::INDEX, outbox];
    let store = Store::open(config, "user", &tables).await?;
    let outbox = Outbox::new(store.clone(), "user_outbox");
    let sessions = Sessions::open(&store, config).await?;
    let told = sessions.clone();
    let service = Service {
        accounts: Accounts::new(store.clone(), outbox.clone()),
        passwords: Passwords::new(config.cheap_passwords)?,
        sessions,
        gatekeeper: Gatekeeper::asking(move |since| {
            let told = told.clone();
            async move { told.told(since).await }
        }),
    };
    first_admin(&service, config).await?;
    let bus = Bus::open(config, BINDINGS).await?.behind(stacks::bus(config));
    tokio::spawn(outbox.relay(bus));
    let token: Arc<str> = config.ops_token.as_str().into();
    let routes = Router::new()
        .route("/keys", post(http::withdraw_keys))
        .route_layer(from_fn_with_state(token, operator))
        .route("/users", post(http::register))
        .route("/users/{id}", get(http::read))
        .route("/users/me/password", put(http::change_password))
        .route("/sessions", post(http::log_in).delete(http::log_out_everywhere))
        .route("/sessions/current", delete(http::log_out))
        .route("/.well-known/jwks.json", get(http::keys));
    let routes =
        stacks::USER.guard(routes.with_state(service), config).merge(health::routes(config, Some(store)));
    Ok(problem::fallbacks(routes))
}

/// Makes the admin that the configuration names, unless there is one of this email. An account of somebody else is left
/// alone: whoever registered it first has its password.
async fn first_admin(service: &Service, config: &Config) -> Result<(), Failure> {
    let Some(admin) = config.admin.clone() else { return Ok(()) };
    let failed = |why: String| Failure::new(format!("the admin of SHOP_ADMIN_EMAIL cannot be made: {why}."));
    let admin = Register { name: "Admin".into(), email: admin.email, password: admin.password };
    let admin = input::check(admin).map_err(|why| failed(why.to_string()))?;
    let there = service.accounts.by_email(&admin.email).await.map_err(|why| failed(why.to_string()))?;
    let role = match there {
        Some(account) => account.role,
        None => {
            let hash = service.passwords.hash(admin.password).await.map_err(|why| failed(why.to_string()))?;
            let user = User { id: id::new(), name: admin.name, email: admin.email };
            let created = service.accounts.create(&user, Role::Admin, &hash).await;
            // Another process may have made it just now.
            created.map(|_| Role::Admin).map_err(|why| failed(why.to_string()))?
        }
    };
    match role {
        Role::Admin => Ok(()),
        Role::Customer => Err(failed("a customer has this email".into())),
    }
}
