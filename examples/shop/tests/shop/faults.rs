//! What can be done to the shop on purpose, and what comes of it.

use super::customer::{Customer, at_last, say};
use super::ops::{Ops, check, command};
use super::process::{LONG, Shop, TOKEN, at, folder};
use super::protect::switch;
use super::survives::insist;
use http::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

#[tokio::test]
async fn a_bad_fault_gets_a_precise_no_and_changes_nothing() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ops = Ops(&shop);
    let good = json!({ "target": "payment", "kind": "kill", "ttl_s": 60 });
    say(ops.request(Method::POST, "/faults").json(&good)).await.is_problem(401);
    say(ops.request(Method::POST, "/faults").bearer_auth("guess").json(&good)).await.is_problem(401);
    say(ops.request(Method::DELETE, "/faults")).await.is_problem(401);
    for (field, value) in [
        ("target", json!("warehouse")),
        ("target", json!("payment-4")),
        ("target", json!("payment->order")),
        ("target", json!("ops")),
        ("kind", json!("earthquake")),
        ("share", json!(0.5)),
        ("ttl_s", json!(0)),
        ("ttl_s", json!(901)),
        ("ttl_s", json!("soon")),
        ("ms", json!(-1)),
        ("sahre", json!(1)),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        let said = ops.wish(bad).await;
        said.is_problem(422);
        assert!(said.text("detail").contains(field), "{said:?}");
    }
    let broken = ops.request(Method::POST, "/faults").bearer_auth(TOKEN);
    say(broken.header("content-type", "application/json").body("{")).await.is_problem(400);
    let id = format!("/faults/{}", "0".repeat(36));
    say(ops.request(Method::DELETE, &id).bearer_auth(TOKEN)).await.is_problem(404);
    assert_eq!(ops.faults().await, Vec::<Value>::new());
    assert_eq!(ops.states("service", "payment").await, ["up", "up", "up"]);
    let foreign = ops.request(Method::GET, "/layers").header("host", "shop.example.org");
    say(foreign).await.is_problem(421);
}

