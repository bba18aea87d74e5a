//! Whom calls go to when replicas come, go and fall ill.

use super::customer::{Customer, say};
use super::ops::{Ops, check};
use super::process::{LONG, Shop, folder};
use super::procs::Fare;
use super::races::together;
use super::survives::insist;
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How often everything is restarted: `SHOP_ROUNDS`, or as often as is enough to see it.
pub fn rounds(enough: u32) -> u32 {
    std::env::var("SHOP_ROUNDS").map_or(enough, |rounds| rounds.parse().expect("SHOP_ROUNDS is a number"))
}

/// Replaces every instance of every service, again and again.
async fn roll(ops: &Ops<'_>, rounds: u32) {
    for _ in 0..rounds {
        for target in ["gateway", "user", "product", "order", "payment", "mail", "bank"] {
            ops.set(target, "rolling", json!({})).await;
            sleep(Duration::from_millis(200)).await;
        }
    }
    println!("{rounds} rounds");
}

/// How often each instance of a service has been replaced.
async fn restarts(ops: &Ops<'_>) -> Vec<(String, f64)> {
    let services = ops.layers("service", "").await.into_iter();
    let services =
        services.filter(|it| !["ops", "registry", "config"].iter().any(|name| it["name"] == *name));
    services.map(|it| (it["name"].to_string(), it["numbers"]["restarts"].as_f64().unwrap())).collect()
}

#[tokio::test]
async fn a_rolling_restart_under_load_fails_nobody() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (ops, rounds) = (Ops(&shop), rounds(2));
    nobody_is_lost(&shop, roll(&ops, rounds)).await;
    for (name, restarts) in restarts(&ops).await {
        assert_eq!(restarts, f64::from(rounds), "{name}");
    }
    check(folder.path(), shop.base).await;
}

/// Has customers shop while something happens. A connection that breaks fails the test, and so does an order that is not
/// taken when it is asked for again; that a busy machine has no time now and then does not.
pub async fn nobody_is_lost(shop: &Shop, happens: impl Future<Output = ()>) {
    let customers = together((0..8).map(|_| Customer::new(shop))).await;
    let over = AtomicBool::new(false);
    let lane = async |ada: &Customer<'_>| {
        let (mut looks, mut well, mut orders) = (0, 0, Vec::new());
        while !over.load(Ordering::Relaxed) {
            let looked = ada.get("/api/v1/products").await;
            assert!(matches!(looked.status.as_u16(), 200 | 503 | 504), "{looked:?}");
            looks += 1;
            well += usize::from(looked.status == 200);
            let order = insist(ada, &format!("k{looks}"), "tea-mint").await;
            assert!(matches!(order.status.as_u16(), 201 | 202), "{order:?}");
            orders.push(order.text("id").to_owned());
            sleep(Duration::from_millis(150)).await;
        }
        (looks, well, orders)
    };
    let happens = async {
        happens.await;
        // Whoever goes has gone, and those who have come are asked.
        sleep(Duration::from_secs(4)).await;
        over.store(true, Ordering::Relaxed);
    };
    let (shopped, ()) = tokio::join!(together(customers.iter().map(lane)), happens);
    let (looks, well) = shopped.iter().fold((0, 0), |sum, lane| (sum.0 + lane.0, sum.1 + lane.1));
    assert!(well * 2 > looks, "only {well} of {looks} have seen the products");
    for (ada, (_, _, orders)) in customers.iter().zip(&shopped) {
        for order in orders {
            assert_eq!(ada.settled(order).await["status"], "CONFIRMED");
        }
    }
}

#[tokio::test]
async fn a_rolling_restart_of_processes_loses_nothing() {
    let folder = folder();
    let shop = Shop::open_procs(folder.path()).await;
    let (ops, rounds, fare) = (Ops(&shop), rounds(1), Fare::default());
    let (ada, bob) = (Customer::new(&shop).await, Customer::new(&shop).await);
    let before = restarts(&ops).await;
    tokio::select! {
        never = fare.shop(&ada) => never,
        never = fare.shop(&bob) => never,
        () = roll(&ops, rounds) => {}
    }
    fare.is_good();
    for ((name, after), (_, before)) in restarts(&ops).await.iter().zip(&before) {
        assert_eq!(after - before, f64::from(rounds), "{name}");
    }
    check(folder.path(), shop.base).await;
}

/// Two shops share a registry. The products of one are gone, so that it sells what the other has: that is nowhere in its
/// configuration, and who starts while the registry is away knows it nevertheless. Who looks needs no account: the users
/// are found by the registry as well, and each shop has its own.
#[tokio::test]
async fn who_starts_without_the_registry_finds_those_that_were_known_last() {
    let (here, there) = (folder(), folder());
    let other = Shop::open(here.path()).await;
    let agent = other.at(9);
    let shop = Shop::open_with(there.path(), &[("CONSUL_HTTP_ADDR", &agent)]).await;
    let ops = Ops(&shop);
    ops.set("product", "kill", json!({ "ttl_s": 600 })).await;
    let endpoint = |offset: u16| format!("gateway->product/{}/", other.at(offset));
    let wanted = [endpoint(2), endpoint(3)];
    let heard = async {
        loop {
            let known = ops.layers("endpoint", "gateway->product").await;
            let mut names: Vec<_> = known.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect();
            names.sort_unstable();
            if names == wanted {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(LONG * 2, heard).await.expect("those that are gone are forgotten");

    let away = Ops(&other);
    for kind in ["registry_down", "kill"] {
        away.set("registry", kind, json!({ "ttl_s": 600 })).await;
        ops.set("gateway", "restart", json!({})).await;
        for n in 0..10 {
            let products = say(shop.http.get(shop.url("/api/v1/products"))).await;
            assert_eq!(products.status, 200, "{kind}, {n}: {products:?}");
        }
        away.clear().await;
        away.until("service", "registry", "up").await;
    }
}
