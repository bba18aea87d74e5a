//! A bank that does what a test tells it.

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{post, put};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex};

/// How the bank behaves. `Silent` loses the question, `ReplyLost` the answer.
#[derive(Clone, Copy, PartialEq)]
pub enum Mood {
    Good,
    Declines,
    Silent,
    ReplyLost,
    Broken,
}

#[derive(Clone)]
pub struct Bank {
    pub url: String,
    book: Arc<Mutex<Book>>,
}

struct Book {
    mood: Mood,
    entries: HashMap<String, Value>,
    /// How often money was taken.
    taken: usize,
    /// How many milliseconds each question gave the bank to answer.
    patience: Vec<u64>,
}

impl Bank {
    pub async fn open(mood: Mood) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let book = Book { mood, entries: HashMap::new(), taken: 0, patience: Vec::new() };
        let bank = Self { url, book: Arc::new(Mutex::new(book)) };
        let routes = Router::new()
            .route("/charges/{key}", put(charge).get(find))
            .route("/charges/{key}/refund", post(refund))
            .layer(from_fn_with_state(bank.clone(), note))
            .with_state(bank.clone());
        tokio::spawn(async { axum::serve(listener, routes).await });
        bank
    }

    pub fn set(&self, mood: Mood) {
        self.book.lock().unwrap().mood = mood;
    }

    /// How often money was taken, and how much of it the bank still has.
    pub fn taken_and_kept(&self) -> (usize, i64) {
        let book = self.book.lock().unwrap();
        let kept = book.entries.values().filter(|entry| entry["state"] == "CAPTURED");
        (book.taken, kept.filter_map(|entry| entry["amount_cents"].as_i64()).sum())
    }

    /// How many milliseconds each question so far gave the bank to answer.
    pub fn patience(&self) -> Vec<u64> {
        self.book.lock().unwrap().patience.clone()
    }

    async fn answer(&self, act: impl FnOnce(&mut Book) -> Option<Value>) -> (StatusCode, Json<Value>) {
        let mood = self.book.lock().unwrap().mood;
        match mood {
            Mood::Silent => pending().await,
            Mood::Broken => (StatusCode::INTERNAL_SERVER_ERROR, Json(Value::Null)),
            Mood::ReplyLost => {
                act(&mut self.book.lock().unwrap());
                pending().await
            }
            Mood::Good | Mood::Declines => match act(&mut self.book.lock().unwrap()) {
                Some(entry) => (StatusCode::OK, Json(entry)),
                None => (StatusCode::NOT_FOUND, Json(Value::Null)),
            },
        }
    }
}

async fn note(bank: State<Bank>, request: Request, next: Next) -> Response {
    let patience =
        request.headers().get("x-request-timeout-ms").and_then(|value| value.to_str().ok()?.parse().ok());
    bank.book.lock().unwrap().patience.push(patience.expect("every call has a deadline"));
    next.run(request).await
}

async fn charge(
    bank: State<Bank>,
    Path(key): Path<String>,
    Json(charge): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let entry = bank.answer(|book| {
        if !book.entries.contains_key(&key) {
            let declined = book.mood == Mood::Declines;
            let (state, reason) = if declined { ("DECLINED", Some("no cover")) } else { ("CAPTURED", None) };
            book.taken += usize::from(!declined);
            let amount = &charge["amount_cents"];
            let entry = json!({ "key": key, "amount_cents": amount, "state": state, "reason": reason });
            book.entries.insert(key.clone(), entry);
        }
        book.entries.get(&key).cloned()
    });
    entry.await
}

async fn find(bank: State<Bank>, Path(key): Path<String>) -> (StatusCode, Json<Value>) {
    bank.answer(|book| book.entries.get(&key).cloned()).await
}

async fn refund(bank: State<Bank>, Path(key): Path<String>) -> (StatusCode, Json<Value>) {
    let entry = bank.answer(|book| {
        let void = json!({ "key": key, "amount_cents": 0, "state": "REFUNDED", "reason": null });
        let entry = book.entries.entry(key.clone()).or_insert(void);
        if entry["state"] == "CAPTURED" {
            entry["state"] = "REFUNDED".into();
        }
        Some(entry.clone())
    });
    entry.await
}