#[tokio::test]
async fn a_killed_replica_is_passed_over_and_comes_back() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
    let fault = ops.set("payment-2", "kill", json!({ "ttl_s": 600 })).await;
    assert_eq!(ops.states("service", "payment").await, ["up", "killed", "up"]);
    let port = shop.base + 6;
    assert!(std::net::TcpListener::bind(("127.0.0.1", port)).is_ok(), "nobody listens on {port}");
    let mut orders = Vec::new();
    for key in 0..60 {
        let order = insist(&ada, &format!("k{key}"), "tea-mint").await;
        assert!(order.status == 201 || order.status == 202, "{order:?}");
        orders.push(order);
    }
    assert_eq!(ops.states("breaker", "order->payment-1").await, ["closed"]);
    // Its heartbeats say so first, and then the registry, which names it no more.
    let endpoint = format!("order->payment/{}", at(port));
    let down = async {
        while ops.states("endpoint", &endpoint).await.iter().any(|state| state != "down") {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(LONG, down).await.expect("it is found to be down");
    // The others are asked instead.
    let asked = async || {
        let endpoints = ops.layers("endpoint", &endpoint).await;
        let answers = ["successes", "failures", "unanswered"];
        let counts =
            endpoints.iter().flat_map(|it| answers.map(|answer| it["numbers"][answer].as_f64().unwrap()));
        counts.sum::<f64>()
    };
    let before = asked().await;
    for key in 60..80 {
        orders.push(insist(&ada, &format!("k{key}"), "tea-mint").await);
    }
    assert!(asked().await <= before, "nobody asks it");

    let gone = say(ops.request(Method::DELETE, &format!("/faults/{fault}")).bearer_auth(TOKEN)).await;
    assert_eq!(gone.status, 204);
    assert_eq!(ops.states("service", "payment").await, ["up", "up", "up"]);
    for order in &orders {
        assert_eq!(ada.settled(order.text("id")).await["status"], "CONFIRMED");
    }
    let back = async {
        while ops.states("endpoint", &endpoint).await != ["up"] {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(LONG * 2, back).await.expect("it is back");
    check(folder.path(), shop.base).await;
}

#[tokio::test]
async fn a_held_service_says_nothing_and_goes_on() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
    ops.set("product", "pause", json!({ "ttl_s": 600 })).await;
    assert_eq!(ops.states("service", "product").await, ["paused", "paused"]);
    let said = ada.get("/api/v1/products").await;
    assert!(said.status == 503 || said.status == 504, "{said:?}");
    ops.clear().await;
    assert_eq!(ops.states("service", "product").await, ["up", "up"]);
    let again = async {
        while ada.get("/api/v1/products").await.status != 200 {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(LONG, again).await.expect("it goes on");
}

#[tokio::test]
async fn a_fault_expires_by_itself() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
    ops.set("user", "kill", json!({ "ttl_s": 1 })).await;
    ops.set("gateway->product", "error", json!({ "ttl_s": 1 })).await;
    ops.until("service", "user", "up").await;
    let none = async {
        while !ops.faults().await.is_empty() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, none).await.expect("they expire");
    let well = async {
        while ada.get("/api/v1/products").await.status != 200 {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(LONG, well).await.expect("browsing is well again");
}

#[tokio::test]
async fn faults_outlive_the_shop() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    Ops(&shop).set("payment", "kill", json!({ "ttl_s": 600 })).await;
    Ops(&shop).set("product", "delay", json!({ "ttl_s": 600, "ms": 5, "share": 0.25 })).await;
    let before = Ops(&shop).faults().await;
    assert_eq!(shop.stop("TERM").await, Some(0));
    let shop = Shop::open(folder.path()).await;
    let ops = Ops(&shop);
    ops.until("service", "payment", "killed").await;
    assert_eq!(ops.faults().await, before);
    ops.clear().await;
    ops.until("service", "payment", "up").await;
}

/// A replica that has just been replaced is killed with the one that took over.
#[tokio::test]
async fn nothing_of_what_is_killed_answers() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ops = Ops(&shop);
    let mut old = TcpStream::connect(("127.0.0.1", shop.base + 2)).await.unwrap();
    let (request, mut answer) = (b"GET /readyz HTTP/1.1\r\nhost: shop\r\n\r\n", [0; 1024]);
    old.write_all(request).await.unwrap();
    assert_ne!(timeout(LONG, old.read(&mut answer)).await.expect("an answer").unwrap(), 0);
    ops.set("product-1", "restart", json!({})).await;
    ops.set("product-1", "kill", json!({ "ttl_s": 600 })).await;
    let _ = old.write_all(request).await;
    let said = timeout(LONG, old.read(&mut answer)).await.expect("the connection is cut");
    assert_eq!(said.unwrap_or(0), 0, "{}", String::from_utf8_lossy(&answer));
}

/// Somebody else has taken the port of a replica that was killed.
#[tokio::test]
async fn a_replica_waits_for_its_port() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ops = Ops(&shop);
    ops.set("payment-2", "kill", json!({ "ttl_s": 600 })).await;
    let thief = std::net::TcpListener::bind(("127.0.0.1", shop.base + 6)).unwrap();
    ops.clear().await;
    assert_eq!(ops.states("service", "payment").await, ["up", "down", "up"]);
    drop(thief);
    ops.until("service", "payment", "up").await;
}

/// The smallest share is still one when the shop is opened again.
#[tokio::test]
async fn a_tiny_share_outlives_the_shop() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    Ops(&shop).set("order", "delay", json!({ "share": 1e-9, "ttl_s": 600 })).await;
    assert_eq!(shop.stop("TERM").await, Some(0));
    let shop = Shop::open(folder.path()).await;
    assert_eq!(Ops(&shop).faults().await[0]["share"], 1e-6);
}

/// What a fault of a kind, on a target, makes of a request for the products.
async fn browse(
    ops: &Ops<'_>,
    ada: &Customer<'_>,
    target: &str,
    kind: &str,
    more: Value,
) -> super::customer::Said {
    let id = ops.set(target, kind, more).await;
    let said = ada.get("/api/v1/products").await;
    let cleared = say(ops.request(Method::DELETE, &format!("/faults/{id}")).bearer_auth(TOKEN)).await;
    assert_eq!(cleared.status, 204);
    // So many good answers that no breaker makes anything of a few bad ones.
    for _ in 0..6 {
        assert_eq!(at_last(|| ada.get("/api/v1/products")).await.status, 200);
    }
    said
}

#[tokio::test]
async fn faults_of_calls_do_what_they_are_called() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
    // Else an older page is shown in the place of what fails.
    switch(&ops, "gateway->product", "stale", false).await;
    ops.until("stale", "gateway->product", "disabled").await;
    for target in ["product", "gateway->product"] {
        let said = browse(&ops, &ada, target, "error", json!({})).await;
        assert!(said.status.is_server_error(), "{target}: {said:?}");
        browse(&ops, &ada, target, "hang", json!({})).await.is_refusal(504);
        browse(&ops, &ada, target, "blackhole", json!({})).await.is_refusal(504);
        browse(&ops, &ada, target, "reset", json!({})).await.is_problem(503);
        browse(&ops, &ada, target, "latency", json!({ "ms": 10_000 })).await.is_refusal(504);
        browse(&ops, &ada, target, "reply_lost", json!({})).await.is_refusal(504);
        let said = browse(&ops, &ada, target, "delay", json!({ "ms": 1 })).await;
        assert_eq!(said.status, 200, "{target}: {said:?}");
    }
    let said = browse(&ops, &ada, "product", "panic", json!({})).await;
    assert_eq!((said.status.as_u16(), said.text("type")), (500, "urn:shop:problem:internal"), "{said:?}");
    let said = browse(&ops, &ada, "gateway", "error", json!({})).await;
    assert!(said.status.is_server_error(), "{said:?}");
    assert_eq!(ada.get("/api/v1/products").await.status, 200);
}

