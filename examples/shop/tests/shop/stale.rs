//! What is shown while nobody can be asked.

use super::customer::{Customer, Said, say};
use super::ops::{Ops, check, command};
use super::process::{LONG, Shop, folder};
use super::survives::insist;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{sleep, timeout};

const PAGES: [&str; 3] = ["/api/v1/products", "/api/v1/products?category=tea", "/api/v1/products/tea-mint"];

/// Looks until there is an answer of the age that is wanted: none, or any.
async fn look(shop: &Shop, path: &str, aged: bool) -> Said {
    let looked = async {
        loop {
            let said = say(shop.http.get(shop.url(path))).await;
            if said.status == 200 && said.headers.contains_key("age") == aged {
                return said;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, looked).await.unwrap_or_else(|_| panic!("{path} is not answered as it should be"))
}

#[tokio::test]
async fn products_that_are_gone_are_shown_with_an_age() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
    let mut before = Vec::new();
    for page in PAGES {
        let said = look(&shop, page, false).await;
        assert_eq!(said.headers["cache-control"], "public, max-age=0, stale-if-error=600", "{said:?}");
        before.push(said.body);
    }
    ops.set("product", "kill", json!({ "ttl_s": 600 })).await;
    for (page, before) in PAGES.into_iter().zip(&before) {
        for _ in 0..20 {
            // Nobody fails, from the first one on, whoever asks.
            let said = if page.len() % 2 == 0 {
                ada.get(page).await
            } else {
                say(shop.http.get(shop.url(page))).await
            };
            assert_eq!((said.status.as_u16(), &said.body), (200, before), "{said:?}");
            let age: u64 = said.headers["age"].to_str().unwrap().parse().unwrap();
            assert!(age <= 600, "{said:?}");
        }
    }
    let unknown = ada.get("/api/v1/products/kit-timer").await;
    assert!(unknown.status == 503 || unknown.status == 504, "nobody has looked at it before: {unknown:?}");

    // Those who look are told apart, and are served.
    let load = ["load", "--only", "browsing", "--rps", "20", "--for", "2s", "--customers", "2", "--json"];
    let (code, said) = command(&load, folder.path(), shop.base).await;
    assert_eq!(code, Some(0), "{said}");
    let figures: Value = serde_json::from_str(&said).unwrap_or_else(|why| panic!("{why}: {said}"));
    assert!(figures["browsing"]["list"]["outcomes"]["stale"].as_u64().unwrap() > 0, "{figures:#}");
    assert_eq!(figures["browsing"]["list"]["outcomes"]["ok"], 0, "{figures:#}");

    ops.clear().await;
    for page in PAGES {
        look(&shop, page, false).await;
    }
    let order = insist(&ada, "after", "tea-mint").await;
    assert!(order.status == 201 || order.status == 202, "{order:?}");
    assert_eq!(ada.settled(order.text("id")).await["status"], "CONFIRMED");
    assert_eq!(look(&shop, PAGES[2], false).await.body["stock"], 999, "what is fresh is asked for");
    check(folder.path(), shop.base).await;
}
