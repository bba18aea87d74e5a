//! The shop survives its payment.

use super::customer::{Customer, Said, at_last};
use super::ops::{Ops, check, command};
use super::process::{LONG, Shop, folder};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How many orders a test of replies that are lost places, a few at a time.
const ORDERS: usize = 1000;
const AT_ONCE: usize = 8;

#[tokio::test]
async fn all_of_payment_is_killed_under_load_and_no_order_is_lost() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
    let load = ["load", "--rps", "30", "--for", "12s", "--customers", "8", "--json"];
    let story = async {
        // Somebody orders all the while, and looks closely at the answers.
        let before = insist(&ada, "before", "tea-mint").await;
        assert_eq!(ada.settled(before.text("id")).await["status"], "CONFIRMED", "{before:?}");
        ops.set("payment", "kill", json!({ "ttl_s": 600 })).await;
        let mut pending = Vec::new();
        for key in 0..40 {
            let order = insist(&ada, &format!("k{key}"), "tea-mint").await;
            assert_eq!((order.status.as_u16(), order.text("status")), (202, "PENDING"), "{order:?}");
            pending.push(order.text("id").to_owned());
        }
        // Their heartbeats say so, and then the registry, which names them no more. Nobody is asked from then on: a breaker
        // before one that was asked too little until then stays closed.
        let away = async {
            while ops.states("endpoint", "order->payment").await.iter().any(|state| state != "down") {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(LONG * 3, away).await.expect("all are found to be down");
        ops.clear().await;
        ops.until("service", "payment", "up").await;
        for order in &pending {
            assert_eq!(ada.settled(order).await["status"], "CONFIRMED");
        }
        // A breaker closes when it is asked, and who orders now asks each of them again.
        let orders = async {
            for n in 0.. {
                insist(&ada, &format!("again{n}"), "cup-bowl").await;
                sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            () = ops.each_until("breaker", "order->payment", "closed") => {}
            () = orders => {}
        }
    };
    let ((code, said), ()) = tokio::join!(command(&load, folder.path(), shop.base), story);
    assert_eq!(code, Some(0), "{said}");
    check(folder.path(), shop.base).await;
    assert!(confirmed(&ops).await > 41, "those of the load as well");
}

/// Three replies in ten are lost after the money was taken.
#[tokio::test]
async fn a_thousand_orders_with_lost_replies_are_charged_once_each() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
    ops.set("payment", "reply_lost", json!({ "share": 0.3, "ttl_s": 900 })).await;
    let place = async |lane: usize| {
        let mut statuses = BTreeMap::<u16, usize>::new();
        for n in 0..ORDERS / AT_ONCE {
            // All products in turn, for there are 1000 of each.
            let product = ["tea-mint", "tea-assam", "cup-bowl", "kit-timer"][n % 4];
            let order = insist(&ada, &format!("k{lane}-{n}"), product).await;
            assert!(order.status == 201 || order.status == 202, "{order:?}");
            *statuses.entry(order.status.as_u16()).or_default() += 1;
        }
        statuses
    };
    let lanes: [_; AT_ONCE] = std::array::from_fn(place);
    let statuses = super::races::together(lanes.into_iter()).await;
    let lost: usize = statuses.iter().filter_map(|lane| lane.get(&202)).sum();
    assert!(lost > ORDERS / 20, "{statuses:?}: replies were lost");
    ops.clear().await;
    check(folder.path(), shop.base).await;
    assert_eq!(confirmed(&ops).await, ORDERS as u64);
}

/// Orders, and asks again with the same key when the machine was too busy to answer, or so fast that one customer has more than its share.
pub async fn insist(ada: &Customer<'_>, key: &str, product: &str) -> Said {
    let items = [(product, 1)];
    at_last(|| ada.order(key, &items)).await
}

/// Waits until ops counts no order under way, and returns how many are confirmed. It looks every few seconds.
async fn confirmed(ops: &Ops<'_>) -> u64 {
    let counted = async {
        loop {
            let orders = ops.layers("orders", "orders").await.remove(0)["numbers"].clone();
            let open = ["PENDING", "RESERVED", "PAID", "REFUNDING", "RELEASING"];
            if open.iter().all(|step| orders[step] == 0) {
                return orders["CONFIRMED"].as_u64().unwrap();
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(LONG, counted).await.expect("ops looks again")
}
