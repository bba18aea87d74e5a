//! `/healthz`: the process answers. `/readyz`: it can do its work. `/metrics`: what its layers have counted.

use super::bus::Bus;
use super::config::Config;
use super::heartbeat;
use super::metrics::scrape;
use super::problem::Problem;
use super::store::Store;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// All three paths. A service is ready when its store answers; one that has no store is ready when it runs. One that only
/// publishes needs no bus for that: what it has to say waits in its outbox.
///
/// The store's heartbeat is watched from here on.
pub fn routes(config: &Config, store: Option<Store>) -> Router {
    paths(config, store, None)
}

/// The same of a service that listens to the bus: it is ready when that answers as well.
pub fn of_consumer(config: &Config, store: Store, bus: Bus) -> Router {
    paths(config, Some(store), Some(bus))
}

/// Whether an instance is ready, for who asks in its process. By default nobody does, and nothing is kept.
#[derive(Clone, Default)]
pub struct Health(Option<Arc<OnceLock<Needs>>>);

impl Health {
    /// One that is told.
    pub fn told() -> Self {
        Self(Some(Arc::default()))
    }

    /// The same as `/readyz`.
    ///
    /// # Errors
    ///
    /// 503 when it is not ready, or not there yet.
    pub async fn ready(&self) -> Result<Json<Value>, Problem> {
        match self.0.as_ref().and_then(|told| told.get()) {
            Some(needs) => needs.ready().await,
            None => Err(Problem::unavailable("it is about to start")),
        }
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("told", &self.0.is_some()).finish()
    }
}

/// What must answer for an instance to be ready.
#[derive(Clone)]
struct Needs {
    store: Option<Store>,
    bus: Option<Bus>,
}

impl Needs {
    async fn ready(&self) -> Result<Json<Value>, Problem> {
        if let Some(store) = &self.store {
            store.ping().await?;
        }
        if let Some(bus) = &self.bus {
            bus.ping().await.map_err(|trouble| {
                tracing::warn!(%trouble, "the bus failed");
                Problem::unavailable("the bus did not answer")
            })?;
        }
        Ok(ok())
    }
}

fn paths(config: &Config, store: Option<Store>, bus: Option<Bus>) -> Router {
    if let Some(store) = &store {
        heartbeat::watch(store.clone(), &config.here);
    }
    let needs = Needs { store, bus };
    if let Some(told) = &config.health.0 {
        let _ = told.set(needs.clone());
    }
    Router::new()
        .route("/healthz", get(async || ok()))
        .route("/readyz", get(async move || needs.ready().await))
        .route("/metrics", get(scrape))
}

fn ok() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}
