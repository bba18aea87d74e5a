//! Whom calls go to when replicas come, go and fall ill.

use super::customer::say;
use super::ops::{Ops, check, command};
use super::process::{LONG, Shop, folder};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// All replicas of product and payment are replaced, again and again, while customers shop.
#[tokio::test]
async fn a_rolling_restart_under_load_fails_nobody() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ops = Ops(&shop);
    let load = ["load", "--rps", "30", "--for", "12s", "--customers", "8", "--json"];
    let rolls = async {
        for _ in 0..3 {
            for target in ["product", "payment"] {
                ops.set(target, "rolling", json!({})).await;
                sleep(Duration::from_millis(500)).await;
            }
        }
    };
    let ((code, said), ()) = tokio::join!(command(&load, folder.path(), shop.base), rolls);
    assert_eq!(code, Some(0), "{said}");
    let figures: Value = serde_json::from_str(&said).unwrap_or_else(|why| panic!("{why}: {said}"));
    let outcomes = &figures["total"]["outcomes"];
    for lost in ["failed", "refused", "timeout"] {
        assert_eq!(outcomes[lost], 0, "{figures:#}");
    }
    assert!(outcomes["ok"].as_u64().unwrap() > 300, "{figures:#}");
    let replaced = ops.layers("service", "p").await;
    assert!(replaced.iter().all(|it| it["numbers"]["restarts"] == 3.0), "{replaced:?}");
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
