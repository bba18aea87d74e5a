//! `/traces`: the last requests and what each led to, over all services, their outboxes and the bus.

mod kept;
mod saved;
mod tree;

pub use kept::Kept;
pub use saved::Saved;

use crate::parts::problem::Problem;
use crate::parts::traces::OTLP;
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

/// The routes that read them. None: this process has no spans of the services.
pub fn routes(kept: Option<Kept>) -> Router {
    Router::new().route("/traces", get(list)).route("/traces/{trace_id}", get(one)).with_state(kept)
}

async fn list(
    State(kept): State<Option<Kept>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let bad = |why: String| Problem::new(StatusCode::BAD_REQUEST, "bad-query", why);
    let Query(Wanted { limit, sort }) = wanted.map_err(|refused| bad(refused.body_text()))?;
    let limit = limit.unwrap_or(TOLD);
    if !(1..=MOST).contains(&limit) {
        return Err(bad(format!("`limit` must be 1 to {MOST}")));
    }
    let mut traces = kept.ok_or_else(nowhere)?.briefs();
    match sort {
        Sort::Newest => traces.sort_by_key(|trace| Reverse(trace.began)),
        Sort::Slowest => traces.sort_by_key(|trace| Reverse(trace.took)),
    }
    traces.truncate(limit);
    Ok(Json(json!({ "traces": traces.iter().map(tree::brief).collect::<Vec<_>>() })))
}

async fn one(State(kept): State<Option<Kept>>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let kept = kept.ok_or_else(nowhere)?;
    let known = TraceId::from_hex(&id).ok().filter(|_| id.len() == 32);
    let trace =
        known.and_then(|id| kept.trace(id)).ok_or_else(|| Problem::not_found("no such trace is kept"))?;
    Ok(Json(tree::whole(&id, &trace)))
}

/// Each process keeps its spans to itself, or sends them away.
fn nowhere() -> Problem {
    let detail = format!("the services are processes of their own, and send their traces to {OTLP} alone");
    Problem::new(StatusCode::NOT_FOUND, "no-traces", detail)
}

#[cfg(test)]
mod tests;
