//! Who is there: registered, deregistered, asked for.

use super::book::{Book, Entry, MOST, Status};
use super::definition::Definition;
use super::desk::Desk;
use super::no::No;
use super::query::Ask;
use super::shape;
use crate::parts::body;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderName, StatusCode};
use serde_json::Value;

pub(super) async fn register(State(desk): State<Desk>, body: Body) -> Result<(), No> {
    let definition = Definition::read(&read(body).await?)?;
    desk.change(|book, now| book.register(definition, now)).map_err(|_| {
        let why = format!("There are {MOST} services, and no more can be registered");
        No::new(StatusCode::INSUFFICIENT_STORAGE, why)
    })
}

pub(super) async fn deregister(State(desk): State<Desk>, Path(id): Path<String>) -> Result<(), No> {
    if desk.change(|book, _| book.deregister(&id)) {
        return Ok(());
    }
    let why =
        format!("Unknown service ID {id:?}. Ensure that the service ID is passed, not the service name.");
    Err(No::new(StatusCode::NOT_FOUND, why))
}

/// The services of this node, which is all.
pub(super) async fn here(State(desk): State<Desk>, ask: Ask) -> Result<Json<Value>, No> {
    // The agent's own list has no index to wait for.
    let ask = Ask { index: 0, ..ask };
    let (_, services) = desk.read(&ask, Book::index, |book| shape::services(book.all())).await?;
    Ok(Json(services))
}

/// The names that somebody has, with all their tags.
pub(super) async fn names(State(desk): State<Desk>, ask: Ask) -> Result<Response, No> {
    let (index, names) = desk.read(&ask, Book::index, |book| shape::names(book.all())).await?;
    Ok(indexed(index, names))
}

/// Those of a name, with how they are.
pub(super) async fn healthy(
    State(desk): State<Desk>,
    Path(name): Path<String>,
    ask: Ask,
) -> Result<Response, No> {
    let read = |book: &Book| shape::health(book.of(&name).filter(|entry| fits(&ask, entry)));
    let (index, services) = desk.read(&ask, |book| book.index_of(&name), read).await?;
    Ok(indexed(index, services))
}

fn fits(ask: &Ask, entry: &Entry) -> bool {
    let passes = entry.check.as_ref().is_none_or(|check| check.status == Status::Passing);
    let has = |tag: &String| entry.definition.tags.iter().any(|own| own.to_lowercase() == tag.to_lowercase());
    (passes || !ask.passing) && ask.tags.iter().all(has)
}

fn indexed(index: u64, answer: Value) -> Response {
    let headers = [
        (HeaderName::from_static("x-consul-index"), index.to_string()),
        (HeaderName::from_static("x-consul-knownleader"), "true".to_owned()),
        (HeaderName::from_static("x-consul-lastcontact"), "0".to_owned()),
    ];
    (headers, Json(answer)).into_response()
}

/// Reads a whole body, under the cap of all services.
pub(super) async fn read(body: Body) -> Result<Bytes, No> {
    body::read(body).await.map_err(|problem| {
        let (status, limit) = (problem.into_response().status(), body::LIMIT);
        No::new(
            status,
            format!("Request decode failed: the body breaks off, or is longer than {limit} bytes"),
        )
    })
}