/// Customers browse and order while every service is replaced, some more than once.
#[tokio::test]
async fn nobody_notices_a_restart() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
    let restarts = async {
        for (target, kind) in [
            ("gateway", "restart"),
            ("order", "restart"),
            ("user", "restart"),
            ("product", "rolling"),
            ("payment", "rolling"),
        ] {
            ops.set(target, kind, json!({})).await;
        }
    };
    let shopping = async {
        for key in 0.. {
            let products = ada.get("/api/v1/products").await;
            assert_eq!(products.status, 200, "{products:?}");
            let order = ada.order(&format!("k{key}"), &[("tea-mint", 1)]).await;
            assert_eq!(order.status, 201, "{order:?}");
        }
    };
    tokio::select! {
        () = shopping => {}
        () = restarts => {}
    }
    assert_eq!(ada.order("after", &[("tea-mint", 1)]).await.status, 201);
    let restarts = ops.layers("service", "").await;
    let replaced = restarts.iter().filter(|it| it["numbers"]["restarts"] == 1.0).count();
    assert_eq!(replaced, 8, "gateway, order, user, two products and three payments: {restarts:?}");
    assert_eq!(ops.faults().await, Vec::<Value>::new(), "a restart is over when it is done");
    check(folder.path(), shop.base).await;
}

#[tokio::test]
async fn a_restart_leaves_alone_what_is_killed_or_held() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ops = Ops(&shop);
    let restarts = async || {
        let services = ops.layers("service", "payment").await;
        services.iter().map(|it| it["numbers"]["restarts"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    ops.set("payment-1", "kill", json!({ "ttl_s": 600 })).await;
    ops.set("payment-2", "pause", json!({ "ttl_s": 600 })).await;
    ops.set("payment", "restart", json!({})).await;
    assert_eq!(restarts().await, [0, 0, 1]);
    assert_eq!(ops.states("service", "payment").await, ["killed", "paused", "up"]);
    ops.wish(json!({ "target": "payment-1", "kind": "restart" })).await.is_problem(409);
    assert_eq!(restarts().await, [0, 0, 1]);
    ops.clear().await;
    assert_eq!(ops.states("service", "payment").await, ["up", "up", "up"]);
    ops.set("payment", "rolling", json!({})).await;
    assert_eq!(restarts().await, [1, 1, 2]);
}

#[tokio::test]
async fn the_command_line_sets_lists_and_clears() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let fault = async |args: &[&str]| command(&[&["fault"], args].concat(), folder.path(), shop.base).await;
    let (code, id) =
        fault(&["set", "order->payment", "latency", "--ms", "50", "--share", "0.5", "--ttl", "90"]).await;
    assert_eq!(code, Some(0), "{id}");
    let (code, list) = fault(&["list"]).await;
    assert_eq!(code, Some(0), "{list}");
    assert!(list.contains(id.trim()) && list.contains("order->payment  latency  50 %  50 ms"), "{list}");
    let (code, said) = fault(&["set", "warehouse", "kill"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.starts_with("shop: ") && said.contains("`target` must be one of"), "{said}");
    assert_ne!(fault(&["set", "order", "earthquake"]).await.0, Some(0));
    assert_ne!(fault(&["set", "order", "error", "--share", "NaN"]).await.0, Some(0));
    assert_eq!(fault(&["clear", id.trim()]).await.0, Some(0));
    assert_eq!(fault(&["list"]).await, (Some(0), String::new()));
    assert_eq!(fault(&["clear", id.trim()]).await.0, Some(1), "it is gone");
    assert_eq!(fault(&["clear"]).await.0, Some(0), "none is left either way");
}
