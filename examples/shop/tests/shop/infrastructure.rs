//! What stands behind the services is locked, slow or away, or they answer what nobody can read: what the customers see, and what
//! is left of it.

use super::customer::{Customer, Said, at_last, say};
use super::ops::{Ops, check, until};
use super::process::{Shop, folder};
use super::protect::switch;
use http::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Whatever does not answer was told so, and may be asked again.
fn is_no_answer(said: &Said) -> bool {
    said.status == 503 || said.status == 504
}

/// Orders again with a key until it is placed, and returns it when it is settled.
async fn insists(ada: &Customer<'_>, key: &str) -> Value {
    let placed = async || ada.order(key, &[("tea-mint", 1)]).await.status.is_success();
    until("the order is placed", placed).await;
    let order = ada.order(key, &[("tea-mint", 1)]).await;
    ada.settled(order.text("id")).await
}

/// What is read in spite of a fault is there, at the latest when the machine has the time.
async fn is_read(ada: &Customer<'_>, path: &str) {
    let said = at_last(|| ada.get(path)).await;
    assert_eq!(said.status, 200, "{said:?}");
}

pub async fn number(ops: &Ops<'_>, layer: &str, name: &str, number: &str) -> f64 {
    let layers = ops.layers(layer, name).await;
    layers.first().and_then(|it| it["numbers"][number].as_f64()).unwrap_or_else(|| panic!("{layers:?}"))
}

/// What the breakers of a call have heard of.
async fn failures(ops: &Ops<'_>, call: &str) -> f64 {
    let breakers = ops.layers("breaker", call).await;
    breakers.iter().filter_map(|it| it["numbers"]["failures"].as_f64()).sum()
}

#[tokio::test]
async fn a_store_that_is_locked_is_read_and_not_written() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
    let before = insists(&ada, "before").await;
    let path = format!("/api/v1/orders/{}", before["id"].as_str().unwrap());
    ops.set("order", "db_locked", json!({ "ttl_s": 600 })).await;
    ops.wish(json!({ "target": "order", "kind": "db_locked" })).await.is_problem(409);
    let said = ada.order("during", &[("tea-mint", 1)]).await;
    assert!(is_no_answer(&said), "{said:?}");
    is_read(&ada, &path).await;
    is_read(&ada, "/api/v1/products").await;
    let seen = async || {
        let incidents = ops.get("/incidents").await.body["incidents"].as_array().unwrap().clone();
        incidents.iter().any(|it| it["type"] == "db_locked" && it["detected"].is_i64())
    };
    until("the incident is detected", seen).await;
    ops.clear().await;
    assert_eq!(insists(&ada, "during").await["status"], "CONFIRMED");

    // What is placed meanwhile waits for its goods, or was told no.
    ops.set("product", "db_locked", json!({ "ttl_s": 600 })).await;
    let waits = ada.order("waits", &[("tea-mint", 1)]).await;
    assert!(waits.status == 202 || is_no_answer(&waits), "{waits:?}");
    is_read(&ada, "/api/v1/products/tea-mint").await;
    ops.clear().await;
    assert_eq!(insists(&ada, "waits").await["status"], "CONFIRMED");
    check(folder.path(), shop.base).await;
}

/// The lock is put in again with the fault that lasts, and is gone with it.
#[tokio::test]
async fn a_lock_outlives_the_shop() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ada = Customer::new(&shop).await;
    let email = ada.email.clone();
    Ops(&shop).set("order", "db_locked", json!({ "ttl_s": 600 })).await;
    assert_eq!(shop.stop("TERM").await, Some(0));
    let shop = Shop::open(folder.path()).await;
    // Whoever asks for the faults is told when all that last are done again; before, the store may still be free.
    assert_eq!(Ops(&shop).faults().await[0]["kind"], "db_locked");
    let ada = Customer::log_in(&shop, email).await;
    assert!(is_no_answer(&ada.order("k", &[("tea-mint", 1)]).await));
    Ops(&shop).clear().await;
    assert_eq!(insists(&ada, "k").await["status"], "CONFIRMED");
}

