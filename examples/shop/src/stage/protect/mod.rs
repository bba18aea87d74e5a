//! `/protections`: the layers of each call, switched off and on. Reading is free; switching asks for the token.

mod command;
mod known;

pub use command::{ProtectArgs, run};

use super::config::{Desk, Switch};
use crate::contracts::object::Object;
use crate::parts::body::Input;
use crate::parts::config::CONFIG;
use crate::parts::problem::Problem;
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde::{Deserialize, Serialize};

/// `GET /protections` → 200
#[derive(Debug, Deserialize, Serialize)]
pub struct Protections {
    pub protections: Vec<Protection>,
}

/// A layer of a call.
#[derive(Debug, Deserialize, Serialize)]
pub struct Protection {
    #[serde(flatten)]
    pub switch: Switch,
    pub on: bool,
}

/// `POST /protections`
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// One of the calls, or `all`.
    pub call: String,
    /// One of the layers of the call, or `all`.
    pub layer: String,
    pub on: bool,
}

/// The routes that read, and those that switch.
pub fn routes(desk: Option<Desk>) -> (Router, Router) {
    let reads = Router::new().route("/protections", get(list)).with_state(desk.clone());
    let writes = Router::new().route("/protections", post(switch).delete(clear)).with_state(desk);
    (reads, writes)
}

async fn list(State(desk): State<Option<Desk>>) -> Json<Protections> {
    let off = desk.map(|desk| desk.off()).unwrap_or_default();
    let protection = |switch: Switch| Protection { on: !off.contains(&switch), switch };
    Json(Protections { protections: known::all().into_iter().map(protection).collect() })
}

async fn switch(
    desk: State<Option<Desk>>,
    Input(Object(wish)): Input<Object<Wish>>,
) -> Result<Json<Protections>, Problem> {
    ours(&desk)?.turn(&known::meant(&wish.call, &wish.layer)?, wish.on)?;
    Ok(list(desk).await)
}

async fn clear(State(desk): State<Option<Desk>>) -> Result<StatusCode, Problem> {
    ours(&desk)?.turn(&known::all(), true)?;
    Ok(StatusCode::NO_CONTENT)
}

fn ours(desk: &Option<Desk>) -> Result<&Desk, Problem> {
    let detail = format!("the config service is the one of {CONFIG}, and layers are switched there");
    desk.as_ref().ok_or_else(|| Problem::new(StatusCode::CONFLICT, "elsewhere", detail))
}
