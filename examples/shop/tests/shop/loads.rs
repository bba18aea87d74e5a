//! Customers who come because ops is asked for them.

use super::customer::{Said, say};
use super::ops::{Ops, check};
use super::process::{LONG, Shop, TOKEN, folder};
use http::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{sleep, timeout};

async fn post(ops: &Ops<'_>, wish: &Value) -> Said {
    say(ops.request(Method::POST, "/load").bearer_auth(TOKEN).json(wish)).await
}

/// Sends customers, who must be granted.
async fn come(ops: &Ops<'_>, wish: Value) -> Value {
    let said = post(ops, &wish).await;
    assert_eq!(said.status, 201, "{said:?}");
    said.body
}

async fn until(ops: &Ops<'_>, is: impl Fn(&Value) -> bool) -> Value {
    let seen = async {
        loop {
            let told = ops.get("/load").await.body;
            if is(&told) {
                return told;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    match timeout(LONG * 2, seen).await {
        Ok(told) => told,
        Err(_) => panic!("{:#}", ops.get("/load").await.body),
    }
}

/// How many of those who run got what they came for.
fn good(told: &Value) -> u64 {
    let outcomes = &told["running"]["outcomes"];
    ["ok", "pending", "stale"].iter().filter_map(|name| outcomes[*name].as_u64()).sum()
}

#[tokio::test]
async fn a_load_comes_is_replaced_is_stopped_and_ends() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ops = Ops(&shop);
    let state = async || ops.states("load", "customers").await;
    assert_eq!(ops.get("/load").await.body, json!({ "running": null, "last": null }));
    let stranger = ops.request(Method::POST, "/load").json(&json!({ "rps": 1 }));
    say(stranger).await.is_problem(401);
    say(ops.request(Method::DELETE, "/load")).await.is_problem(401);
    for wish in
        [json!({ "rps": 0 }), json!({ "rps": 1, "for_s": 901 }), json!({ "rps": 1, "tea": 1 }), json!([50])]
    {
        post(&ops, &wish).await.is_problem(422);
    }
    assert_eq!(ops.get("/load").await.body["running"], Value::Null, "nothing has changed");

    let told = come(&ops, json!({ "rps": 40, "for_s": 600, "only": "browsing" })).await;
    assert_eq!((&told["running"]["rps"], &told["running"]["only"]), (&json!(40), &json!("browsing")));
    let told = until(&ops, |told| good(told) >= 20).await;
    let running = &told["running"];
    assert!(running["state"] == "running" && running["left_s"].as_f64() < Some(600.0), "{told:#}");
    assert!(running["goodput"].as_f64() > Some(0.0) && running["p99_ms"].as_f64() > Some(0.0), "{told:#}");
    assert_eq!(state().await, ["here"]);

    come(&ops, json!({ "rps": 20, "for_s": 600, "mix": { "order": 1, "account": 1 } })).await;
    let journal = folder.path().join("load.journal");
    let noted = || std::fs::read_to_string(&journal).is_ok_and(|text| !text.is_empty());
    let told = until(&ops, |told| good(told) >= 5 && noted()).await;
    assert_eq!((&told["last"]["ended"], &told["last"]["rps"]), (&json!("replaced"), &json!(40)));
    assert_eq!(state().await, ["here"]);

    let stopped = say(ops.request(Method::DELETE, "/load").bearer_auth(TOKEN)).await;
    assert_eq!(stopped.status, 204);
    let told = ops.get("/load").await.body;
    assert_eq!((&told["running"], &told["last"]["ended"]), (&Value::Null, &json!("stopped")));
    assert_eq!(state().await, ["away"]);

    come(&ops, json!({ "ramp": [10, 30], "for_s": 1, "only": "browsing" })).await;
    let told = until(&ops, |told| told["running"].is_null()).await;
    let last = &told["last"];
    assert_eq!(
        (&last["ended"], &last["ramp"], &last["why"]),
        (&json!("over"), &json!([10, 30]), &Value::Null)
    );
    assert!(last["goodput"].as_f64() > Some(0.0) && last["p50_ms"].as_f64() > Some(0.0), "{told:#}");
    assert_eq!(state().await, ["away"]);

    ops.set("gateway", "kill", json!({ "ttl_s": 600 })).await;
    come(&ops, json!({ "rps": 10 })).await;
    let told = until(&ops, |told| told["running"].is_null()).await;
    let why = told["last"]["why"].as_str().unwrap_or_default();
    assert!(told["last"]["ended"] == "failed" && why.contains("cannot be reached"), "{told:#}");
    ops.clear().await;
    check(folder.path(), shop.base).await;
}