#[tokio::test]
async fn a_slow_store_takes_its_time() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
    assert_eq!(insists(&ada, "before").await["status"], "CONFIRMED");
    ops.set("order", "db_slow", json!({ "ms": 150, "ttl_s": 600 })).await;
    let began = Instant::now();
    let order = at_last(|| ada.order("slow", &[("tea-mint", 1)])).await;
    assert!(order.status == 201 || order.status == 202, "{order:?}");
    assert!(Instant::now() - began >= Duration::from_millis(300), "two commits at least");
    ops.clear().await;
    assert_eq!(ada.settled(order.text("id")).await["status"], "CONFIRMED");
    // No deadline is so long.
    ops.set("order", "db_slow", json!({ "ms": 4000, "ttl_s": 600 })).await;
    let said = ada.order("late", &[("tea-mint", 1)]).await;
    assert!(is_no_answer(&said), "{said:?}");
    ops.clear().await;
    assert_eq!(insists(&ada, "late").await["status"], "CONFIRMED");
    check(folder.path(), shop.base).await;
}

#[tokio::test]
async fn what_nobody_can_read_is_a_failure() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
    switch(&ops, "gateway->product", "stale", false).await;
    ops.until("stale", "gateway->product", "disabled").await;
    // Of two replicas the other one is asked, and the breaker of the first hears of it.
    ops.set("product-1", "schema", json!({ "ttl_s": 600 })).await;
    let heard = async || {
        let said = ada.get("/api/v1/products").await;
        assert!(said.status == 200 || is_no_answer(&said), "{said:?}");
        number(&ops, "breaker", "gateway->product-1", "failures").await >= 1.0
    };
    until("the breaker hears of it", heard).await;
    ops.clear().await;
    ops.set("product", "schema", json!({ "ttl_s": 600 })).await;
    let bad = async || {
        let said = ada.get("/api/v1/products").await;
        assert!(said.status == 502 || is_no_answer(&said), "{said:?}");
        said.status == 502
    };
    until("it is a bad gateway", bad).await;
    // Nothing that was said like that is believed: neither that goods are sold nor that money is paid.
    let first = ada.order("first", &[("tea-mint", 1)]).await;
    assert!(first.status == 202 || is_no_answer(&first), "{first:?}");
    ops.clear().await;
    ops.set("order->payment", "schema", json!({ "ttl_s": 600 })).await;
    let before = failures(&ops, "order->payment").await;
    let waits = ada.order("waits", &[("tea-mint", 1)]).await;
    assert!(waits.status == 202 || is_no_answer(&waits), "{waits:?}");
    until("the breakers hear of it", async || failures(&ops, "order->payment").await > before).await;
    ops.clear().await;
    assert_eq!(insists(&ada, "first").await["status"], "CONFIRMED");
    check(folder.path(), shop.base).await;
}

#[tokio::test]
async fn a_fault_may_be_for_those_alone_who_ask_for_it() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
    let order = async |key: &str, scope: Option<&str>| {
        let items = json!({ "items": [{ "product_id": "tea-mint", "quantity": 1 }] });
        let order = ada.request(Method::POST, "/api/v1/orders").header("idempotency-key", key);
        let order = match scope {
            Some(scope) => order.header("x-shop-fault", scope),
            None => order,
        };
        say(order.json(&items)).await.status.as_u16()
    };
    // An order that is confirmed at once, or is not, is known from a machine that has no time for it.
    let orders = async |key: &str, scope: Option<&str>, wanted: u16| {
        for n in 0.. {
            match order(&format!("{key}-{n}"), scope).await {
                status if status == wanted => return,
                202 if wanted == 201 && n < 20 => {}
                503 | 504 if n < 20 => sleep(Duration::from_millis(200)).await,
                status => panic!("{key}: {status}, and not {wanted}"),
            }
        }
    };
    orders("before", Some("me"), 201).await;
    // Two calls from the customer, and one of gRPC.
    for (n, target) in ["order->payment", "payment"].into_iter().enumerate() {
        ops.set(target, "error", json!({ "header": "x-shop-fault: me", "ttl_s": 600 })).await;
        assert_eq!(ops.faults().await[0]["header"], "me");
        orders(&format!("free-{n}"), None, 201).await;
        orders(&format!("other-{n}"), Some("you"), 201).await;
        orders(&format!("hurt-{n}"), Some("me"), 202).await;
        ops.clear().await;
    }
    check(folder.path(), shop.base).await;
}
