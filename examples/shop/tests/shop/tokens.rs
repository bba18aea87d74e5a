//! Tokens that are none, at the gateway and at the services behind it, which check them again.

use super::customer::{Said, say};
use super::issuer::{Issuer, USER, claims, header, now, secret, sign, token, with};
use super::process::{LONG, Request, Shop};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// What asks for a token, at each of three services.
const ASKS: [(&str, u16, Method, &str); 3] = [
    ("gateway", 0, Method::GET, "/api/v1/orders"),
    ("order", 4, Method::GET, "/orders"),
    ("product", 2, Method::POST, "/products/tea-mint/stock"),
];

async fn ask(service: &Shop, method: &Method, path: &str, token: &str) -> Said {
    let request = service.http.request(method.clone(), service.url(path));
    say(request.header("authorization", format!("Bearer {token}")).json(&json!({ "add": 1 }))).await
}

/// Each with why it is none.
fn bad_tokens() -> Vec<(String, String)> {
    let (good, said_now) = (token("k1", &json!({})), claims());
    let text = said_now.to_string();
    let parts: Vec<_> = good.split('.').collect();
    let [head, said, signature] = parts[..] else { panic!("{good}") };
    let other = token("k1", &json!({ "sub": "somebody-else" }));
    let (_, others) = other.rsplit_once('.').unwrap();
    let public = secret("k1").verifying_key();
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "evil", "x": URL_SAFE_NO_PAD.encode(secret("evil").verifying_key().as_bytes()) });
    let mut bad = Vec::new();
    let mut add = |why: String, token: String| bad.push((why, token));
    for header in [
        json!({ "alg": "none" }),
        json!({ "alg": "None" }),
        json!({ "alg": "NONE" }),
        json!({ "alg": "nOnE" }),
        json!({ "alg": "" }),
        json!({ "alg": null }),
        json!({ "alg": "HS256" }),
        json!({ "alg": "HS512" }),
        json!({ "alg": "ES256" }),
        json!({ "alg": "ES384" }),
        json!({ "alg": "RS256" }),
        json!({ "alg": "PS256" }),
        json!({ "alg": "EdDSA\u{200b}" }),
        json!({ "typ": "at+jwt" }),
        json!({ "kid": null }),
        json!({ "kid": "unknown" }),
        json!({ "kid": "../../../../dev/null" }),
        json!({ "kid": "http://127.0.0.1:1/jwks.json" }),
        json!({ "kid": "k1' OR '1'='1" }),
        json!({ "kid": "k".repeat(10_000) }),
        json!({ "jku": "http://127.0.0.1:1/jwks.json" }),
        json!({ "x5u": "http://127.0.0.1:1/key.pem" }),
        json!({ "crit": ["exp"] }),
        json!({ "crit": ["b64"], "b64": false }),
    ] {
        let text = with(self::header("k1"), &header).to_string();
        add(format!("header {:.60}", header.to_string()), sign("k1", &text, &claims().to_string()));
        let unsigned = sign("k1", &text, &claims().to_string());
        add(
            format!("{:.60}, unsigned", header.to_string()),
            format!("{}.", unsigned.rsplit_once('.').unwrap().0),
        );
    }
    let own = with(header("evil"), &json!({ "jwk": jwk })).to_string();
    add("a key that it brings along".into(), sign("evil", &own, &text));
    add("a key that is not ours".into(), sign("evil", &header("k1").to_string(), &text));
    for claim in [
        json!({ "exp": null }),
        json!({ "exp": -1 }),
        json!({ "exp": now() - 1 }),
        json!({ "exp": now() as f64 + 60.5 }),
        json!({ "exp": (now() + 60).to_string() }),
        json!({ "exp": now() + 40_000_000 }),
        json!({ "exp": u64::MAX }),
        json!({ "nbf": now() + 60 }),
        json!({ "iat": now() + 60 }),
        json!({ "aud": "another" }),
        json!({ "aud": ["shop"] }),
        json!({ "aud": null }),
        json!({ "iss": "another" }),
        json!({ "iss": null }),
        json!({ "sub": "" }),
        json!({ "sub": "u".repeat(500) }),
        json!({ "role": "root" }),
        json!({ "jti": null }),
    ] {
        add(format!("claim {claim:.60}"), token("k1", &claim));
    }
    for exp in ["NaN", "1e400", "9223372036854775808"] {
        let odd = text.replace(&format!("\"exp\":{}", said_now["exp"]), &format!("\"exp\":{exp}"));
        add(format!("exp {exp}"), sign("k1", &header("k1").to_string(), &odd));
    }
    let twice = text.replacen('{', "{\"sub\":\"admin\",", 1);
    add("a claim twice".into(), sign("k1", &header("k1").to_string(), &twice));
    add(
        "the public key as a secret".into(),
        format!("{head}.{said}.{}", URL_SAFE_NO_PAD.encode(public.as_bytes())),
    );
    add("padding".into(), format!("{good}=="));
    let last = char::from(signature.as_bytes()[signature.len() - 1] + 1);
    add("bits that say nothing".into(), format!("{}{last}", &good[..good.len() - 1]));
    add("the other alphabet".into(), format!("{head}.{said}.{}", STANDARD.encode([0xfb; 64])));
    add("the signature of another token".into(), format!("{head}.{said}.{others}"));
    add("cut".into(), good[..good.len() - 1].into());
    add("five parts".into(), format!("{head}.a.{said}.b.{signature}"));
    add("two parts".into(), format!("{head}.{said}"));
    add("an empty one".into(), String::new());
    add("15 kB".into(), format!("{head}.{}.{signature}", "A".repeat(15_000)));
    add("a zero width space".into(), format!("{head}.\u{200b}{said}.{signature}"));
    add("two tokens".into(), format!("{good}, {good}"));
    add("a blank in it".into(), format!("{head}. {said}.{signature}"));
    bad
}

