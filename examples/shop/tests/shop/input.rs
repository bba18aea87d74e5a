//! Bad input gets the right 4xx and changes nothing.

use super::customer::{Customer, PASSWORD, say};
use super::process::{Shop, folder};
use http::Method;
use serde_json::{Value, json};

const JSON: (&str, &str) = ("content-type", "application/json");

/// Everything that a customer can see of the shop.
async fn state(ada: &Customer<'_>) -> Vec<Value> {
    let mut seen = Vec::new();
    for path in ["/api/v1/products", "/api/v1/orders", "/api/v1/users/me"] {
        seen.push(ada.get(path).await.body);
    }
    seen
}

#[tokio::test]
async fn bad_orders_are_refused_and_change_nothing() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ada = Customer::new(&shop).await;
    assert_eq!(ada.order("taken", &[("tea-mint", 1)]).await.status, 201);
    let before = state(&ada).await;

    let good = r#"{"items":[{"product_id":"tea-mint","quantity":1}]}"#;
    let of = |quantity: &str| format!(r#"{{"items":[{{"product_id":"tea-mint","quantity":{quantity}}}]}}"#);
    let large = format!(r#"{{"items":[{{"product_id":"{}","quantity":1}}]}}"#, "a".repeat(100_000));
    let huge = format!("{good}{}", " ".repeat(3 << 20));
    let twice =
        r#"{"items":[{"product_id":"tea-mint","quantity":1},{"product_id":"tea-mint","quantity":1}]}"#;
    let unknown =
        r#"{"items":[{"product_id":"tea-mint","quantity":1},{"product_id":"nothing","quantity":1}]}"#;
    let many: Vec<_> = (0..101).map(|n| json!({ "product_id": format!("p{n}"), "quantity": 1 })).collect();
    let key = ("idempotency-key", "new");
    for (why, headers, body, status) in [
        ("malformed", vec![JSON, key], "{\"items\":[", 400),
        ("no body", vec![JSON, key], "", 400),
        ("no json", vec![("content-type", "text/plain"), key], good, 415),
        ("no type", vec![key], good, 415),
        ("no items", vec![JSON, key], r#"{"items":[]}"#, 422),
        ("no field", vec![JSON, key], "{}", 422),
        ("another shape", vec![JSON, key], r#"{"items":"tea"}"#, 422),
        ("an array", vec![JSON, key], r#"[[{"product_id":"tea-mint","quantity":1}]]"#, 422),
        ("an array for an item", vec![JSON, key], r#"{"items":[["tea-mint",1]]}"#, 422),
        ("odd deadline", vec![JSON, key, ("x-request-timeout-ms", "soon")], good, 400),
        ("negative deadline", vec![JSON, key, ("x-request-timeout-ms", "-1")], good, 400),
        (
            "two deadlines",
            vec![JSON, key, ("x-request-timeout-ms", "5"), ("x-request-timeout-ms", "5")],
            good,
            400,
        ),
        ("too many", vec![JSON, key], &json!({ "items": many }).to_string(), 422),
        ("unknown product", vec![JSON, key], unknown, 422),
        ("named twice", vec![JSON, key], twice, 422),
        ("quantity 0", vec![JSON, key], &of("0"), 422),
        ("quantity -1", vec![JSON, key], &of("-1"), 422),
        ("quantity 10^12", vec![JSON, key], &of("1000000000000"), 422),
        ("quantity 10^30", vec![JSON, key], &of("1000000000000000000000000000000"), 422),
        ("quantity 1.5", vec![JSON, key], &of("1.5"), 422),
        ("quantity in words", vec![JSON, key], &of("\"one\""), 422),
        ("over 64 KiB", vec![JSON, key], &large, 413),
        ("over 3 MiB", vec![JSON, key], &huge, 413),
        ("no key", vec![JSON], good, 400),
        ("empty key", vec![JSON, ("idempotency-key", "")], good, 400),
        ("two keys", vec![JSON, key, ("idempotency-key", "other")], good, 400),
        ("long key", vec![JSON, ("idempotency-key", &"k".repeat(256))], good, 400),
        ("odd key", vec![JSON, ("idempotency-key", "a b")], good, 400),
        ("strange key", vec![JSON, ("idempotency-key", "schlüssel")], good, 400),
        ("reused key", vec![JSON, ("idempotency-key", "taken")], &of("2"), 422),
        (
            "a field twice",
            vec![JSON, key],
            r#"{"items":[],"items":[{"product_id":"tea-mint","quantity":1}]}"#,
            422,
        ),
        (
            "a field of an item twice",
            vec![JSON, key],
            r#"{"items":[{"product_id":"tea-mint","quantity":1,"quantity":2}]}"#,
            422,
        ),
        ("null", vec![JSON, key], "null", 422),
        ("null for items", vec![JSON, key], r#"{"items":null}"#, 422),
        ("two values", vec![JSON, key], &format!("{good}{good}"), 400),
        ("a comment", vec![JSON, key], "{/* nothing */}", 400),
        ("NaN", vec![JSON, key], &of("NaN"), 400),
        ("quantity 1e4", vec![JSON, key], &of("1e4"), 422),
        ("quantity -0", vec![JSON, key], &of("-0"), 422),
        ("quantity null", vec![JSON, key], &of("null"), 422),
        ("quantity true", vec![JSON, key], &of("true"), 422),
        ("half a surrogate", vec![JSON, key], r#"{"items":[{"product_id":"\ud800","quantity":1}]}"#, 400),
        (
            "a control character",
            vec![JSON, key],
            r#"{"items":[{"product_id":"tea-mint\u0000","quantity":1}]}"#,
            422,
        ),
        (
            "an invisible character",
            vec![JSON, key],
            r#"{"items":[{"product_id":"tea-mint\u200b","quantity":1}]}"#,
            422,
        ),
        ("other letters", vec![JSON, key], r#"{"items":[{"product_id":"tеa-mint","quantity":1}]}"#, 422),
        ("SQL", vec![JSON, key], r#"{"items":[{"product_id":"' OR '1'='1","quantity":1}]}"#, 422),
        ("another type of text", vec![("content-type", "application/xml"), key], good, 415),
        ("a form", vec![("content-type", "application/x-www-form-urlencoded"), key], "items=1", 415),
        ("nested too deep", vec![JSON, key], &format!("{{\"x\":{}", "[".repeat(10_000)), 400),
        ("a deadline with an exponent", vec![JSON, key, ("x-request-timeout-ms", "1e3")], good, 400),
    ] {
        let order = ada.request(Method::POST, "/api/v1/orders").body(body.to_owned());
        let said =
            say(headers.into_iter().fold(order, |order, (name, value)| order.header(name, value))).await;
        assert_eq!(said.status, status, "{why}: {said:?}");
        said.is_problem(status);
        assert_eq!(state(&ada).await, before, "{why}");
    }
    let latin = ada.request(Method::POST, "/api/v1/orders").header(JSON.0, JSON.1).header(key.0, key.1);
    say(latin.body(b"{\"items\":\"\xe9\"}".to_vec())).await.is_problem(400);
    assert_eq!(state(&ada).await, before, "no UTF-8");
    ada.order("new", &[("tea-mint", 1001)]).await.is_problem(422);
    assert_eq!(state(&ada).await, before, "no more of one product than 1000");
}

#[tokio::test]
async fn strangers_are_told_nothing() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (ada, bob) = (Customer::new(&shop).await, Customer::new(&shop).await);
    let order = ada.order("k", &[("tea-mint", 1)]).await;
    let (order_id, payment_id) = (order.text("id"), order.text("payment_id"));
    let before = state(&ada).await;

    for path in [format!("/api/v1/orders/{order_id}"), format!("/api/v1/payments/{payment_id}")] {
        bob.get(&path).await.is_problem(404);
    }
    bob.cancel(order_id).await.is_problem(404);
    assert_eq!(bob.get("/api/v1/orders").await.body, json!({ "orders": [] }));
    let theirs = bob.order("k", &[("tea-mint", 1)]).await;
    assert_ne!(theirs.text("id"), order_id, "a key is its customer's own");
    bob.cancel(theirs.text("id")).await;

    let forged = format!("{}x", ada.token);
    let unsigned = format!("{}.", ada.token.rsplit_once('.').unwrap().0);
    let none = "eyJhbGciOiJub25lIiwia2lkIjoiayJ9.eyJzdWIiOiJ1IiwiaWF0IjoxLCJleHAiOjk5OTk5OTk5OTl9.";
    let bearer = |token: &str| format!("Bearer {token}");
    let requests = [
        (Method::POST, "/api/v1/orders".to_owned()),
        (Method::GET, "/api/v1/orders".to_owned()),
        (Method::GET, format!("/api/v1/orders/{order_id}")),
        (Method::POST, format!("/api/v1/orders/{order_id}/cancel")),
        (Method::GET, format!("/api/v1/payments/{payment_id}")),
        (Method::GET, "/api/v1/users/me".to_owned()),
    ];
    for (method, path) in requests {
        for authorization in [
            None,
            Some(bearer("")),
            Some(bearer("nonsense")),
            Some(bearer(&forged)),
            Some(bearer(&unsigned)),
            Some(bearer(none)),
            Some(format!("Basic {}", ada.token)),
            Some(ada.token.clone()),
        ] {
            let request = shop.http.request(method.clone(), shop.url(&path));
            let said = say(match &authorization {
                Some(value) => request.header("authorization", value),
                None => request,
            });
            let said = said.await;
            said.is_problem(401);
            assert_eq!(said.headers["www-authenticate"], "Bearer");
        }
    }
    let twice = ada.request(Method::GET, "/api/v1/orders").header("authorization", bearer(&bob.token));
    say(twice).await.is_problem(401);
    assert_eq!(state(&ada).await, before);
}

#[tokio::test]
async fn a_token_expires() {
    let folder = folder();
    let shop = Shop::open_with(folder.path(), &[("SHOP_SESSION_SECONDS", "0")]).await;
    let ada = Customer::new(&shop).await;
    let said = ada.get("/api/v1/orders").await;
    said.is_problem(401);
    assert!(said.text("detail").contains("expired"), "{said:?}");
}

#[tokio::test]
async fn bad_users_and_sessions_are_refused() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ada = Customer::new(&shop).await;
    let user = |name: &str, email: &str, password: &str| json!({ "name": name, "email": email, "password": password });
    for (path, body, status) in [
        ("/api/v1/users", user("Ada", &ada.email.to_uppercase(), PASSWORD), 409),
        ("/api/v1/users", user("", "new@example.org", PASSWORD), 422),
        ("/api/v1/users", user("Ada", "nobody", PASSWORD), 422),
        ("/api/v1/users", user("Ada", "new@example.org", ""), 422),
        ("/api/v1/users", json!({ "name": "Ada" }), 422),
        ("/api/v1/users", json!(["Ada", "new@example.org", PASSWORD]), 422),
        ("/api/v1/users", user("Ada\u{0}", "new@example.org", PASSWORD), 422),
        ("/api/v1/users", user("Ada\u{1b}[31m", "new@example.org", PASSWORD), 422),
        ("/api/v1/users", user(" \u{3000} ", "new@example.org", PASSWORD), 422),
        ("/api/v1/users", user("Ada", "new@example.org\r\nbcc: all@example.org", PASSWORD), 422),
        ("/api/v1/users", user("Ada", "new\u{0}@example.org", PASSWORD), 422),
        ("/api/v1/users", user("Ada", "new@example.org", &"x".repeat(129)), 422),
        ("/api/v1/sessions", json!({ "email": "\u{0}@example.org", "password": PASSWORD }), 401),
        ("/api/v1/sessions", json!({ "email": "", "password": "" }), 401),
        ("/api/v1/sessions", json!({ "email": { "$ne": null }, "password": PASSWORD }), 422),
        ("/api/v1/sessions", json!([ada.email, PASSWORD]), 422),
        ("/api/v1/users", json!({ "name": 1, "email": 2, "password": 3 }), 422),
        ("/api/v1/users", user(&"a".repeat(70_000), "new@example.org", PASSWORD), 413),
        ("/api/v1/sessions", json!({ "email": ada.email, "password": "wrong horse" }), 401),
        ("/api/v1/sessions", json!({ "email": "nobody@example.org", "password": PASSWORD }), 401),
        ("/api/v1/sessions", json!({ "email": ada.email, "password": "x".repeat(1000) }), 401),
        ("/api/v1/sessions", json!({ "email": ada.email }), 422),
    ] {
        let said = say(shop.http.post(shop.url(path)).json(&body)).await;
        assert_eq!(said.status, status, "{path} {said:?}");
        said.is_problem(status);
    }
    let said =
        say(shop.http.post(shop.url("/api/v1/sessions")).json(&user("", "new@example.org", PASSWORD))).await;
    assert_eq!(said.status, 401, "none of them became a user");
    let wrong = say(shop.http.post(shop.url("/api/v1/sessions")).header(JSON.0, JSON.1).body("{")).await;
    wrong.is_problem(400);
}

#[tokio::test]
async fn paths_that_lead_nowhere_are_problems_too() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ada = Customer::new(&shop).await;
    for (method, path, status) in [
        (Method::GET, "/", 404),
        (Method::GET, "/api/v1/nothing", 404),
        (Method::GET, "/api/v1/products/nothing", 404),
        (Method::GET, "/api/v1/products/%FF", 404),
        (Method::GET, "/api/v1/products/%2e%2e", 404),
        (Method::GET, "/api/v1/products?category=a&category=b", 400),
        (Method::GET, "/api/v1/products?category=%00", 400),
        (Method::GET, "/api/v1/products?category=", 400),
        (Method::GET, "/api/v1/products?category=%FF", 400),
        (Method::GET, "/api/v1/products/", 404),
        (Method::GET, "/api/v1/products/tea-mint/", 404),
        (Method::GET, "/api/v1/products/..%2f..%2fusers%2fme", 404),
        (Method::GET, "//api/v1/products", 404),
        (Method::GET, "/API/V1/PRODUCTS", 404),
        (Method::GET, "/reservations/o-1", 404),
        (Method::GET, "/.well-known/jwks.json", 404),
        (Method::POST, "/keys", 404),
        (Method::OPTIONS, "/api/v1/orders", 405),
        (Method::TRACE, "/api/v1/orders", 405),
        (Method::PATCH, "/api/v1/users/me", 405),
        (Method::GET, "/api/v1/sessions", 405),
        (Method::GET, "/api/v1/users/me/password", 405),
        (Method::GET, "/api/v1/products/tea-mint/stock", 405),
        (Method::from_bytes(b"BREW").unwrap(), "/api/v1/products", 405),
        (Method::GET, "/api/v1/orders/nothing", 404),
        (Method::GET, "/api/v1/orders/a%20b%2F", 404),
        (Method::POST, "/api/v1/orders/nothing/cancel", 404),
        (Method::GET, "/api/v1/payments/nothing", 404),
        (Method::DELETE, "/api/v1/orders", 405),
        (Method::PUT, "/api/v1/products", 405),
        (Method::POST, "/healthz", 405),
    ] {
        let said = say(ada.request(method, path)).await;
        assert_eq!(said.status, status, "{path} {said:?}");
        said.is_problem(status);
        assert_eq!(said.headers.contains_key("allow"), status == 405, "{path}");
    }
}

#[tokio::test]
async fn names_of_all_people_are_taken_and_unknown_fields_say_nothing() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ada = Customer::new(&shop).await;
    for (n, (name, kept)) in [
        ("Ådá Łovelåce", "Ådá Łovelåce"),
        ("  李小龙 ", "李小龙"),
        ("عائشة", "عائشة"),
        ("👩🏽‍💻", "👩🏽‍💻"),
        ("Robert'); DROP TABLE users;--", "Robert'); DROP TABLE users;--"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
    ]
    .into_iter()
    .enumerate()
    {
        let email = format!("person-{n}@example.org");
        let user =
            json!({ "name": name, "email": email, "password": PASSWORD, "id": "mine", "role": "admin" });
        let said = say(shop.http.post(shop.url("/api/v1/users")).json(&user)).await;
        assert_eq!((said.status.as_u16(), said.text("name")), (201, kept), "{said:?}");
        assert_ne!(said.text("id"), "mine");
    }
    let order = ada.request(Method::POST, "/api/v1/orders").header("idempotency-key", "k");
    let item = json!({ "product_id": "tea-mint", "quantity": 1, "price_cents": 0 });
    let said =
        say(order.json(&json!({ "items": [item], "user_id": "somebody", "status": "CONFIRMED" }))).await;
    assert_eq!((said.status.as_u16(), &said.body["total_cents"]), (201, &json!(590)), "{said:?}");
}

#[tokio::test]
async fn a_head_is_a_get_without_its_body() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ada = Customer::new(&shop).await;
    for (path, status) in [
        ("/api/v1/products", 200),
        ("/api/v1/products/tea-mint", 200),
        ("/api/v1/products/nothing", 404),
        ("/api/v1/orders", 200),
        ("/api/v1/users/me", 200),
        ("/healthz", 200),
        ("/openapi.json", 200),
    ] {
        let said = say(ada.request(Method::HEAD, path)).await;
        assert_eq!((said.status.as_u16(), &said.body), (status, &json!("")), "{path} {said:?}");
        let got = ada.get(path).await;
        assert_eq!(said.headers["content-type"], got.headers["content-type"], "{path}");
    }
}
