//! `/faults`: what is done to the shop on purpose. Reading is free; setting and clearing asks for the token.

mod choices;
mod engine;
mod kind;
mod lock;
mod records;
mod wish;

pub use engine::{Put, put_in};
pub use kind::Kind;
pub use wish::{Fault, List, Wish};

use crate::contracts::object::Object;
use crate::parts::body::Input;
use crate::parts::config::{Config, Instance};
use crate::parts::failure::Failure;
use crate::parts::faults::Faults;
use crate::parts::id::Id;
use crate::parts::problem::Problem;
use crate::parts::store::Store;
use crate::stage::load::Surges;
use crate::stage::reach::Reach;
use crate::stage::supervisor::Supervision;
use axum::extract::State;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use engine::Engine;
use http::StatusCode;
use serde_json::{Value, json};

pub use records::TABLE;

/// The shop to which it is done.
#[derive(Debug)]
pub struct Shop {
    pub config: Config,
    pub supervision: Supervision,
    /// Whom it has.
    pub here: Vec<Instance>,
    /// How these are told of what is done to calls, where they are processes of their own.
    pub reach: Option<Reach>,
}

/// The routes that read, and those that write.
///
/// # Errors
///
/// When the faults that last cannot be read.
pub async fn start(
    store: Store,
    places: Faults,
    surges: Surges,
    shop: Shop,
) -> Result<(Router, Router), Failure> {
    let engine = Engine::start(records::Records::new(store), places, surges, shop).await?;
    let reads = Router::new().route("/faults", get(list)).with_state(engine.clone());
    let reads = reads.route("/faults/choices", get(choices::choices));
    let writes = Router::new()
        .route("/faults", post(set).delete(clear_all))
        .route("/faults/{id}", delete(clear))
        .with_state(engine);
    Ok((reads, writes))
}

/// The faults that last, as they are written down.
///
/// # Errors
///
/// When they cannot be read.
pub async fn lasting(store: &Store) -> sqlx::Result<Vec<Fault>> {
    records::Records::new(store.clone()).lasting().await
}

async fn set(
    State(engine): State<Engine>,
    Input(Object(wish)): Input<Object<Wish>>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let (fault, target) = wish.grant()?;
    let answer = json!({ "id": fault.id, "expires_at": fault.expires_at });
    engine.set(fault, target).await?;
    Ok((StatusCode::CREATED, Json(answer)))
}

async fn list(State(engine): State<Engine>) -> Result<Json<List>, Problem> {
    Ok(Json(List { faults: engine.list().await? }))
}

async fn clear(State(engine): State<Engine>, Id(id): Id) -> Result<StatusCode, Problem> {
    match engine.clear(id).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found("there is no such fault; it may have expired")),
    }
}

async fn clear_all(State(engine): State<Engine>) -> Result<StatusCode, Problem> {
    engine.clear_all().await?;
    Ok(StatusCode::NO_CONTENT)
}
