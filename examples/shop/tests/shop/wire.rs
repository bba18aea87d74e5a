//! What is done to the bytes of connections, by proxies between who calls and who is called.

use super::customer::Customer;
use super::ops::{Ops, check};
use super::process::{LONG, Shop, folder};
use super::protect::switch;
use serde_json::json;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Customers go on, and whoever had to wait gets what they ordered.
async fn go_on(shop: &Shop, ada: &Customer<'_>, data: &std::path::Path, waiting: Vec<String>) {
    for order in waiting {
        assert_eq!(ada.settled(&order).await["status"], "CONFIRMED");
    }
    let well = async {
        for key in 0.. {
            if ada.order(&format!("well-{key}"), &[("tea-mint", 1)]).await.status == 201 {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(LONG * 2, well).await.expect("all is well again");
    check(data, shop.base).await;
}

/// The wire of gRPC, with whatever is spoken on it: nobody is paid, no order is lost, and each is paid later.
async fn a_charge_waits_for_its_wire(shop: &Shop, data: &std::path::Path) {
    let (ops, ada) = (Ops(shop), Customer::new(shop).await);
    // There is a connection that is kept.
    assert_eq!(ada.order("before", &[("tea-mint", 1)]).await.status, 201);
    let mut waiting = Vec::new();
    for (n, kind) in ["blackhole", "reset", "refuse", "latency", "drip"].into_iter().enumerate() {
        ops.set("order->payment", kind, json!({ "ms": 5000, "ttl_s": 600 })).await;
        let order = ada.order(&format!("k{n}"), &[("tea-mint", 1)]).await;
        assert_eq!(order.status, 202, "{kind}: {order:?}");
        assert_eq!(order.text("status"), "PENDING", "{kind}");
        waiting.push(order.text("id").to_owned());
        ops.clear().await;
    }
    go_on(shop, &ada, data, waiting).await;
}

#[tokio::test]
async fn grpc_waits_for_its_wire() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    a_charge_waits_for_its_wire(&shop, folder.path()).await;
}

#[tokio::test]
async fn grpc_over_tls_waits_for_its_wire() {
    let folder = folder();
    let shop = super::tls::shop(folder.path()).await;
    a_charge_waits_for_its_wire(&shop, folder.path()).await;
}

#[tokio::test]
async fn one_hop_is_hurt_and_no_other() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
    switch(&ops, "gateway->product", "stale", false).await;
    ops.until("stale", "gateway->product", "disabled").await;
    ops.set("order->product", "refuse", json!({ "ttl_s": 600 })).await;
    for n in 0..4 {
        assert_eq!(ada.get("/api/v1/products").await.status, 200);
        let order = ada.order(&format!("k{n}"), &[("tea-mint", 1)]).await;
        assert!(order.status == 202 || order.status == 503, "{order:?}");
    }
    // Of two replicas, the other one is asked.
    ops.clear().await;
    for kind in ["refuse", "reset"] {
        ops.set("product-2", kind, json!({ "ttl_s": 600 })).await;
        for _ in 0..20 {
            let said = ada.get("/api/v1/products").await;
            assert_eq!(said.status, 200, "{kind}: {said:?}");
        }
        ops.clear().await;
    }
    ops.set("product", "refuse", json!({ "ttl_s": 600 })).await;
    let said = ada.get("/api/v1/products").await;
    assert_eq!(said.status, 503, "{said:?}");
    ops.clear().await;
    go_on(&shop, &ada, folder.path(), Vec::new()).await;
}
