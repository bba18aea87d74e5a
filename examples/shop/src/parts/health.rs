//! `/healthz`: the process answers. `/readyz`: it can do its work. `/metrics`: what its layers have counted.

use super::bus::Bus;
use super::metrics::scrape;
use super::problem::Problem;
use super::store::Store;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

/// All three paths. A service is ready when its store answers; one that has no store is ready when it runs. One that only
/// publishes needs no bus for that: what it has to say waits in its outbox.
pub fn routes(store: Option<Store>) -> Router {
    paths(store, None)
}

/// The same of a service that listens to the bus: it is ready when that answers as well.
pub fn of_consumer(store: Store, bus: Bus) -> Router {
    paths(Some(store), Some(bus))
}

fn paths(store: Option<Store>, bus: Option<Bus>) -> Router {
    let ready = async move || {
        if let Some(store) = &store {
            store.ping().await?;
        }
        if let Some(bus) = &bus {
            bus.ping().await.map_err(|trouble| {
                tracing::warn!(%trouble, "the bus failed");
                Problem::unavailable("the bus did not answer")
            })?;
        }
        Ok::<_, Problem>(ok())
    };
    Router::new()
        .route("/healthz", get(async || ok()))
        .route("/readyz", get(ready))
        .route("/metrics", get(scrape))
}

fn ok() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}
