//! `/incidents`: what went wrong, since when, who saw it, and when it was over. Every fault is one, and so is what goes wrong by
//! itself.

mod cause;
mod open;
mod records;
mod signs;
mod watch;

pub use records::TABLE;
pub use watch::watch;

use crate::parts::problem::Problem;
use crate::parts::store::Store;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use records::Records;
use serde::Deserialize;
use serde_json::{Value, json};

/// How many are told when it is not said, and at most.
const TOLD: i64 = 50;
const MOST: i64 = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    limit: Option<i64>,
}

/// The route that reads them.
pub fn routes(store: Store) -> Router {
    Router::new().route("/incidents", get(list)).with_state(Records::new(store))
}

/// What goes wrong by itself, and is not over: its id, its type and its cause.
///
/// # Errors
///
/// When they cannot be read.
pub async fn open(store: &Store) -> sqlx::Result<Vec<(String, String, String)>> {
    let open = Records::new(store.clone()).open().await?.into_iter();
    let own = open.filter(|incident| incident.fault.is_none());
    Ok(own.map(|incident| (incident.id, incident.kind, incident.cause)).collect())
}

/// The newest first.
async fn list(
    State(records): State<Records>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let bad = || Problem::invalid(format!("`limit` must be 1 to {MOST}, and nothing else can be asked"));
    let Query(Wanted { limit }) = wanted.map_err(|_| bad())?;
    let limit = limit.unwrap_or(TOLD);
    if !(1..=MOST).contains(&limit) {
        return Err(bad());
    }
    Ok(Json(json!({ "incidents": records.newest(limit).await? })))
}
