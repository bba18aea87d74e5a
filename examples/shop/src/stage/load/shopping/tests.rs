//! Customers at a counter that says what a test tells it.

use super::super::bar::Bar;
use super::super::crowd;
use super::*;
use crate::parts::tls::Tls;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// Says to orders what is written down, and 201 when nothing is left. Each log-in gives another token.
#[derive(Clone, Default)]
struct Counter {
    answers: Arc<Mutex<VecDeque<Response>>>,
    /// The token and the key of each order that was asked for.
    asked: Arc<Mutex<Vec<(String, String)>>>,
    log_ins: Arc<Mutex<u32>>,
}

async fn counter(State(counter): State<Counter>, request: Request) -> Response {
    let header = |name| request.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    match (request.method().as_str(), request.uri().path()) {
        ("POST", "/api/v1/users") => StatusCode::CREATED.into_response(),
        ("POST", "/api/v1/sessions") => {
            let mut log_ins = counter.log_ins.lock().unwrap();
            *log_ins += 1;
            json!({ "token": format!("token-{log_ins}"), "expires_in": 1 }).to_string().into_response()
        }
        ("POST", "/api/v1/orders") => {
            counter.asked.lock().unwrap().push((header("authorization"), header("idempotency-key")));
            let answer = counter.answers.lock().unwrap().pop_front();
            answer.unwrap_or_else(|| order(201, &json!({ "id": "o-1", "status": "CONFIRMED" })))
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn order(status: u16, body: &Value) -> Response {
    (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response()
}

fn problem(status: u16, kind: &str, order_id: &str) -> Response {
    let body = json!({ "type": format!("urn:shop:problem:{kind}"), "order": order_id });
    let mut response = order(status, &body);
    response.headers_mut().insert("content-type", "application/problem+json".parse().unwrap());
    response
}

/// One customer places one order, and is told these things; what is in the journal then.
async fn place(answers: Vec<Response>) -> (Done, Counter, String) {
    place_as(false, answers).await
}

async fn place_as(insists: bool, answers: Vec<Response>) -> (Done, Counter, String) {
    let counter_state = Counter { answers: Arc::new(Mutex::new(answers.into())), ..Counter::default() };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new().fallback(counter).with_state(counter_state.clone());
    tokio::spawn(async { axum::serve(listener, routes).await });
    let gateway = Gateway::new(url, None, &Tls::default());
    let crowd = crowd::gather(&gateway, 1, &Bar::new(false)).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path()).unwrap();
    let shopping =
        Shopping { gateway, crowd: crowd.into(), products: vec!["tea-mint".into()], journal, insists };
    let errand = Errand { journey: Journey::Place, customer: 0, product: 0, quantity: 1, seed: 1 };
    let done = shopping.run(errand).await;
    let journal = shopping.journal.unwrap();
    journal.close().unwrap();
    // Every line ends in the key, which is another one each time.
    let lines = std::fs::read_to_string(journal.path()).unwrap();
    let lines = lines.lines().map(|line| line.rsplit_once(' ').unwrap().0.to_owned() + "\n");
    (done, counter_state, lines.collect())
}

#[tokio::test]
async fn an_order_that_failed_is_asked_for_again_with_its_key() {
    let (done, counter, journal) = place(vec![order(500, &json!({})), problem(503, "unavailable", "")]).await;
    assert_eq!((done.outcome, done.again, done.acknowledged), (Outcome::Ok, 2, true));
    let asked = counter.asked.lock().unwrap();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|(_, key)| !key.is_empty() && *key == asked[0].1), "{asked:?}");
    assert_eq!(journal, "o-1 201 CONFIRMED\n");
}

#[tokio::test]
async fn nobody_asks_for_ever() {
    let (done, counter, journal) = place((0..9).map(|_| order(502, &json!({}))).collect()).await;
    assert_eq!((done.outcome, done.again, done.acknowledged), (Outcome::Failed, 2, false));
    assert_eq!(counter.asked.lock().unwrap().len(), 3);
    assert_eq!(journal, "");
}

#[tokio::test]
async fn who_insists_asks_until_the_shop_answers_for_it() {
    let mut answers: Vec<_> = (0..3).map(|_| order(502, &json!({}))).collect();
    answers.insert(1, problem(429, "exhausted", ""));
    let (done, counter, journal) = place_as(true, answers).await;
    assert_eq!((done.outcome, done.again, done.acknowledged), (Outcome::Ok, 4, true));
    let asked = counter.asked.lock().unwrap();
    assert!(asked.iter().all(|(_, key)| !key.is_empty() && *key == asked[0].1), "{asked:?}");
    assert_eq!(journal, "o-1 201 CONFIRMED\n");
}

#[tokio::test]
async fn what_the_shop_has_said_is_not_asked_again_and_is_noted() {
    for (said, outcome, line) in [
        (order(202, &json!({ "id": "o-2", "status": "PENDING" })), Outcome::Pending, "o-2 202 PENDING\n"),
        (problem(409, "out-of-stock", "o-3"), Outcome::SoldOut, "o-3 409 CANCELLED\n"),
        (problem(402, "payment-declined", "o-4"), Outcome::Declined, "o-4 402 CANCELLED\n"),
        (order(200, &json!({ "id": "o-5", "status": "CANCELLED" })), Outcome::Failed, "o-5 200 CANCELLED\n"),
        (problem(429, "exhausted", ""), Outcome::Refused, ""),
        (problem(422, "invalid", ""), Outcome::Failed, ""),
        (order(201, &json!({ "status": "CONFIRMED" })), Outcome::Failed, ""),
        (order(201, &json!({ "id": "two\nlines", "status": "CONFIRMED" })), Outcome::Failed, ""),
    ] {
        let (done, counter, journal) = place(vec![said]).await;
        assert_eq!((done.outcome, done.again), (outcome, 0), "{line:?}");
        assert_eq!(counter.asked.lock().unwrap().len(), 1);
        assert_eq!((journal.as_str(), done.acknowledged), (line, !line.is_empty()));
    }
}

#[tokio::test]
async fn who_has_an_old_token_logs_in_again() {
    let (done, counter, _) = place(vec![problem(401, "unauthorized", "")]).await;
    assert_eq!((done.outcome, done.again), (Outcome::Ok, 0));
    let asked = counter.asked.lock().unwrap();
    let tokens: Vec<_> = asked.iter().map(|(token, _)| token.as_str()).collect();
    assert_eq!(tokens, ["Bearer token-1", "Bearer token-2"]);
    assert_eq!(asked[0].1, asked[1].1, "the key stays");
}
