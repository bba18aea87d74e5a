//! The document that the page draws: the customers of the shop, and the verdict on it.

use super::customer::say;
use super::ops::Ops;
use super::process::{LONG, Shop, TOKEN, folder};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::{sleep, timeout};

async fn document(shop: &Shop) -> Value {
    let said = say(shop.http.get(format!("{}/stage", shop.at(8)))).await;
    assert_eq!(said.status, 200, "{said:?}");
    said.body
}

async fn until(shop: &Shop, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    let seen = async {
        loop {
            let document = document(shop).await;
            if is(&document) {
                return document;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    match timeout(LONG * 3, seen).await {
        Ok(document) => document,
        Err(_) => panic!("{what}: {}", document(shop).await["verdict"]),
    }
}

async fn customers(shop: &Shop, on: bool) {
    let come =
        shop.http.post(format!("{}/customers", shop.at(8))).bearer_auth(TOKEN).json(&json!({ "on": on }));
    let said = say(come).await;
    assert_eq!((said.status.as_u16(), said.body), (200, json!({ "on": on })));
}

fn orders(document: &Value) -> usize {
    let cells = document["customers"].as_array().unwrap().iter();
    cells.filter(|cell| cell["journey"] == "order" && cell["outcome"] != "idle").count()
}

#[tokio::test]
async fn customers_shop_while_somebody_watches_and_the_verdict_finds_who_fails() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ops = Ops(&shop);
    let rest = document(&shop).await;
    assert_eq!((&rest["counts"]["idle"], &rest["scene"]), (&json!(64), &Value::Null));
    assert_eq!(rest["customers"].as_array().unwrap().len(), 64);

    customers(&shop, true).await;
    let busy =
        until(&shop, "they order", |it| orders(it) >= 5 && it["counts"]["idle"].as_u64() == Some(0)).await;
    let cells = busy["customers"].as_array().unwrap();
    let journeys: BTreeSet<_> = cells.iter().map(|cell| cell["journey"].as_str().unwrap()).collect();
    assert!(journeys.contains("browse") && !journeys.contains("rest"), "{journeys:?}");
    // The gateway names the trace to its own load.
    assert!(cells.iter().any(|cell| cell["trace"].as_str().is_some_and(|id| id.len() == 32)), "{cells:?}");
    let seconds = busy["timeline"]["seconds"].as_array().unwrap();
    assert!(seconds.iter().any(|it| it["good"].as_u64() > Some(0) && it["p50_ms"].is_u64()), "{seconds:?}");

    ops.set("payment", "kill", json!({ "ttl_s": 600 })).await;
    let down = until(&shop, "payment is down", |it| {
        let verdict = &it["verdict"];
        verdict["failing"] == json!(["payment-1", "payment-2", "payment-3"])
            && !verdict["protected_by"].is_null()
    });
    let down = down.await;
    let sentence = down["verdict"]["sentence"].as_str().unwrap();
    assert!(sentence.starts_with("Payment is down: 3 of 3 replicas."), "{sentence}");
    let pinned = |document: &Value, kind: &str, text: &str| {
        let mut pins = document["pins"].as_array().unwrap().iter();
        pins.any(|pin| pin["kind"] == kind && pin["text"] == text)
    };
    until(&shop, "a pin", |it| pinned(it, "fault", "payment: kill")).await;
    ops.clear().await;
    until(&shop, "another pin", |it| pinned(it, "cleared", "payment: kill is over")).await;
    until(&shop, "payment is back", |it| it["verdict"]["failing"].as_array().is_some_and(Vec::is_empty))
        .await;

    customers(&shop, false).await;
    until(&shop, "they rest", |it| it["counts"]["idle"] == 64).await;
}

#[tokio::test]
async fn a_stream_tells_the_same_and_brings_customers_along() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let mut stream = shop.http.get(format!("{}/stage/stream", shop.at(8))).send().await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let mut text = String::new();
    let told = async {
        loop {
            let chunk = stream.chunk().await.unwrap().expect("it does not end");
            text.push_str(std::str::from_utf8(&chunk).unwrap());
            let events: Vec<_> =
                text.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).collect();
            let documents: Vec<Value> =
                events.iter().filter_map(|it| serde_json::from_str(it).ok()).collect();
            if documents.iter().any(|it| it["counts"]["ok"].as_u64() > Some(5)) {
                return documents;
            }
        }
    };
    let documents = timeout(LONG * 2, told).await.expect("they shop");
    assert!(documents.iter().all(|it| it["timeline"]["seconds"].as_array().unwrap().len() <= 2));
    drop(stream);
    until(&shop, "nobody watches any more", |it| it["counts"]["idle"] == 64).await;
}

#[tokio::test]
async fn who_plays_a_scene_shows_the_token_and_says_which() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let url = format!("{}/scene", shop.at(8));
    let scene = json!({ "n": 2, "of": 9, "title": "Payment", "caption": "It fails." });
    say(shop.http.put(&url).json(&scene)).await.is_problem(401);
    say(shop.http.post(format!("{}/customers", shop.at(8))).json(&json!({ "on": true })))
        .await
        .is_problem(401);
    for wrong in [
        json!({ "n": 10, "of": 9, "title": "Payment", "caption": "It fails." }),
        json!({ "n": 0, "of": 9, "title": "Payment", "caption": "It fails." }),
        json!({ "n": 1, "of": 9, "title": "", "caption": "It fails." }),
        json!({ "n": 1, "of": 9, "title": "Payment", "caption": "x".repeat(501) }),
    ] {
        say(shop.http.put(&url).bearer_auth(TOKEN).json(&wrong)).await.is_problem(422);
    }
    assert_eq!(document(&shop).await["scene"], Value::Null);
    assert_eq!(say(shop.http.put(&url).bearer_auth(TOKEN).json(&scene)).await.status, 204);
    let shown = document(&shop).await;
    assert_eq!(shown["scene"], scene);
    assert!(shown["pins"].as_array().unwrap().iter().any(|pin| pin["text"] == "2. Payment"), "{shown}");
    assert_eq!(say(shop.http.delete(&url).bearer_auth(TOKEN)).await.status, 204);
    assert_eq!(document(&shop).await["scene"], Value::Null);
}
