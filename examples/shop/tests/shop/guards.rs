//! The layers of `stacks.rs` at work.

use super::bank::{Bank, Mood};
use super::customer::{Customer, say};
use super::process::{Shop, folder};
use reqwest::Method;
use serde_json::json;

/// customer → gateway → order → payment (gRPC) → bank: what the customer grants is what is left for the bank.
#[tokio::test]
async fn a_deadline_goes_along_from_the_customer_to_the_bank() {
    let (folder, bank) = (folder(), Bank::open(Mood::Good).await);
    let shop = Shop::open_with(folder.path(), &[("BANK_URL", &bank.url)]).await;
    let ada = Customer::new(&shop).await;
    assert_eq!(ada.order("unhurried", &[("tea-mint", 1)]).await.status, 201);
    let unhurried = bank.patience();
    assert!(unhurried.iter().all(|ms| (201..=250).contains(ms)), "{unhurried:?}: the attempt's own limit");

    // On a machine that is busy right now, the time may be up before the bank is asked; then once more.
    for hurried in 0..50 {
        let order = ada.request(Method::POST, "/api/v1/orders").header("x-request-timeout-ms", "200");
        let order = order.header("idempotency-key", format!("hurried-{hurried}"));
        let items = json!({ "items": [{ "product_id": "tea-mint", "quantity": 1 }] });
        let said = say(order.json(&items)).await;
        if said.status == 201 {
            break;
        }
        said.is_refusal(504);
    }
    let hurried = bank.patience().split_off(unhurried.len());
    assert!(!hurried.is_empty() && hurried.iter().any(|ms| *ms < 200), "{hurried:?}");
}

#[tokio::test]
async fn no_time_at_all_is_refused_before_anything_happens() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ada = Customer::new(&shop).await;
    let order = ada.request(Method::POST, "/api/v1/orders").header("x-request-timeout-ms", "0");
    let items = json!({ "items": [{ "product_id": "tea-mint", "quantity": 1 }] });
    say(order.header("idempotency-key", "k").json(&items)).await.is_refusal(504);
    assert_eq!(ada.get("/api/v1/orders").await.body, json!({ "orders": [] }));
}

/// A bank that fails is not asked for a while, and asked again when it is well. No order is lost meanwhile.
#[cfg(feature = "stage")]
#[tokio::test]
async fn the_breaker_before_the_bank_opens_and_closes() {
    let (folder, bank) = (folder(), Bank::open(Mood::Broken).await);
    let shop = Shop::open_with(folder.path(), &[("BANK_URL", &bank.url)]).await;
    let ada = Customer::new(&shop).await;
    let mut orders = Vec::new();
    for key in 0..16 {
        let order = ada.order(&format!("k{key}"), &[("tea-mint", 1)]).await;
        assert_eq!((order.status.as_u16(), order.text("status")), (202, "PENDING"), "{order:?}");
        orders.push(order.text("id").to_owned());
    }
    assert_eq!(breaker(&shop, "payment->bank").await["state"], "open");
    assert_eq!(breaker(&shop, "order->payment").await["state"], "closed", "payment itself is well");
    bank.set(Mood::Good);
    for order in orders {
        assert_eq!(ada.settled(&order).await["status"], "CONFIRMED");
    }
    assert_eq!(bank.taken_and_kept(), (16, 16 * 590));
    assert_ne!(breaker(&shop, "payment->bank").await["state"], "open");
}

#[cfg(feature = "stage")]
async fn breaker(shop: &Shop, name: &str) -> serde_json::Value {
    let layers = format!("http://127.0.0.1:{}/layers", shop.base + 8);
    let said = say(shop.http.get(layers).bearer_auth(super::process::TOKEN)).await;
    let layers = said.body.as_array().unwrap();
    layers.iter().find(|it| it["layer"] == "breaker" && it["name"] == name).unwrap().clone()
}