#[tokio::test]
async fn what_is_no_token_is_refused_by_each_service() {
    let issuer = Issuer::open().await;
    for (name, offset, method, path) in ASKS {
        let (service, _folder) = issuer.service(name, offset).await;
        let role = if name == "product" { "admin" } else { "customer" };
        let good = ask(&service, &method, path, &token("k1", &json!({ "role": role }))).await;
        assert!(good.status.is_success(), "{name}: {good:?}");
        for (why, token) in bad_tokens() {
            let said = ask(&service, &method, path, &token).await;
            assert_eq!(said.status, 401, "{name}, {why}: {said:?}");
            said.is_problem(401);
            assert_eq!(said.headers["www-authenticate"], "Bearer", "{name}, {why}");
        }
        let token = token("k1", &json!({ "role": role }));
        for (first, second) in [(&token, &token), (&token, &String::new())] {
            let request = service.http.request(method.clone(), service.url(path)).json(&json!({ "add": 1 }));
            let twice = request
                .header("authorization", format!("Bearer {first}"))
                .header("authorization", format!("Bearer {second}"));
            say(twice).await.is_problem(401);
        }
        assert!(ask(&service, &method, path, &token).await.status.is_success(), "{name}");
    }
}

/// Asks until the answer has a status, and returns how long that took.
async fn until(service: &Shop, path: &str, token: &str, status: u16) -> Duration {
    let begun = Instant::now();
    let asked = async {
        while ask(service, &Method::GET, path, token).await.status != status {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(LONG, asked).await.expect("it comes to that");
    Instant::now() - begun
}

#[tokio::test]
async fn a_service_follows_what_the_issuer_tells_and_keeps_it_while_it_is_away() {
    let issuer = Issuer::open().await;
    let (order, _folder) = issuer.service("order", 4).await;
    let (old, new) = (token("k1", &json!({})), token("k2", &json!({ "jti": "session-2" })));
    let status = async |token: &str| ask(&order, &Method::GET, "/orders", token).await.status.as_u16();
    assert_eq!((status(&old).await, status(&new).await), (200, 401));

    issuer.tell(&["k1", "k2"], &json!([]));
    assert_eq!((status(&new).await, status(&old).await), (200, 200), "a key that is told of is found");
    let asked = issuer.asked();
    for _ in 0..100 {
        assert_eq!(status(&token("k3", &json!({}))).await, 401);
    }
    assert!(issuer.asked() - asked < 50, "unknown keys made it ask {} times", issuer.asked() - asked);

    let end = json!([{ "id": "session-2", "epoch": 0, "until": (now() + 600) * 1000 }]);
    issuer.tell(&["k1", "k2"], &end);
    until(&order, "/orders", &new, 401).await;
    assert_eq!(status(&old).await, 200, "another session of the same user");

    let all = json!([{ "id": USER, "epoch": 1, "until": (now() + 600) * 1000 }]);
    issuer.tell(&["k1", "k2"], &all);
    until(&order, "/orders", &old, 401).await;
    let fresh = token("k2", &json!({ "epoch": 1, "jti": "session-3" }));
    assert_eq!(status(&fresh).await, 200, "a session that began after it");

    issuer.leave();
    sleep(Duration::from_millis(2500)).await;
    assert_eq!((status(&fresh).await, status(&old).await), (200, 401), "what was known stays known");
    assert_ne!(status(&token("k9", &json!({}))).await, 200);

    issuer.tell(&["k1"], &json!([]));
    until(&order, "/orders", &fresh, 401).await;
}

#[tokio::test]
async fn who_knows_no_keys_yet_says_so_and_lets_nobody_in() {
    let issuer = Issuer::open().await;
    issuer.leave();
    let (order, _folder) = issuer.service("order", 4).await;
    let token = token("k1", &json!({}));
    let said = ask(&order, &Method::GET, "/orders", &token).await;
    said.is_problem(503);
    assert!(said.headers.contains_key("retry-after"));
    issuer.tell(&["k1"], &json!([]));
    until(&order, "/orders", &token, 200).await;
}

/// What a customer may send for the services behind, and what comes from the gateway itself.
const PASSED: [&str; 3] = ["authorization", "content-type", "idempotency-key"];
const OWN: [&str; 8] = [
    "host",
    "accept",
    "accept-encoding",
    "content-length",
    "x-request-timeout-ms",
    "x-request-priority",
    "x-request-attempt",
    "traceparent",
];

#[tokio::test]
async fn nothing_that_says_who_one_is_gets_past_the_edge() {
    let issuer = Issuer::open().await;
    let (gateway, _folder) = issuer.service("gateway", 0).await;
    let names = [
        "x-user-id",
        "x-user",
        "x-role",
        "x-admin",
        "x-shop-token",
        "x-bartizan-user",
        "x-bartizan-fault",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-user",
        "x-real-ip",
        "x-original-url",
        "x-rewrite-url",
        "x-http-method-override",
        "forwarded",
        "via",
        "te",
        "proxy-authorization",
        "cookie",
        "baggage",
        "tracestate",
        "b3",
        "x-b3-traceid",
        "x-request-id",
        "grpc-timeout",
        "expect-ct",
        "origin",
        "referer",
        "user-agent",
    ];
    let token = token("k1", &json!({ "role": "admin" }));
    for (method, path) in [
        (Method::GET, "/api/v1/products"),
        (Method::GET, "/api/v1/products/tea-mint"),
        (Method::GET, "/api/v1/orders/o-1"),
        (Method::POST, "/api/v1/orders"),
        (Method::POST, "/api/v1/orders/o-1/cancel"),
        (Method::POST, "/api/v1/products/tea-mint/stock"),
        (Method::POST, "/api/v1/users"),
        (Method::POST, "/api/v1/sessions"),
        (Method::PUT, "/api/v1/users/me/password"),
        (Method::DELETE, "/api/v1/sessions/current"),
    ] {
        let request = gateway.http.request(method.clone(), gateway.url(path)).bearer_auth(&token);
        let request = request.header("idempotency-key", "k").header("connection", "x-role, keep-alive");
        let request =
            request.header("x-request-timeout-ms", "60000").header("x-request-priority", "critical");
        let request = names.iter().fold(request, |request, name| request.header(*name, "admin"));
        let said = say(request.json(&json!({}))).await;
        assert_eq!(said.status, 200, "{path}: {said:?}");
        assert_eq!(said.text("path"), path.strip_prefix("/api/v1").unwrap());
        for header in said.body["headers"].as_array().unwrap() {
            let (name, value) = (header[0].as_str().unwrap(), header[1].as_str().unwrap());
            assert!(PASSED.contains(&name) || OWN.contains(&name), "{method} {path}: {name}: {value}");
            assert!(PASSED.contains(&name) || value != "admin", "{method} {path}: {name}: {value}");
            if name == "x-request-timeout-ms" {
                let left: u64 = value.parse().unwrap();
                assert!(left <= 3000, "nobody gets more time than the gateway gives: {left}");
            }
        }
    }
}

#[tokio::test]
async fn services_believe_no_header_that_says_who_one_is() {
    let issuer = Issuer::open().await;
    for (name, offset, method, path) in ASKS {
        let (service, _folder) = issuer.service(name, offset).await;
        let claimed = |request: Request| {
            let claims =
                [("x-user-id", USER), ("x-role", "admin"), ("x-user", USER), ("forwarded", "for=127.0.0.1")];
            let request = claims.iter().fold(request, |request, (name, value)| request.header(*name, *value));
            say(request.header("x-shop-token", super::process::TOKEN).json(&json!({ "add": 1 })))
        };
        let request = || service.http.request(method.clone(), service.url(path));
        claimed(request()).await.is_problem(401);
        claimed(request().bearer_auth(super::process::TOKEN)).await.is_problem(401);
        if name == "product" {
            claimed(request().bearer_auth(token("k1", &json!({})))).await.is_problem(403);
        }
    }
}

#[tokio::test]
async fn the_keys_of_this_file_sign_nothing_for_a_real_shop() {
    let folder = super::process::folder();
    let shop = Shop::open(folder.path()).await;
    let said = ask(&shop, &Method::GET, "/api/v1/orders", &token("k1", &json!({ "role": "admin" }))).await;
    said.is_problem(401);
    assert_eq!(said.body["type"], Value::from("urn:shop:problem:unauthorized"));
}
