//! The front of the gateway, with nobody behind it.

use super::*;
use crate::parts::serve::Caller;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::get;
use bartizan::Context;
use bartizan::core::Instant;
use http::StatusCode;
use std::net::{IpAddr, SocketAddr};
use tower::ServiceExt;

/// So many are sent at most until one is refused.
const MOST: usize = 40_000;

/// Tells the level of the priority, and the milliseconds that are left.
async fn told() -> String {
    let context = Context::current().expect("who is served has a context");
    let left = context.remaining(Instant::now()).expect("who is served has a deadline");
    format!("{} {}", context.priority().level(), left.as_millis())
}

fn front() -> Router {
    let config = Config { redis: None, ..Config::new(std::env::temp_dir(), 1).unwrap() };
    let gatekeeper = Gatekeeper::new(GATEWAY_TO_USER_GET.http(&config).unwrap());
    let routes = ["/api/v1/products", "/api/v1/orders", "/api/v1/orders/{id}", "/api/v1/orders/{id}/cancel"];
    let routes =
        routes.into_iter().fold(Router::new(), |routes, path| routes.route(path, get(told).post(told)));
    GATEWAY.guard_front(routes, gatekeeper, &Buckets::open(&config).unwrap(), &config)
}

fn from(address: [u8; 4], method: &str, path: &str) -> http::request::Builder {
    let peer = SocketAddr::from((IpAddr::from(address), 9));
    Request::builder().method(method).uri(path).extension(Caller(peer))
}

async fn ask(front: &Router, request: http::request::Builder) -> Response {
    front.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn numbers(front: &Router, request: http::request::Builder) -> (u8, u64) {
    let answer = ask(front, request).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let text = axum::body::to_bytes(answer.into_body(), 99).await.unwrap();
    let text = std::str::from_utf8(&text).unwrap();
    let (level, left) = text.split_once(' ').unwrap();
    (level.parse().unwrap(), left.parse().unwrap())
}

#[tokio::test]
async fn a_priority_is_of_the_route_and_can_only_be_lowered() {
    let front = front();
    for (method, path, level) in [
        ("POST", "/api/v1/orders", 0),
        ("POST", "/api/v1/orders/o-1/cancel", 0),
        ("GET", "/api/v1/orders/o-1", 128),
        ("GET", "/api/v1/products", 192),
        ("GET", "/api/v1/orders", 255),
    ] {
        let request = || from([127, 0, 0, 1], method, path);
        assert_eq!(numbers(&front, request()).await.0, level, "{method} {path}");
        let forged = request().header("x-request-priority", "critical");
        assert_eq!(numbers(&front, forged).await.0, level, "{method} {path}");
        let modest = request().header("x-request-priority", "250");
        assert_eq!(numbers(&front, modest).await.0, level.max(250), "{method} {path}");
    }
}

#[tokio::test]
async fn a_deadline_can_only_be_shortened() {
    let front = front();
    let request = |ms| from([127, 0, 0, 1], "GET", "/api/v1/products").header("x-request-timeout-ms", ms);
    assert!((2001..=3000).contains(&numbers(&front, request("600000")).await.1));
    assert!(numbers(&front, request("2000")).await.1 <= 2000);
}

#[tokio::test]
async fn an_address_is_that_of_the_connection_whatever_is_said() {
    let front = front();
    let forged = |nth: usize| {
        let request = from([10, 0, 0, 1], "GET", "/api/v1/products");
        request.header("x-forwarded-for", format!("10.1.{}.{}", nth / 256 % 256, nth % 256))
    };
    let mut refused = None;
    for nth in 0..MOST {
        let answer = ask(&front, forged(nth).header("x-shop-token", "guess")).await;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            refused = Some((nth, answer));
            break;
        }
    }
    let (nth, answer) = refused.expect("somebody is refused");
    assert!(nth >= 4000, "{nth} fit into the burst");
    assert!(answer.headers().contains_key("retry-after"), "{answer:?}");
    let other = ask(&front, from([10, 0, 0, 2], "GET", "/api/v1/products")).await;
    assert_eq!(other.status(), StatusCode::OK);
}
