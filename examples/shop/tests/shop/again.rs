//! What fails is made again, and nobody notices.

use super::customer::Customer;
use super::ops::{Ops, check};
use super::process::{Shop, folder};
use super::races::together;
use super::survives::insist;
use serde_json::json;

/// How many times somebody looks at a product, and how many of these must be answered.
const LOOKS: usize = 200;
const ANSWERED: usize = LOOKS * 95 / 100;

const PRODUCTS: [&str; 4] = ["tea-mint", "tea-assam", "cup-bowl", "kit-timer"];

const ORDERS: usize = 150;

/// Looks at products while calls for them fail.
async fn browse(target: &str, share: f64) {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
    ops.set(target, "error", json!({ "share": share, "ttl_s": 600 })).await;
    // One after the other, they would all be asked of the replica that is well.
    let look = async |product: &str| {
        let mut answered = 0;
        for _ in 0..LOOKS / PRODUCTS.len() {
            let said = ada.get(&format!("/api/v1/products/{product}")).await;
            answered += usize::from(said.status == 200);
        }
        answered
    };
    let answered: usize = together(PRODUCTS.into_iter().map(look)).await.into_iter().sum();
    let retry = ops.layers("retry", "gateway->product").await.remove(0);
    let hedge = ops.layers("hedge", "gateway->product").await.remove(0);
    assert!(answered >= ANSWERED, "{answered} of {LOOKS}: {retry}");
    // Until the hedge knows how long a call takes, the retry makes it again, and then a copy is sent at once.
    let saved = [&retry["numbers"]["recovered"], &hedge["numbers"]["won"]];
    assert!(saved.into_iter().any(|calls| calls.as_u64().unwrap() > 0), "{retry}, {hedge}");
}

/// What it fails is asked of the other.
#[tokio::test]
async fn browsing_goes_on_while_a_replica_fails() {
    browse("product-1", 0.5).await;
}

/// A call in ten fails, wherever it goes: no breaker opens, and without another try a tenth would be lost.
#[tokio::test]
async fn browsing_goes_on_while_calls_fail_here_and_there() {
    browse("gateway->product", 0.1).await;
}

#[tokio::test]
async fn orders_are_charged_once_each_while_a_payment_fails() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
    ops.set("payment-2", "error", json!({ "share": 0.5, "ttl_s": 600 })).await;
    // One after the other, they may all be asked of the replicas that are well: so that there is something to be made again for certain.
    ops.set("order->payment", "error", json!({ "share": 0.1, "ttl_s": 600 })).await;
    let mut orders = Vec::new();
    for n in 0..ORDERS {
        let order = insist(&ada, &format!("k{n}"), "tea-mint").await;
        assert!(order.status == 201 || order.status == 202, "{order:?}");
        orders.push(order.text("id").to_owned());
    }
    let retry = ops.layers("retry", "order->payment").await.remove(0);
    assert!(retry["numbers"]["recovered"].as_u64().unwrap() > 0, "{retry}");
    ops.clear().await;
    for order in &orders {
        let order = ada.settled(order).await;
        assert_eq!(
            (&order["status"], &ada.payment(&order).await["status"]),
            (&"CONFIRMED".into(), &"CAPTURED".into())
        );
    }
    // It counts what the bank took, too: once for each order.
    check(folder.path(), shop.base).await;
}
