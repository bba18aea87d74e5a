//! Who starts while the registry is away.

use super::customer::say;
use super::ops::Ops;
use super::process::{LONG, Shop, folder, free_base, program, stderr};
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use tokio::time::{sleep, timeout};

/// A gateway that runs alone, and finds the others by a registry.
async fn gateway(folder: &Path, registry: &str) -> Shop {
    let base = free_base();
    let mut command = program(&["run", "gateway"], folder, base);
    let mut process = command.env("CONSUL_HTTP_ADDR", registry).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let line = timeout(LONG, lines.next_line()).await.expect("it opens in time").unwrap();
    if line.is_none() {
        panic!("it does not open: {}", stderr(&mut process).await);
    }
    Shop::of(process, base)
}

/// Waits until somebody who looks sees products.
async fn sells(shop: &Shop) {
    let asked = async {
        while say(shop.http.get(shop.url("/api/v1/products"))).await.status != 200 {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(LONG, asked).await.expect("it sells");
}

/// What a process that is killed had to complain about.
async fn complaints(shop: Shop) -> String {
    let mut process: Child = shop.into_process();
    process.start_kill().unwrap();
    stderr(&mut process).await
}

#[tokio::test]
async fn who_is_killed_and_starts_again_calls_those_who_were_known_last() {
    let (here, there) = (folder(), folder());
    let other = Shop::open(there.path()).await;
    let (ops, registry) = (Ops(&other), other.at(9));
    let product = here.path().join("registry/product.json");
    let first = gateway(here.path(), &registry).await;
    // Beside it, nobody is at its own ports.
    sells(&first).await;
    ops.set("registry", "registry_down", json!({ "ttl_s": 600 })).await;
    first.stop("KILL").await;

    let again = gateway(here.path(), &registry).await;
    let said = say(again.http.get(again.url("/api/v1/products"))).await;
    assert_eq!(said.status, 200, "it knows them at once: {said:?}");
    let said = complaints(again).await;
    assert!(said.contains("the registry is away"), "{said}");

    // One file is torn: the others are believed, and it is told once.
    let whole = std::fs::read(&product).unwrap();
    std::fs::write(&product, &whole[..whole.len() / 2]).unwrap();
    let torn = gateway(here.path(), &registry).await;
    assert_eq!(say(torn.http.get(torn.url("/api/v1/products"))).await.status, 503);
    ops.clear().await;
    sells(&torn).await;
    let said = complaints(torn).await;
    assert_eq!(said.matches("who was known last cannot be read").count(), 1, "{said}");
    let mended = std::fs::read(&product).unwrap();
    assert!(serde_json::from_slice::<serde_json::Value>(&mended).is_ok(), "and is whole again");
    let left = std::fs::read_dir(here.path().join("registry")).unwrap().flatten();
    assert!(left.into_iter().all(|file| file.path().extension().is_some_and(|kind| kind == "json")));
}

#[tokio::test]
async fn a_whole_shop_opens_while_the_registry_that_it_knew_is_away() {
    let (here, there) = (folder(), folder());
    let other = Shop::open(there.path()).await;
    let (ops, registry) = (Ops(&other), other.at(9));
    let agent = [("CONSUL_HTTP_ADDR", registry.as_str())];
    let shop = Shop::open_with(here.path(), &agent).await;
    sells(&shop).await;
    let known = async {
        while !["product", "user", "order", "payment"]
            .iter()
            .all(|name| here.path().join(format!("registry/{name}.json")).exists())
        {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(LONG * 2, known).await.expect("it is told of all");
    ops.set("registry", "kill", json!({ "ttl_s": 600 })).await;
    shop.stop("KILL").await;
    let shop = Shop::open_with(here.path(), &agent).await;
    sells(&shop).await;
    drop(shop);

    // Of another registry nothing is known.
    let nobody = format!("http://127.0.0.1:{}", free_base());
    let mut refused = program(&["run", "gateway"], here.path(), free_base())
        .env("CONSUL_HTTP_ADDR", &nobody)
        .spawn()
        .unwrap();
    let said = stderr(&mut refused).await;
    assert!(said.contains("CONSUL_HTTP_ADDR is set, but no Consul agent can be used"), "{said}");
}
