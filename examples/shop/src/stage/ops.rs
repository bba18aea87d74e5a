//! The ops endpoint: the health of the services and the state of their layers, behind the token that was printed at
//! the start.

use crate::parts::config::{Config, Name};
use crate::parts::failure::Failure;
use crate::parts::health;
use crate::parts::problem::{self, Problem};
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use bartizan::core::registry;
use http::StatusCode;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// How long a service has to say that it is well.
const PATIENCE: Duration = Duration::from_millis(500);

#[derive(Clone)]
struct Ops {
    http: reqwest::Client,
    watched: Arc<[(Name, SocketAddr)]>,
}

/// Returns the routes.
///
/// # Errors
///
/// When no client can be made.
pub fn start(config: &Config, watched: Vec<(Name, SocketAddr)>) -> Result<Router, Failure> {
    let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build();
    let http = http.map_err(|why| Failure::new(format!("no HTTP client can be made: {why}.")))?;
    let watched = watched.into_iter().filter(|(name, _)| *name != Name::Ops).collect();
    let token: Arc<str> = config.ops_token.as_str().into();
    let routes = Router::new()
        .route("/health", get(services))
        .route("/layers", get(layers))
        .route_layer(from_fn_with_state(token, bearer))
        .with_state(Ops { http, watched });
    Ok(problem::fallbacks(routes.merge(health::routes(None))))
}

/// Asks every service at once; 503 when one of them is not well.
async fn services(State(ops): State<Ops>) -> (StatusCode, Json<Value>) {
    let mut asked = JoinSet::new();
    for &(name, address) in ops.watched.iter() {
        let http = ops.http.clone();
        asked.spawn(async move {
            let answer = http.get(format!("http://{address}/readyz")).send().await;
            let well = answer.is_ok_and(|answer| answer.status().is_success());
            (well, json!({ "name": name.as_str(), "address": address, "ready": well }))
        });
    }
    let mut services = asked.join_all().await;
    services.sort_by_key(|(_, service)| service["name"].as_str().map(str::to_owned));
    let well = services.iter().all(|(well, _)| *well);
    let status = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let services: Vec<_> = services.into_iter().map(|(_, service)| service).collect();
    (status, Json(json!({ "ready": well, "services": services })))
}

/// Every named layer in this process, with its state and its numbers.
async fn layers() -> Json<Value> {
    let layers = registry::handles().into_iter().map(|layer| {
        let mut numbers = serde_json::Map::new();
        layer.numbers(&mut |name, number| drop(numbers.insert(name.to_owned(), number.into())));
        json!({ "layer": layer.layer(), "name": layer.name(), "state": layer.state(), "numbers": numbers })
    });
    Json(layers.collect())
}

async fn bearer(State(token): State<Arc<str>>, request: Request, next: Next) -> Result<Response, Problem> {
    let given =
        request.headers().get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    if !given.is_some_and(|given| same(given, token.as_bytes())) {
        return Err(Problem::unauthorized(
            "`Authorization: Bearer <token>` is asked for, with the token of the start",
        ));
    }
    Ok(next.run(request).await)
}

/// Compares in a time that does not tell how much is right.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}
