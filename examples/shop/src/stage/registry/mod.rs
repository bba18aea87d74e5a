//! The embedded registry: the part of Consul's HTTP API that the shop uses, so that the same client talks to a real agent.
//!
//! What it knows is in memory. A new one knows nobody, and is told again by the heartbeats of those who are there: their
//! first one is answered with 404, and they register anew.
//!
//! It differs from an agent where that has no use here. It is one node, has no ACLs, and checks nobody by itself: a
//! service that registers says how long it is well without a heartbeat. `wait` is cut to [`LONGEST`](query::LONGEST).
//! `DeregisterCriticalServiceAfter` holds to the second, where an agent makes it a minute at least. What it does not
//! know of a request, it refuses, and does not pass over.

mod book;
mod checks;
mod definition;
mod desk;
mod duration;
mod no;
mod query;
mod services;
mod shape;

use super::local;
use crate::host::Build;
use crate::parts::config::{Config, Name};
use crate::parts::health;
use crate::parts::problem;
use crate::parts::serve::Stop;
use axum::extract::State;
use axum::middleware::from_fn;
use axum::routing::{get, put};
use axum::{Json, Router};
use desk::Desk;
use http::{Method, StatusCode};
use no::No;
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;

/// Makes the routes.
pub fn build() -> Build {
    Box::new(move |config, stop| Box::pin(async move { Ok(start(&config, stop)) }))
}

/// The port of the registry, for what it says of itself.
#[derive(Clone, Copy)]
struct Own(u16);

fn start(config: &Config, stop: watch::Receiver<Stop>) -> Router {
    let desk = Desk::new(stop);
    tokio::spawn(desk.clone().keep());
    let own = Own(Name::Registry.instances().map(|it| config.port(it)).next().unwrap_or_default());
    let agent = Router::new()
        .route("/v1/status/leader", get(leader))
        .route("/v1/agent/self", get(itself))
        .with_state(own);
    let routes = Router::new()
        .route("/v1/agent/service/register", put(services::register))
        .route("/v1/agent/service/deregister/{*id}", put(services::deregister))
        .route("/v1/agent/services", get(services::here))
        .route("/v1/catalog/services", get(services::names))
        .route("/v1/health/service/", get(async || No::bad("Missing service name")))
        .route("/v1/health/service/{*name}", get(services::healthy))
        .route("/v1/agent/check/pass/{*check}", put(checks::pass))
        .route("/v1/agent/check/warn/{*check}", put(checks::warn))
        .route("/v1/agent/check/fail/{*check}", put(checks::fail))
        .route("/v1/agent/check/update/{*check}", put(checks::update))
        .with_state(desk)
        .merge(agent)
        .fallback(async || {
            No::new(StatusCode::NOT_FOUND, "Invalid URL path: not a recognized HTTP API endpoint")
        })
        .method_not_allowed_fallback(async |method: Method| {
            No::new(StatusCode::METHOD_NOT_ALLOWED, format!("method {method} not allowed"))
        });
    let routes = routes.layer(config.faults.layer(&config.here)).layer(from_fn(local::only));
    routes.merge(health::routes(config, None)).layer(CatchPanicLayer::custom(problem::of_panic))
}

/// It leads itself.
async fn leader(State(Own(port)): State<Own>) -> Json<String> {
    Json(format!("{}:{port}", Ipv4Addr::LOCALHOST))
}

async fn itself(State(Own(port)): State<Own>) -> Json<Value> {
    let version = env!("CARGO_PKG_VERSION");
    Json(json!({
        "Config": { "Datacenter": shape::DATACENTER, "NodeName": shape::NODE, "Server": true, "Version": version },
        "Member": { "Name": shape::NODE, "Addr": Ipv4Addr::LOCALHOST, "Port": port, "Tags": { "build": version } },
    }))
}
