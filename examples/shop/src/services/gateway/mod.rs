//! The front of the shop: one REST API before the services.

mod edge;
mod orders;
mod payments;
mod products;
mod relay;
mod users;

use crate::parts::auth::{Gatekeeper, Guesses};
use crate::parts::buckets::Buckets;
use crate::parts::config::Config;
use crate::parts::failure::Failure;
use crate::parts::peer::Peer;
use crate::parts::{health, problem};
use crate::stacks::{self, Payments};
use axum::Router;
use axum::extract::FromRef;
use axum::middleware::from_fn;
use axum::routing::{delete, get, post, put};
use http::header::CONTENT_TYPE;

const OPENAPI: &str = include_str!("openapi.json");

#[derive(Clone)]
struct Service {
    /// For what hashes a password more than once, or first.
    register: Peer,
    log_in: Peer,
    guesses: Guesses,
    /// For what reads users and the keys of their tokens, and ends sessions.
    users: Peer,
    products: Peer,
    /// For what changes an order.
    ordering: Peer,
    /// For what reads orders.
    orders: Peer,
    payments: Payments,
    gatekeeper: Gatekeeper,
}

impl FromRef<Service> for Gatekeeper {
    fn from_ref(service: &Service) -> Self {
        service.gatekeeper.clone()
    }
}

/// Returns the routes. The services behind them need not be there yet.
///
/// # Errors
///
/// When the address of one is no URL, nor that of Redis.
pub fn start(config: &Config) -> Result<Router, Failure> {
    let buckets = Buckets::open(config)?;
    let users = stacks::GATEWAY_TO_USER_GET.http(config)?;
    let gatekeeper = Gatekeeper::new(users.clone());
    let service = Service {
        gatekeeper: gatekeeper.clone(),
        register: stacks::GATEWAY_TO_USER_REGISTER.http(config)?,
        log_in: stacks::GATEWAY_TO_USER_LOGIN.http(config)?,
        guesses: stacks::guesses(&buckets),
        users,
        products: stacks::GATEWAY_TO_PRODUCT.http(config)?,
        ordering: stacks::GATEWAY_TO_ORDER_POST.http(config)?,
        orders: stacks::GATEWAY_TO_ORDER_GET.http(config)?,
        payments: stacks::GATEWAY_TO_PAYMENT.grpc(config)?,
    };
    let routes = Router::new()
        .route("/api/v1/users", post(users::register))
        .route("/api/v1/users/me", get(users::me))
        .route("/api/v1/users/me/password", put(users::change_password))
        .route("/api/v1/sessions", post(users::log_in).delete(users::log_out))
        .route("/api/v1/sessions/current", delete(users::log_out))
        .route("/api/v1/products", get(products::list))
        .route("/api/v1/products/{id}", get(products::read))
        .route("/api/v1/products/{id}/stock", post(products::restock))
        .route("/api/v1/orders", post(orders::place).get(orders::list))
        .route("/api/v1/orders/{id}", get(orders::read))
        .route("/api/v1/orders/{id}/cancel", post(orders::cancel))
        .route("/api/v1/payments/{id}", get(payments::read));
    let openapi = get(async || ([(CONTENT_TYPE, "application/json")], OPENAPI));
    let routes = stacks::GATEWAY
        .guard_front(routes.layer(from_fn(edge::check)).with_state(service), gatekeeper, &buckets, config)
        .route("/openapi.json", openapi);
    Ok(problem::fallbacks(routes.merge(health::routes(config, None))))
}

#[cfg(test)]
mod tests;
