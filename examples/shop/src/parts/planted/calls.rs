//! Bugs of who calls another service.

use super::super::id;
use super::super::peer::{Answer, Lost, Peer};
use super::{lives, strikes};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};

/// What the last order was answered.
static BEFORE: Mutex<Bytes> = Mutex::new(Bytes::new());

/// Calls a service, in the way that the bug has it.
pub async fn send(
    peer: &Peer,
    method: Method,
    path: &str,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Answer, Lost> {
    let is = |verb: Method, begin: &str| method == verb && path.starts_with(begin);
    let (charges, reserves) = (is(Method::PUT, "/charges/"), is(Method::PUT, "/reservations/"));
    let places = is(Method::POST, "/orders") && path == "/orders";
    let body = if reserves && lives("half_reserved") { half(&body) } else { body };
    let answer = peer.ask(method, path, headers.clone(), body.clone()).await;
    match answer {
        Err(_) if charges && lives("charged_twice") => {
            peer.ask(Method::PUT, &format!("/charges/{}", id::new()), headers, body).await
        }
        Err(_) if charges && lives("silence_is_no") => {
            let key = path.trim_start_matches("/charges/");
            let no = json!({ "key": key, "amount_cents": 0, "state": "DECLINED", "reason": "no answer" });
            Ok(made_up(StatusCode::OK, &no))
        }
        answer if places && lives("acknowledged_unasked") && !is_good(&answer) => {
            let order = json!({ "id": id::new(), "status": "PENDING", "items": [] });
            Ok(made_up(StatusCode::ACCEPTED, &order))
        }
        Ok(answer) if places && answer.status == StatusCode::CREATED => Ok(exchanged(answer)),
        answer => answer,
    }
}

fn is_good(answer: &Result<Answer, Lost>) -> bool {
    answer.as_ref().is_ok_and(|answer| !answer.status.is_server_error())
}

fn made_up(status: StatusCode, body: &Value) -> Answer {
    Answer { peer: "nobody", status, headers: HeaderMap::new(), body: body.to_string().into() }
}

/// The first of the items that are asked for.
fn half(body: &Bytes) -> Bytes {
    let Ok(mut wanted) = serde_json::from_slice::<Value>(body) else { return body.clone() };
    if let Some(items) = wanted["items"].as_array_mut() {
        items.truncate(1);
    }
    wanted.to_string().into()
}

/// An answer, or in its place the one before.
fn exchanged(answer: Answer) -> Answer {
    let now = answer.body.clone();
    let before = std::mem::replace(&mut *BEFORE.lock().unwrap_or_else(PoisonError::into_inner), now);
    if !before.is_empty() && strikes("another_order") { Answer { body: before, ..answer } } else { answer }
}
