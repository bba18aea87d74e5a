//! `up --procs`: services that are processes of their own are seen and steered as those of one process are.

use super::customer::{Customer, say};
use super::ops::{Ops, until};
use super::process::{LONG, Shop, TOKEN, client, folder, free_base, program, stderr};
use super::procs::{hit, pids};
use super::protect::switch;
use http::Method;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::timeout;

/// A fault of calls is done at once by who runs, and by who starts later, until it is cleared.
#[tokio::test]
async fn faults_of_calls_are_done_in_processes() {
    let folder = folder();
    let shop = Shop::open_procs(folder.path()).await;
    let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
    let look = async || ada.get("/api/v1/products/tea-mint").await.status.as_u16();
    let fails = async || look().await >= 500;
    until("it can be looked at", async || look().await == 200).await;
    switch(&ops, "gateway->product", "all", false).await;
    ops.until("stale", "gateway->product", "disabled").await;
    ops.until("breaker", "gateway->product", "disabled").await;
    for target in ["gateway->product", "product"] {
        let first = ops.set(target, "error", json!({ "ttl_s": 600 })).await;
        assert!(fails().await, "{target}");
        let before = pids(folder.path());
        for instance in ["gateway", "product-1", "product-2"] {
            assert!(hit(folder.path(), instance, "KILL").await, "{instance}");
            until("another process", async || {
                pids(folder.path()).get(instance).is_some_and(|pid| *pid != before[instance])
            })
            .await;
            ops.until("service", instance, "up").await;
        }
        assert!(fails().await, "{target}, and a new process");
        // Another fault comes and goes, and this one stays.
        let second = ops.set("order", "delay", json!({ "ms": 1, "ttl_s": 600 })).await;
        let cleared = async |id: &str| {
            let path = format!("/faults/{id}");
            assert_eq!(say(ops.request(Method::DELETE, &path).bearer_auth(TOKEN)).await.status, 204);
        };
        cleared(&second).await;
        assert!(fails().await, "{target}, and another fault");
        cleared(&first).await;
        until("it is gone", async || look().await == 200).await;
    }
    // A fault that is over by itself is over in the processes, too.
    ops.set("product", "error", json!({ "ttl_s": 1 })).await;
    until("it is over", async || ops.faults().await.is_empty()).await;
    until("it is gone", async || look().await == 200).await;
    // Who is held is told when it goes on, and nobody waits for it for long.
    ops.set("order", "error", json!({ "ttl_s": 600 })).await;
    let order = async || ada.get("/api/v1/orders").await.status.as_u16();
    until("it fails", async || order().await >= 500).await;
    let held = ops.set("order", "pause", json!({ "ttl_s": 600 })).await;
    for fault in ops.faults().await {
        if fault["id"] != held.as_str() {
            let path = format!("/faults/{}", fault["id"].as_str().unwrap());
            assert_eq!(say(ops.request(Method::DELETE, &path).bearer_auth(TOKEN)).await.status, 204);
        }
    }
    ops.clear().await;
    until("it goes on, and fails no more", async || order().await == 200).await;
}

#[tokio::test]
async fn layers_of_processes_are_shown_and_steered() {
    let folder = folder();
    let shop = Shop::open_procs(folder.path()).await;
    let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
    super::survives::insist(&ada, "first", "tea-mint").await;
    ops.until("breaker", "order->payment", "closed").await;
    ops.until("breaker", "gateway->order POST", "closed").await;
    ops.until("store", "order", "answers").await;
    for service in ops.layers("service", "").await {
        let numbers = &service["numbers"];
        assert!(numbers["heartbeat_age_seconds"].as_f64().is_some_and(|age| age < 60.0), "{service}");
        let used = numbers["resident_bytes"].as_f64().is_some_and(|bytes| bytes > 1e6);
        assert_eq!(used, numbers["pid"].is_number(), "{service}");
    }
    let scraped = ops.get("/metrics").await.body;
    for series in ["shop_store_up{store=\"order\"}", "process_resident_memory_bytes{service=\"payment-2\"}"] {
        assert!(scraped.as_str().unwrap().contains(series), "{series}");
    }
    until("its calls are shown", async || {
        let meters = ops.layers("meter", "order->payment").await;
        let times = meters.iter().filter_map(|meter| meter["times"].as_object()).flatten();
        times.filter_map(|(_, of)| of["count"].as_u64()).any(|count| count > 0)
    })
    .await;
    let breaker = format!("{}/layers/breaker/gateway-%3Eorder%20POST", shop.at(8));
    let tell = async |order: serde_json::Value| {
        let request = shop.http.request(Method::POST, &breaker).header("bartizan-console", "test");
        say(request.bearer_auth(TOKEN).json(&order)).await
    };
    let opened = tell(json!({ "verb": "force_open" })).await;
    assert_eq!((opened.status.as_u16(), opened.text("state")), (200, "forced open"), "{opened:?}");
    ada.order("second", &[("tea-mint", 1)]).await.is_problem(503);
    tell(json!({ "verb": "explode" })).await.is_refusal(422);
    tell(json!({ "set": { "failure_ratio": 7 } })).await.is_refusal(422);
    let healed = tell(json!({ "verb": "reset" })).await;
    assert_eq!(healed.text("state"), "closed", "{healed:?}");
    // Layers that no policy knows are switched in the processes, and in those that take over from them.
    switch(&ops, "order->user", "bulkhead", false).await;
    ops.until("shed", "order->user", "disabled").await;
    ops.set("order", "restart", json!({})).await;
    ops.until("shed", "order->user", "disabled").await;
    switch(&ops, "order->user", "bulkhead", true).await;
    until("it is on again", async || {
        ops.states("shed", "order->user").await.iter().all(|state| state != "disabled")
    })
    .await;
}

#[tokio::test]
async fn nobody_is_steered_without_the_token() {
    let (folder, base) = (folder(), free_base());
    let mut torn = program(&["run", "bank"], folder.path(), base);
    let said = stderr(&mut torn.env("SHOP_STEERED", "{").spawn().unwrap()).await;
    assert!(said.starts_with("shop: SHOP_STEERED is set, and makes no sense: "), "{said}");
    let nothing = json!({ "faults": [], "off": [] });
    let mut bank = program(&["run", "bank"], folder.path(), base);
    let mut bank = bank.env("SHOP_STEERED", nothing.to_string()).spawn().unwrap();
    let mut lines = BufReader::new(bank.stdout.take().unwrap()).lines();
    let line = timeout(LONG, lines.next_line()).await.expect("it says where in time").unwrap().unwrap();
    let url = line.strip_prefix("steered at ").unwrap();
    let http = client(LONG);
    for path in ["/layers", "/spans", "/readyz", "/nowhere"] {
        say(http.get(format!("{url}{path}"))).await.is_problem(401);
    }
    let put = || http.request(Method::PUT, format!("{url}/steering"));
    say(put().json(&nothing)).await.is_problem(401);
    say(put().bearer_auth(TOKEN).json(&json!({ "faults": 7 }))).await.is_problem(422);
    assert_eq!(say(put().bearer_auth(TOKEN).json(&nothing)).await.status, 200);
}
