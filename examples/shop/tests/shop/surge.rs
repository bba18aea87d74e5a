//! A crowd at the gateway.

use super::customer::{Customer, PASSWORD, say};
use super::ops::{Ops, check};
use super::process::{LONG, Shop, folder};
use super::protect::switch;
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

/// Waits until nothing is in flight anywhere, nobody waits, and what was admitted has ended.
pub async fn all_is_given_back(ops: &Ops<'_>) {
    let back = async {
        loop {
            let sheds = ops.layers("shed", "").await;
            let none = |name: &str| sheds.iter().all(|it| it["numbers"][name] == 0);
            if sheds.len() >= 15 && none("in_flight") && none("queued") {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = timeout(LONG, back).await;
    assert!(waited.is_ok(), "{:#?}", ops.layers("shed", "").await);
}

#[tokio::test]
async fn checkout_goes_on_while_a_crowd_is_refused() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
    // Else who is refused sees an older page.
    switch(&ops, "gateway->product", "stale", false).await;
    ops.until("stale", "gateway->product", "disabled").await;
    ops.set("gateway->product", "latency", json!({ "ms": 100, "ttl_s": 600 })).await;
    ops.set("gateway", "load", json!({ "share": 0.16, "ttl_s": 600 })).await;
    let number = |crowd: &Value, name: &str| crowd["numbers"][name].as_u64().unwrap();
    let many = |crowd: &Value| number(crowd, "refused") >= 300 && number(crowd, "served") >= 50;
    until(&ops, many).await;
    for key in 0..10 {
        let ordered = async {
            // On a machine that has no time for it, it may come too late, and is asked for again.
            while !matches!(
                ada.order(&format!("k{key}"), &[("tea-mint", 1)]).await.status.as_u16(),
                201 | 202
            ) {
                sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(LONG, ordered).await.expect("orders are served");
    }
    let refused = async {
        loop {
            // Whatever it says of itself.
            let look = shop.http.get(shop.url("/api/v1/products")).header("x-request-priority", "0");
            let said = say(look).await;
            if said.status == 503 {
                return said;
            }
        }
    };
    let refused = timeout(LONG, refused).await.expect("the crowd is too much");
    refused.is_refusal(503);
    assert!(refused.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1, "{refused:?}");

    ops.clear().await;
    let normal = async {
        while ada.get("/api/v1/products").await.status != 200 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, normal).await.expect("all is as before, without a restart");
    until(&ops, |crowd| crowd["numbers"]["in_flight"] == 0).await;
    all_is_given_back(&ops).await;
    let sheds = ops.layers("shed", "gateway").await;
    let orders: u64 = sheds.iter().map(|it| it["numbers"]["refused_critical"].as_u64().unwrap()).sum();
    let looks = number(&crowd(&ops).await, "refused");
    assert!(orders * 10 <= looks, "{orders} orders and {looks} who looked were refused");
    check(folder.path(), shop.base).await;
}

/// Passwords take long. Whoever cannot be served in time is told so, and all others are.
#[tokio::test]
async fn many_who_log_in_at_once_are_served_or_refused() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ada = Customer::new(&shop).await;
    let mut log_ins = Vec::new();
    for _ in 0..64 {
        let body = json!({ "email": ada.email, "password": PASSWORD });
        log_ins.push(tokio::spawn(say(shop.http.post(shop.url("/api/v1/sessions")).json(&body))));
    }
    let mut served = 0;
    for said in log_ins {
        let said = said.await.unwrap();
        if said.status != 200 {
            said.is_refusal(503);
            assert!(said.headers.contains_key("retry-after"), "{said:?}");
            continue;
        }
        served += 1;
    }
    assert!(served >= 4, "{served}");
    all_is_given_back(&Ops(&shop)).await;
}
