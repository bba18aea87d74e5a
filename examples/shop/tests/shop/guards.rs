//! The layers of `stacks.rs` at work.

use super::bank::{Bank, Mood};
use super::customer::{Customer, at_last, say};
use super::process::{Shop, folder};
use http::Method;
use serde_json::json;

/// customer → gateway → order → payment (gRPC) → bank: what the customer grants is what is left for the bank.
#[tokio::test]
async fn a_deadline_goes_along_from_the_customer_to_the_bank() {
    let (folder, bank) = (folder(), Bank::open(Mood::Good).await);
    let shop = Shop::open_with(folder.path(), &[("BANK_URL", &bank.url)]).await;
    let ada = Customer::new(&shop).await;
    // A store that is busy right now takes of the time that is left for the bank; then once more.
    for n in 0..50 {
        let key = format!("unhurried-{n}");
        at_last(|| ada.order(&key, &[("tea-mint", 1)])).await;
        if bank.patience().iter().any(|ms| *ms > 200) {
            break;
        }
    }
    let unhurried = bank.patience();
    assert!(unhurried.iter().all(|ms| *ms <= 250), "{unhurried:?}: the attempt's own limit");
    assert!(unhurried.iter().any(|ms| *ms > 200), "{unhurried:?}: no shorter than that");

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
    for key in 0..48 {
        let order = ada.order(&format!("k{key}"), &[("tea-mint", 1)]).await;
        assert_eq!((order.status.as_u16(), order.text("status")), (202, "PENDING"), "{order:?}");
        orders.push(order.text("id").to_owned());
    }
    let ops = super::ops::Ops(&shop);
    // On a slow machine all of them may be asking again at the moment.
    let payments = ops.layers("breaker", "payment-").await;
    let before_bank = payments.iter().filter(|it| it["name"].as_str().unwrap().ends_with("->bank"));
    assert!(before_bank.clone().any(|it| it["numbers"]["trips"].as_f64() > Some(0.0)), "{payments:?}");
    let payment = ops.states("breaker", "order->payment").await;
    assert_eq!(payment, ["closed", "closed", "closed"], "payment itself is well");
    bank.set(Mood::Good);
    for order in orders {
        assert_eq!(ada.settled(&order).await["status"], "CONFIRMED");
    }
    assert_eq!(bank.taken_and_kept(), (48, 48 * 590));
    assert!(states(&ops).await.iter().all(|state| state != "open"));
}

/// The breakers before the bank, one in each payment service.
#[cfg(feature = "stage")]
async fn states(ops: &super::ops::Ops<'_>) -> Vec<String> {
    let mut states = Vec::new();
    for payment in ["payment-1->bank", "payment-2->bank", "payment-3->bank"] {
        states.extend(ops.states("breaker", payment).await);
    }
    assert_eq!(states.len(), 3);
    states
}
