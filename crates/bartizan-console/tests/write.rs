//! Who may read and write, and what comes of it.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use axum::Router;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{Request, Response, StatusCode};
use bartizan_breaker::{Breaker, BreakerLayer, State};
use bartizan_console::Console;
use bartizan_core::Invalid;
use bartizan_core::registry::{self, Observed, UNKNOWN_SETTING, UNKNOWN_VERB};
use http_body_util::BodyExt;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use tower::ServiceExt;

const SHORT: &str = "correct horse";
const TOKEN: &str = "0123456789abcdef";

/// A lamp that can be switched and dimmed.
#[derive(Debug)]
struct Lamp(&'static str, Mutex<(bool, f64)>);

impl Lamp {
    fn new(name: &'static str) -> Arc<Self> {
        let lamp = Arc::new(Self(name, Mutex::new((true, 60.0))));
        registry::register(&(lamp.clone() as Arc<dyn Observed>));
        lamp
    }

    fn now(&self) -> (bool, f64) {
        *self.1.lock().unwrap()
    }
}

impl Observed for Lamp {
    fn layer(&self) -> &'static str {
        "lamp"
    }
    fn name(&self) -> &str {
        self.0
    }
    fn state(&self) -> &'static str {
        if self.now().0 { "lit" } else { "dark" }
    }
    fn numbers(&self, _show: &mut dyn FnMut(&'static str, f64)) {}
    fn verbs(&self) -> &'static [&'static str] {
        &["quench"]
    }
    fn act(&self, verb: &str) -> Result<(), Invalid> {
        match (verb, self.now().0) {
            ("quench", true) => self.1.lock().unwrap().0 = false,
            ("quench", false) => return Err(Invalid::new("verb", "verb quench needs a lamp that is lit")),
            _ => return Err(UNKNOWN_VERB),
        }
        Ok(())
    }
    fn settings(&self, show: &mut dyn FnMut(&'static str, f64)) {
        show("watts", self.now().1);
    }
    fn set(&self, setting: &str, value: f64) -> Result<(), Invalid> {
        match setting {
            "watts" if value > 0.0 => self.1.lock().unwrap().1 = value,
            "watts" => return Err(Invalid::new("watts", "watts is not above 0")),
            _ => return Err(UNKNOWN_SETTING),
        }
        Ok(())
    }
}

/// A write that is in order, but for what a test changes in it.
fn post(path: &str, body: &str) -> Request<Body> {
    let request = Request::post(path).header(HOST, "localhost:8088").header(CONTENT_TYPE, "application/json");
    request.header("bartizan-console", "test").body(Body::from(body.to_owned())).unwrap()
}

async fn ask(console: &Console, request: Request<Body>) -> Response<Body> {
    Router::new().nest("/ops", console.router()).oneshot(request).await.unwrap()
}

async fn told(response: Response<Body>) -> Value {
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

const QUENCH: &str = r#"{"verb":"quench"}"#;

#[tokio::test]
async fn a_verb_is_done_once_and_then_is_a_conflict() {
    let (console, lamp) = (Console::new().writable(), Lamp::new("hall"));
    let done = ask(&console, post("/ops/layers/lamp/hall", QUENCH)).await;
    assert_eq!(done.status(), StatusCode::OK);
    let shown = told(done).await;
    assert_eq!((&shown["name"], &shown["state"]), (&"hall".into(), &"dark".into()));
    let again = ask(&console, post("/ops/layers/lamp/hall", QUENCH)).await;
    assert_eq!(again.status(), StatusCode::CONFLICT);
    assert_eq!(told(again).await["detail"], "verb quench needs a lamp that is lit. Nothing was changed.");
    assert_eq!(lamp.now(), (false, 60.0));
}

#[tokio::test]
async fn a_setting_is_set_or_nothing_is_changed() {
    let (console, lamp) = (Console::new().writable(), Lamp::new("desk"));
    for (body, status) in [
        (r#"{"set":{"watts":-1}}"#, 422),
        (r#"{"set":{"volts":1}}"#, 422),
        (r#"{"set":{"watts":1e999}}"#, 422),
        (r#"{"verb":"dance"}"#, 422),
        ("watts=40", 422),
    ] {
        let refused = ask(&console, post("/ops/layers/lamp/desk", body)).await;
        assert_eq!(refused.status(), status, "{body}");
        assert_eq!(refused.headers()[CONTENT_TYPE], "application/problem+json", "{body}");
        assert_eq!(lamp.now(), (true, 60.0), "{body}");
    }
    let done = ask(&console, post("/ops/layers/lamp/desk", r#"{"set":{"watts":40}}"#)).await;
    assert_eq!(told(done).await["settings"]["watts"], 40);
    let long = format!("{QUENCH}{}", " ".repeat(4096));
    assert_eq!(ask(&console, post("/ops/layers/lamp/desk", &long)).await.status(), 413);
}

#[tokio::test]
async fn a_breaker_is_forced_open_from_afar_and_open_for_longer() {
    let layer = BreakerLayer::new(Breaker::new()).named("from afar");
    let (console, path) = (Console::new().writable(), "/ops/layers/breaker/from%20afar");
    let not_open = ask(&console, post(path, r#"{"verb":"half_open"}"#)).await;
    assert_eq!(not_open.status(), StatusCode::CONFLICT);
    let set = told(ask(&console, post(path, r#"{"set":{"open_seconds":30}}"#)).await).await;
    assert_eq!(set["settings"]["open_seconds"], 30);
    let open = told(ask(&console, post(path, r#"{"verb":"force_open"}"#)).await).await;
    assert_eq!(open["state"], "forced open");
    assert_eq!(layer.handle().state(), State::ForcedOpen);
    for verb in open["verbs"].as_array().unwrap() {
        let order = format!(r#"{{"verb":{verb}}}"#);
        let answer = ask(&console, post(path, &order)).await.status();
        assert!(answer == StatusCode::OK || answer == StatusCode::CONFLICT, "{verb}: {answer}");
    }
}

#[tokio::test]
async fn every_name_can_be_asked_and_told() {
    let console = Console::new().writable();
    for (name, path) in [
        ("stock/http://10.0.0.1:80/", "stock%2Fhttp%3A%2F%2F10.0.0.1%3A80%2F"),
        ("a b?c#d%e", "a%20b%3Fc%23d%25e"),
        ("größe 🎈", "gr%C3%B6%C3%9Fe%20%F0%9F%8E%88"),
    ] {
        let lamp = Lamp::new(name);
        let path = format!("/ops/layers/lamp/{path}");
        let get = Request::get(&path).header(HOST, "localhost").body(Body::empty()).unwrap();
        assert_eq!(told(ask(&console, get).await).await["name"], name);
        assert_eq!(ask(&console, post(&path, QUENCH)).await.status(), 200, "{name}");
        assert!(!lamp.now().0, "{name}");
    }
    for path in ["/ops/layers/lamp/nobody", "/ops/layers/lump/hall", "/ops/layers/lamp/%ff"] {
        let none = ask(&console, post(path, QUENCH)).await;
        assert_eq!(none.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(told(none).await["status"], 404);
    }
}

#[tokio::test]
async fn twins_are_told_apart() {
    let (console, twins) = (Console::new().writable(), [Lamp::new("twin"), Lamp::new("twin")]);
    assert_eq!(ask(&console, post("/ops/layers/lamp/twin", QUENCH)).await.status(), StatusCode::CONFLICT);
    assert_eq!(ask(&console, post("/ops/layers/lamp/twin?twin=1", QUENCH)).await.status(), StatusCode::OK);
    assert_eq!(ask(&console, post("/ops/layers/lamp/twin?twin=2", QUENCH)).await.status(), 404);
    assert_eq!(ask(&console, post("/ops/layers/lamp/twin?twin=x", QUENCH)).await.status(), 422);
    assert_eq!(twins.map(|twin| twin.now().0), [true, false]);
}

#[tokio::test]
async fn who_may_not_write_changes_nothing() {
    let lamp = Lamp::new("safe");
    let path = "/ops/layers/lamp/safe";
    let with = |name: &'static str, value: &'static str| {
        let mut request = post(path, QUENCH);
        request.headers_mut().insert(name, value.parse().unwrap());
        request
    };
    let without = |name: &'static str| {
        let mut request = post(path, QUENCH);
        request.headers_mut().remove(name);
        request
    };
    let open = Console::new().writable();
    let locked = || open.clone().token(TOKEN);
    let cases = [
        (Console::new(), post(path, QUENCH), 403, "read-only"),
        (Console::new().token(TOKEN), with("authorization", "Bearer 0123456789abcdef"), 403, "a token alone"),
        (open.clone(), with("host", "evil.example"), 421, "a rebound name"),
        (open.clone(), with("origin", "http://localhost:3000"), 403, "another port"),
        (open.clone(), with("origin", "null"), 403, "a sandboxed frame"),
        (open.clone(), with("sec-fetch-site", "cross-site"), 403, "another site"),
        (open.clone(), with("sec-fetch-site", "same-site"), 403, "the same site"),
        (open.clone(), with("content-type", "text/plain"), 415, "what a form can send"),
        (open.clone(), without("content-type"), 415, "of no type"),
        (open.clone(), without("bartizan-console"), 403, "without the header"),
        (open.clone().any_host(), post(path, QUENCH), 403, "any host, and no token"),
        (locked(), post(path, QUENCH), 401, "no token"),
        (locked(), with("authorization", "Bearer 0123456789abcdee"), 401, "a wrong token"),
        (locked().any_host(), post(path, QUENCH), 401, "any host, and not the token"),
    ];
    for (console, request, status, why) in cases {
        let refused = ask(&console, request).await;
        assert_eq!(refused.status(), status, "{why}");
        assert_eq!(refused.headers().contains_key(WWW_AUTHENTICATE), status == 401, "{why}");
        assert_eq!(told(refused).await["status"], status, "{why}");
        assert!(lamp.now().0, "{why}");
    }
    let mut own = with("authorization", "Bearer 0123456789abcdef");
    own.headers_mut().insert(ORIGIN, "http://localhost:8088".parse().unwrap());
    own.headers_mut().insert("sec-fetch-site", "same-origin".parse().unwrap());
    assert_eq!(ask(&locked(), own).await.status(), StatusCode::OK);
    assert!(!lamp.now().0);
}

#[tokio::test]
async fn under_any_host_the_token_is_asked_of_readers_too() {
    let get = |path: &str| Request::get(path).header(HOST, "console.example").body(Body::empty()).unwrap();
    let console = Console::new().any_host().token(TOKEN);
    for path in ["/ops/layers", "/ops/stream", "/ops/history", "/ops/layers/lamp/any"] {
        assert_eq!(ask(&console, get(path)).await.status(), StatusCode::UNAUTHORIZED, "{path}");
        let mut knows = get(path);
        knows.headers_mut().insert(AUTHORIZATION, "Bearer 0123456789abcdef".parse().unwrap());
        assert_ne!(ask(&console, knows).await.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    for path in ["/ops/console", "/ops/console/page.js", "/ops/console/about"] {
        assert_eq!(ask(&console, get(path)).await.status(), StatusCode::OK, "{path}");
    }
    let mut local = get("/ops/layers");
    local.headers_mut().insert(HOST, "localhost".parse().unwrap());
    let reader = ask(&Console::new().writable().token(TOKEN), local).await;
    assert_eq!(reader.status(), StatusCode::OK, "under a loopback name reading is free");
}

#[tokio::test]
async fn the_page_comes_under_its_policy() {
    let get = Request::get("/ops/console").header(HOST, "localhost").body(Body::empty()).unwrap();
    let page = ask(&Console::new(), get).await;
    assert_eq!(page.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.headers()["cross-origin-resource-policy"], "same-origin");
    let foreign = Request::get("/ops/console").header(HOST, "evil.example").body(Body::empty()).unwrap();
    assert_eq!(ask(&Console::new(), foreign).await.status(), StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test(start_paused = true)]
async fn who_watches_knows_what_was_before() {
    let console = Console::new();
    let history = async || {
        let get = Request::get("/ops/history").header(HOST, "localhost").body(Body::empty()).unwrap();
        told(ask(&console, get).await).await
    };
    assert_eq!(history().await, Value::Array(Vec::new()));
    let lamp = Lamp::new("watched");
    let watch = tokio::spawn(console.watch());
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    lamp.act("quench").unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    let looks = history().await;
    let state = |look: &Value| {
        let layers = look["layers"].as_array().unwrap();
        layers.iter().find(|layer| layer["name"] == "watched").unwrap()["state"].clone()
    };
    assert_eq!(state(&looks[0]), "lit");
    assert_eq!(state(looks.as_array().unwrap().last().unwrap()), "dark");
    assert!(looks[0]["age_seconds"].as_f64().unwrap() > looks[1]["age_seconds"].as_f64().unwrap());
    console.close();
    watch.await.unwrap();
}

#[test]
fn a_token_that_can_be_guessed_is_none() {
    assert_eq!(Console::new().try_token(SHORT).unwrap_err().field(), "token");
    let shown = format!("{:?}", Console::new().token(TOKEN));
    assert!(shown.contains("token: true") && !shown.contains(TOKEN), "{shown}");
}
