//! Whom calls go to when replicas come, go and fall ill.

use super::customer::say;
use super::fare::{nobody_is_lost, rounds};
use super::ops::{Ops, check};
use super::process::{LONG, Shop, folder};
use serde_json::json;
use std::time::Duration;
use tokio::time::{sleep, timeout};

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

#[tokio::test]
async fn a_rolling_restart_of_processes_loses_nothing() {
    let folder = folder();
    let shop = Shop::open_procs(folder.path()).await;
    let (ops, rounds) = (Ops(&shop), rounds(1));
    let before = restarts(&ops).await;
    nobody_is_lost(&shop, roll(&ops, rounds)).await;
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
