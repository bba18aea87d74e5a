//! How they are, by what they say: the heartbeats.

use super::book::Status;
use super::desk::Desk;
use super::no::No;
use super::query::Note;
use super::services::read;
use crate::contracts::object::Object;
use axum::body::Body;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::Deserialize;

type Check = Path<String>;

pub(super) async fn pass(desk: State<Desk>, check: Check, Note(note): Note) -> Result<(), No> {
    says(&desk, &check, Status::Passing, &note)
}

pub(super) async fn warn(desk: State<Desk>, check: Check, Note(note): Note) -> Result<(), No> {
    says(&desk, &check, Status::Warning, &note)
}

pub(super) async fn fail(desk: State<Desk>, check: Check, Note(note): Note) -> Result<(), No> {
    says(&desk, &check, Status::Critical, &note)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Update {
    status: Option<String>,
    output: Option<String>,
}

pub(super) async fn update(desk: State<Desk>, check: Check, body: Body) -> Result<(), No> {
    let update = serde_json::from_slice::<Object<Update>>(&read(body).await?);
    let Object(update) = update.map_err(|why| No::bad(format!("Request decode failed: {why}")))?;
    let status = update.status.unwrap_or_default();
    let status =
        Status::parse(&status).ok_or_else(|| No::bad(format!("Invalid check status: '{status}'")))?;
    says(&desk, &check, status, &update.output.unwrap_or_default())
}

/// The check of a service is called `service:<id>`.
fn says(desk: &Desk, check: &str, status: Status, output: &str) -> Result<(), No> {
    let known = check
        .strip_prefix("service:")
        .is_some_and(|id| desk.change(|book, now| book.says(id, status, output, now)));
    if known {
        return Ok(());
    }
    let why = format!("Unknown check ID {check:?}. Ensure that the check ID is passed, not the check name.");
    Err(No::new(StatusCode::NOT_FOUND, why))
}
