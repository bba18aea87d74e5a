//! A user service that does what a test tells it, and shows what it was sent.

use super::process::{LONG, Shop, folder, free_base, program};
use axum::extract::{Request, State};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::timeout;

pub const USER: &str = "0190b0a0-0000-7000-8000-000000000001";

#[derive(Clone)]
pub struct Issuer {
    pub url: String,
    desk: Arc<Mutex<Desk>>,
}

struct Desk {
    /// What it tells of keys and of what has ended; nothing while it is away.
    told: Option<Value>,
    /// How often it was asked for that.
    asked: usize,
}

impl Issuer {
    /// It publishes the key `k1`.
    pub async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let issuer = Self { url, desk: Arc::new(Mutex::new(Desk { told: None, asked: 0 })) };
        issuer.tell(&["k1"], &json!([]));
        let routes = Router::new()
            .route("/.well-known/jwks.json", get(jwks))
            .route("/readyz", get(async || Json(json!({ "status": "ok" }))))
            .fallback(echo)
            .with_state(issuer.clone());
        tokio::spawn(async { axum::serve(listener, routes).await });
        issuer
    }

    pub fn tell(&self, keys: &[&str], ended: &Value) {
        let key = |kid: &&str| {
            let x = URL_SAFE_NO_PAD.encode(secret(kid).verifying_key().as_bytes());
            json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": kid, "x": x })
        };
        let keys: Vec<_> = keys.iter().map(key).collect();
        let told = json!({ "keys": keys, "ended": ended, "now": now() * 1000 });
        self.desk.lock().unwrap().told = Some(told);
    }

    pub fn leave(&self) {
        self.desk.lock().unwrap().told = None;
    }

    pub fn asked(&self) -> usize {
        self.desk.lock().unwrap().asked
    }

    /// A service of the shop, by its name and offset, which takes this one for all others.
    pub async fn service(&self, name: &str, offset: u16) -> (Shop, TempDir) {
        let (folder, base) = (folder(), free_base());
        let mut service = program(&["run", name], folder.path(), base);
        for others in ["USER_URL", "PRODUCT_URL", "ORDER_URL", "PAYMENT_URL"] {
            service.env(others, &self.url);
        }
        let mut process = service.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = timeout(LONG, lines.next_line()).await.expect("it opens in time").unwrap();
        assert!(line.is_some_and(|line| line.contains(" is open at ")));
        (Shop::of(process, base + offset), folder)
    }
}

async fn jwks(State(issuer): State<Issuer>) -> Result<Json<Value>, http::StatusCode> {
    let mut desk = issuer.desk.lock().unwrap();
    desk.asked += 1;
    desk.told.clone().map(Json).ok_or(http::StatusCode::SERVICE_UNAVAILABLE)
}

/// Says what came: the path, and every header. It is whatever was asked for as well, so that its callers can read it.
async fn echo(request: Request) -> Json<Value> {
    let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())])
    };
    let headers: Vec<_> = request.headers().iter().map(header).collect();
    Json(json!({
        "path": request.uri().to_string(), "headers": headers,
        "id": "", "name": "", "email": "", "token": "", "expires_in": 1, "category": "", "price_cents": 1, "stock": 1,
        "products": [], "orders": [], "status": "CONFIRMED", "step": "CONFIRMED", "items": [], "created_at": 1,
    }))
}

#[allow(clippy::disallowed_types, reason = "tokens tell the time by the calendar")]
pub fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_secs() as i64
}

/// The key of a name.
pub fn secret(kid: &str) -> SigningKey {
    let mut seed = [7; 32];
    seed[..kid.len()].copy_from_slice(kid.as_bytes());
    SigningKey::from_bytes(&seed)
}

pub fn header(kid: &str) -> Value {
    json!({ "alg": "EdDSA", "typ": "JWT", "kid": kid })
}

pub fn claims() -> Value {
    let (iat, exp) = (now(), now() + 600);
    json!({ "iss": "shop-user", "aud": "shop", "sub": USER, "iat": iat, "nbf": iat, "exp": exp,
            "jti": "0190b0a0-0000-7000-8000-000000000002", "role": "customer", "epoch": 0 })
}

/// A token of what is said, as it stands.
pub fn sign(kid: &str, header: &str, claims: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = secret(kid).sign(message.as_bytes()).to_bytes();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// A good token of a key, but for some of its claims.
pub fn token(kid: &str, other: &Value) -> String {
    sign(kid, &header(kid).to_string(), &with(claims(), other).to_string())
}

/// A value with some of its fields set, or taken out where they are null.
pub fn with(mut value: Value, fields: &Value) -> Value {
    for (name, field) in fields.as_object().unwrap() {
        match field {
            Value::Null => drop(value.as_object_mut().unwrap().remove(name)),
            field => value[name] = field.clone(),
        }
    }
    value
}
