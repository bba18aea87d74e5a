//! Rate limits: for each client by its address, for each name that fails to log in, and over several processes.

use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::get, routing::post};
use bartizan::limit::{Address, KeyedHandle, RedisStore};
use bartizan::{Client, Limit, LimitLayer};
use std::net::SocketAddr;
use std::time::Duration;
use tower::BoxError;

/// Lets ten log-ins of a name fail, then one more every six minutes; and as many succeed as like to.
async fn log_in(State(failures): State<KeyedHandle<str>>, password: String) -> Response {
    if let Err(refused) = failures.peek("ada", 1) {
        // As a layer would: 429, and when to come back.
        return bartizan::http::answer(refused, bartizan::http::Form::Http).map(Body::from);
    }
    if password == "swordfish" {
        return StatusCode::OK.into_response();
    }
    failures.charge("ada", 1);
    StatusCode::UNAUTHORIZED.into_response()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    // Whose request it is: the address of the connection, or behind one proxy of yours the one that it tells.
    let peer = Address::new(|head| head.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0));
    let limit = LimitLayer::new(Limit::per(20, Duration::from_secs(3600)))
        .address(peer.trusted_proxies(1))
        .cost(|head| if head.uri.path() == "/search" { 5 } else { 1 })
        .announce(true)
        .named("clients");

    let failures = KeyedHandle::<str>::new(Limit::per(10, Duration::from_secs(3600))).named("failed log-ins");
    let app = Router::new()
        .route("/", get(|| async { "home" }))
        .route("/search", get(|| async { "found" }))
        .route("/log-in", post(log_in))
        .with_state(failures);
    // With a store, all processes that use it share the limit; while it gives no answer, each limits for itself.
    let app = match std::env::var("REDIS_URL") {
        // Services that do not share their limits differ in the prefix; here each run does.
        Ok(url) => {
            app.layer(limit.store(RedisStore::open(&url)?.prefix(format!("run-{}:", std::process::id()))))
        }
        Err(_) => app.layer(limit),
    };
    let (listener, url) = recipes::listen().await?;
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async { axum::serve(listener, app).await });
    let client = Client::new(recipes::reqwest_service()).base_url(url.parse()?);

    // Each answer tells what is left, and a refusal when to come back.
    let ask = |path: &str, address: &str| client.get(path).header("x-forwarded-for", address).send();
    let answer = ask("search", "198.51.100.7").await?;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["ratelimit-policy"], r#""clients";q=20;w=3600"#);
    println!("{:?}", answer.headers()["ratelimit"]);
    for _ in 0..3 {
        assert_eq!(ask("search", "198.51.100.7").await?.status(), StatusCode::OK);
    }
    let refused = ask("", "198.51.100.7").await?;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers().contains_key("retry-after"));
    // Another client has its own.
    assert_eq!(ask("", "198.51.100.8").await?.text().await?, "home");

    let log_in = |password: &'static str| client.post("log-in").body(password).send();
    for _ in 0..10 {
        assert_eq!(log_in("guess").await?.status(), StatusCode::UNAUTHORIZED);
    }
    let refused = log_in("swordfish").await?;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers().contains_key("retry-after"));
    Ok(())
}

#[test]
fn runs() {
    main().unwrap();
}
