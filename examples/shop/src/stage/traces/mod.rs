//! `/traces`: the last requests and what each led to, over all services, their outboxes and the bus.

mod kept;
mod saved;
mod tree;

pub use kept::Kept;
pub use saved::Saved;

use crate::parts::problem::Problem;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use opentelemetry::trace::TraceId;
use serde::Deserialize;
use serde_json::{Value, json};
use std::cmp::Reverse;

/// How many are told when it is not said, and at most.
const TOLD: usize = 50;
const MOST: usize = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    limit: Option<usize>,
    #[serde(default)]
    sort: Sort,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Sort {
    #[default]
    Newest,
    Slowest,
}

/// The routes that read them.
pub fn routes(kept: Kept) -> Router {
    Router::new().route("/traces", get(list)).route("/traces/{trace_id}", get(one)).with_state(kept)
}

async fn list(
    State(kept): State<Kept>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let bad = |why: String| Problem::new(StatusCode::BAD_REQUEST, "bad-query", why);
    let Query(Wanted { limit, sort }) = wanted.map_err(|refused| bad(refused.body_text()))?;
    let limit = limit.unwrap_or(TOLD);
    if !(1..=MOST).contains(&limit) {
        return Err(bad(format!("`limit` must be 1 to {MOST}")));
    }
    let mut traces = kept.briefs();
    match sort {
        Sort::Newest => traces.sort_by_key(|trace| Reverse(trace.began)),
        Sort::Slowest => traces.sort_by_key(|trace| Reverse(trace.took)),
    }
    traces.truncate(limit);
    Ok(Json(json!({ "traces": traces.iter().map(tree::brief).collect::<Vec<_>>() })))
}

async fn one(State(kept): State<Kept>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let known = TraceId::from_hex(&id).ok().filter(|_| id.len() == 32);
    let trace =
        known.and_then(|id| kept.trace(id)).ok_or_else(|| Problem::not_found("no such trace is kept"))?;
    Ok(Json(tree::whole(&id, &trace)))
}

#[cfg(test)]
mod tests;
