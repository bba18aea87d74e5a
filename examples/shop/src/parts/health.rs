//! `/healthz`: the process answers. `/readyz`: it can do its work.

use super::problem::Problem;
use super::store::Store;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

/// Both paths. A service is ready when its store answers; one that has no store is ready when it runs.
pub fn routes(store: Option<Store>) -> Router {
    let ready = async move || match &store {
        Some(store) => store.ping().await.map(|()| ok()).map_err(Problem::from),
        None => Ok(ok()),
    };
    Router::new().route("/healthz", get(async || ok())).route("/readyz", get(ready))
}

fn ok() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}
