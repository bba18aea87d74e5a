//! What went wrong is written down: since when, who saw it, and when it was over.

use super::customer::Customer;
use super::ops::Ops;
use super::process::{LONG, Shop, folder};
use serde_json::{Value, json};
use sqlx::any::install_default_drivers;
use sqlx::{AnyConnection, Connection};
use std::path::Path;
use std::time::Duration;
use tokio::time::{sleep, timeout};

async fn all(ops: &Ops<'_>) -> Vec<Value> {
    ops.get("/incidents").await.body["incidents"].as_array().unwrap().clone()
}

/// Waits for an incident, and returns it.
async fn one(ops: &Ops<'_>, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    let found = async {
        loop {
            if let Some(found) = all(ops).await.into_iter().find(&is) {
                return found;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    let waited = timeout(LONG * 2, found).await;
    assert!(waited.is_ok(), "there is no incident that {what}: {:?}", all(ops).await);
    waited.unwrap()
}

/// The names of all that has shown it.
fn names(incident: &Value) -> Vec<&str> {
    let events = incident["evidence"]["events"].as_array().unwrap();
    events.iter().map(|event| event["name"].as_str().unwrap()).collect()
}

/// Its times are in order, and none is missing.
fn is_in_order(incident: &Value) {
    let at = |name: &str| incident[name].as_i64().unwrap_or_else(|| panic!("no {name} in {incident}"));
    assert!(at("started") <= at("detected") && at("detected") <= at("resolved"), "{incident}");
}

#[tokio::test]
async fn a_payment_that_is_killed_is_an_incident_with_evidence() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
    let fault = ops.set("payment", "kill", json!({ "ttl_s": 600 })).await;
    let started = one(&ops, "is the fault", |it| it["fault"] == *fault).await;
    assert_eq!((&started["type"], &started["cause"]), (&json!("kill"), &json!("payment")));
    assert_eq!(started["resolved"], Value::Null);
    let mut pending = Vec::new();
    for key in 0..10 {
        let order = ada.order(&format!("k{key}"), &[("tea-mint", 1)]).await;
        assert_eq!(order.status, 202, "{order:?}");
        pending.push(order.text("id").to_owned());
    }
    let by_breaker = |it: &Value| {
        let events = it["evidence"]["events"].as_array().unwrap();
        events.iter().any(|event| {
            event["layer"] == "breaker" && event["to"] == "open" && event["name"] == "order->payment-1"
        })
    };
    one(&ops, "a breaker has seen", by_breaker).await;
    one(&ops, "has orders under way", |it| it["evidence"]["orders_under_way"].as_u64() > Some(0)).await;
    ops.clear().await;
    for order in &pending {
        assert_eq!(ada.settled(order).await["status"], "CONFIRMED");
    }
    let over = one(&ops, "is over", |it| it["resolved"].is_i64()).await;
    is_in_order(&over);
    assert_eq!(over["id"], started["id"]);
    assert!(names(&over).iter().any(|name| name.starts_with("payment-")), "its heartbeats: {over}");
    assert_eq!(all(&ops).await.len(), 1, "all that followed from it is one incident");
    // Nothing of who buys, and no secret.
    let said = over.to_string();
    assert!(!said.contains("example.org") && !said.contains(&ada.token), "{said}");
}

#[tokio::test]
async fn a_fault_that_nobody_notices_is_over_with_its_time() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ops = Ops(&shop);
    let fault = ops.set("payment->bank", "latency", json!({ "ms": 1, "ttl_s": 1 })).await;
    let over = one(&ops, "is over", |it| it["resolved"].is_i64()).await;
    assert_eq!((&over["fault"], &over["detected"]), (&json!(fault), &Value::Null), "{over}");
    let lasted = over["resolved"].as_i64().unwrap() - over["started"].as_i64().unwrap();
    assert!(lasted >= 1000, "{over}");
    assert_eq!(names(&over), Vec::<&str>::new());
}

#[tokio::test]
async fn two_faults_at_once_are_two_incidents() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ops = Ops(&shop);
    ops.set("payment-2", "kill", json!({ "ttl_s": 600 })).await;
    ops.set("product-1", "pause", json!({ "ttl_s": 600 })).await;
    for (cause, own, other) in [("payment-2", "payment", "product"), ("product-1", "product", "payment")] {
        let seen = |it: &Value| it["cause"] == cause && names(it).iter().any(|name| name.contains(own));
        let seen = one(&ops, "has been seen", seen).await;
        assert!(seen["detected"].is_i64(), "{seen}");
        let names = names(&seen);
        assert!(!names.iter().any(|name| name.contains(&format!("->{other}"))), "{seen}");
    }
    ops.clear().await;
    for cause in ["payment-2", "product-1"] {
        let over = |it: &Value| it["cause"] == cause && it["resolved"].is_i64();
        is_in_order(&one(&ops, "is over", over).await);
    }
    let newest = ops.get("/incidents?limit=1").await;
    let newest = newest.body["incidents"].as_array().unwrap();
    assert_eq!((newest.len(), &newest[0]["cause"]), (1, &json!("product-1")));
    for bad in ["/incidents?limit=0", "/incidents?limit=501", "/incidents?limit=all", "/incidents?sort=up"] {
        ops.get(bad).await.is_problem(422);
    }
}

#[tokio::test]
async fn an_incident_outlives_a_shop_that_is_killed() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    Ops(&shop).set("user", "kill", json!({ "ttl_s": 600 })).await;
    let before = one(&Ops(&shop), "has been seen", |it| it["detected"].is_i64()).await;
    shop.stop("KILL").await;
    let shop = Shop::open(folder.path()).await;
    let ops = Ops(&shop);
    ops.until("service", "user", "killed").await;
    ops.clear().await;
    let over = one(&ops, "is over", |it| it["resolved"].is_i64()).await;
    is_in_order(&over);
    for same in ["id", "started", "detected"] {
        assert_eq!(over[same], before[same], "{same}");
    }
    assert_eq!(all(&ops).await.len(), 1);
}

#[tokio::test]
async fn a_bus_that_is_locked_is_an_incident_without_a_fault() {
    let folder = folder();
    // A queue in a file, whatever the others have.
    let shop = Shop::open_with(folder.path(), &[("AMQP_URL", "")]).await;
    let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
    let mut bus = lock(folder.path(), "bus").await;
    // The relay has something to hand over, and cannot.
    ada.order("k1", &[("tea-mint", 1)]).await;
    let of_bus = |name: &str| name == "bus" || name.ends_with("->bus");
    let seen = one(&ops, "is about the bus", |it| of_bus(it["cause"].as_str().unwrap())).await;
    // Which is seen first: that its file is locked, or the breaker of who needs it.
    assert!(seen["type"] == "store_locked" || seen["type"] == "breaker_open", "{seen}");
    assert_eq!(seen["fault"], Value::Null, "{seen}");
    sqlx::raw_sql("ROLLBACK").execute(&mut bus).await.unwrap();
    bus.close().await.unwrap();
    let over = one(&ops, "is over", |it| it["id"] == seen["id"] && it["resolved"].is_i64()).await;
    is_in_order(&over);
    assert!(names(&over).iter().all(|name| of_bus(name)), "{over}");
}

/// Somebody else writes to a store, and does not come to an end.
async fn lock(folder: &Path, store: &str) -> AnyConnection {
    install_default_drivers();
    let url = format!("sqlite://{}", folder.join(format!("{store}.db")).display());
    let mut connection = AnyConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
    connection
}
