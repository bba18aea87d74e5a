//! A crowd at the gateway.

use super::ops::Ops;
use super::process::{LONG, Shop, folder};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// What the console tells of the crowd.
async fn crowd(ops: &Ops<'_>) -> Value {
    let mut crowd = ops.layers("load", "gateway").await;
    assert_eq!(crowd.len(), 1, "{crowd:?}");
    crowd.remove(0)
}

/// Waits until the crowd is as it should be.
async fn until(ops: &Ops<'_>, is: impl Fn(&Value) -> bool) -> Value {
    let seen = async {
        loop {
            let crowd = crowd(ops).await;
            if is(&crowd) {
                return crowd;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    match timeout(LONG * 2, seen).await {
        Ok(crowd) => crowd,
        Err(_) => panic!("{}", crowd(ops).await),
    }
}

#[tokio::test]
async fn a_crowd_comes_and_goes_with_its_fault() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ops = Ops(&shop);
    assert_eq!(crowd(&ops).await["state"], "away");
    let fault = ops.set("gateway", "load", json!({ "share": 0.01, "ttl_s": 600 })).await;
    let here = until(&ops, |crowd| crowd["numbers"]["served"].as_f64() >= Some(20.0)).await;
    assert_eq!((&here["state"], &here["numbers"]["a_second"]), (&json!("here"), &json!(50)));
    let faults = ops.faults().await;
    assert_eq!((faults.len(), &faults[0]["id"], &faults[0]["kind"]), (1, &json!(fault), &json!("load")));

    ops.wish(json!({ "target": "gateway", "kind": "load" })).await.is_problem(409);
    ops.clear().await;
    let gone = until(&ops, |crowd| crowd["numbers"]["in_flight"] == 0).await;
    assert_eq!((&gone["state"], &gone["numbers"]["a_second"]), (&json!("away"), &json!(0)));
    let offered = &gone["numbers"]["offered"];
    sleep(Duration::from_millis(300)).await;
    assert_eq!(&crowd(&ops).await["numbers"]["offered"], offered, "nobody comes any more");

    ops.set("gateway", "load", json!({ "share": 0.01, "ttl_s": 1 })).await;
    until(&ops, |crowd| crowd["state"] == "away").await;
    assert_eq!(ops.faults().await, Vec::<Value>::new());
}
