//! The embedded config service: the values of the layers, in Spring Cloud Config's shape, so that the same client asks a real one.
//!
//! They are those of `policy.toml` in the data folder, with the protections that are switched off above them. What is wrong with
//! the file is told by ops, and changes nothing.

mod desk;
mod kept;
mod patch;
mod reference;
mod spring;
mod start;

pub use desk::{Desk, turn_all};
pub use kept::Switch;

use super::local;
use crate::host::Build;
use crate::parts::auth::operator;
use crate::parts::config::Config;
use crate::parts::health;
use crate::parts::problem::{self, Problem};
use axum::extract::{Path, State};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use spring::Environment;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use tower_http::catch_panic::CatchPanicLayer;

/// How often the file is looked at.
const EVERY: Duration = Duration::from_millis(500);

/// Makes the routes.
pub fn build(desk: Desk) -> Build {
    Box::new(move |config, _| Box::pin(async move { Ok(start(desk, &config)) }))
}

fn start(desk: Desk, config: &Config) -> Router {
    tokio::spawn(keep(desk.clone()));
    // Those who could not ask for a while need not wait for their turn.
    desk.refresh();
    let token: Arc<str> = config.ops_token.as_str().into();
    let refresh = post(refresh).route_layer(from_fn_with_state(token, operator));
    let routes = Router::new()
        .route("/refresh", refresh)
        .route("/{service}/{profile}", get(environment))
        .route("/{service}/{profile}/{label}", get(labelled))
        .with_state(desk);
    let routes = routes.layer(config.faults.layer(&config.here)).layer(from_fn(local::only));
    problem::fallbacks(routes.merge(health::routes(config, None)))
        .layer(CatchPanicLayer::custom(problem::of_panic))
}

/// Looks at the file, as long as the service runs.
async fn keep(desk: Desk) {
    let mut looks = interval(EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        desk.look();
    }
}

async fn environment(
    State(desk): State<Desk>,
    Path((service, profile)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let Environment { body, etag } = desk.environment(&service, &profile);
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut known = known.flat_map(|value| value.split(','));
    let head = [(ETAG, etag.as_str()), (CACHE_CONTROL, "no-cache")];
    if known.any(|tag| matches!(tag.trim(), "*") || tag.trim().trim_start_matches("W/") == etag) {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    (head, [(CONTENT_TYPE, "application/json")], body).into_response()
}

/// There is one version of it.
async fn labelled(
    desk: State<Desk>,
    Path((service, profile, _)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    environment(desk, Path((service, profile)), headers).await
}

/// Looks at the file now, and has the services of this process ask at once.
async fn refresh(State(desk): State<Desk>) -> Result<Json<Value>, Problem> {
    match desk.refresh() {
        None => Ok(Json(json!({ "status": "ok" }))),
        Some(refusal) => Err(Problem::invalid(refusal.to_string())),
    }
}
