//! What the page draws, and what ops tells it.

use super::customer::{Customer, say};
use super::ops::Ops;
use super::process::{LONG, Shop, at, folder};
use http::Method;
use serde_json::json;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// The layers before a call, and the numbers of each that its card has words for.
const CARD: [(&str, &[&str]); 8] = [
    ("breaker", &["refused"]),
    ("shed", &["in_flight", "limit", "queued", "refused"]),
    (
        "retry",
        &[
            "retries",
            "recovered",
            "not_repeatable",
            "told",
            "refused",
            "out_of_tries",
            "out_of_time",
            "out_of_budget",
            "too_large",
        ],
    ),
    ("hedge", &["hedges", "won", "unpaid", "hopeless", "too_large"]),
    ("budget", &["tokens", "cap"]),
    ("stale", &["stale_if_error"]),
    ("deadline", &["ended_total", "ended_head"]),
    ("meter", &["successes", "failures", "throttled", "ignored"]),
];

const CALLS: u64 = 6;

/// A number by another name would be missing on the page, and nobody would miss it.
#[tokio::test]
async fn a_card_knows_the_layers_of_its_call_by_the_names_that_ops_tells() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
    let looked = async {
        for _ in 0..CALLS {
            while ada.get("/api/v1/products/tea-mint").await.status != 200 {}
        }
    };
    timeout(LONG, looked).await.expect("the shop answers");
    let html = say(ops.request(Method::GET, "/")).await.body;
    assert!(html.as_str().unwrap().contains("second chances"), "{html}");
    let script = say(ops.request(Method::GET, "/calls.js")).await.body;
    let words = words(script.as_str().unwrap());
    for (layer, numbers) in CARD {
        assert!(words.contains(&layer), "the page does not know {layer}");
        let handle = ops.layers(layer, "gateway->product").await.remove(0);
        for number in numbers {
            assert!(words.contains(number), "the page does not know {number} of {layer}");
            assert!(handle["numbers"][number].is_number(), "{number} is not in {handle}");
        }
    }
    // A busy machine may have made some of them again.
    for (layer, count) in [("retry", "calls"), ("hedge", "calls"), ("budget", "deposits")] {
        let handle = ops.layers(layer, "gateway->product").await.remove(0);
        assert!(handle["numbers"][count].as_u64().unwrap() >= CALLS, "{handle}");
    }
    let budget = ops.layers("budget", "gateway->product").await.remove(0)["numbers"].clone();
    let (tokens, cap) = (budget["tokens"].as_f64().unwrap(), budget["cap"].as_f64().unwrap());
    assert!((0.0..=cap).contains(&tokens) && cap >= 5.0, "{budget}");
}

/// The numbers of an endpoint that the page has columns for.
const ENDPOINT: [&str; 5] =
    ["latency_seconds", "in_flight", "ejections", "ejected_for_seconds", "heartbeat_age_seconds"];

#[tokio::test]
async fn the_page_knows_endpoints_by_the_names_that_ops_tells() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ops = Ops(&shop);
    let script = say(ops.request(Method::GET, "/tables.js")).await.body;
    let words = words(script.as_str().unwrap());
    let (call, endpoints) = ("order->payment", (5..8).map(|offset| shop.base + offset));
    for port in endpoints {
        let name = format!("{call}/{}/", at(port));
        let heard = async {
            loop {
                let told = ops.layers("endpoint", &name).await;
                if told.iter().any(|it| it["numbers"]["heartbeat_age_seconds"].is_number()) {
                    return told;
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        let told = timeout(LONG, heard).await.expect("a heart beats");
        assert_eq!((told.len(), &told[0]["name"], &told[0]["state"]), (1, &json!(name), &json!("up")));
        for number in ENDPOINT {
            assert!(words.contains(&number), "the page does not know {number}");
            assert!(told[0]["numbers"][number].is_number(), "{number} is not in {}", told[0]);
        }
    }
    assert_eq!(ops.states("balance", call).await, ["ready"]);
}

/// The layers of load, and the numbers of each that the page has words for.
const LOAD: [(&str, &[&str]); 2] = [
    ("load", &["a_second", "offered", "served", "stale", "refused", "failed"]),
    (
        "shed",
        &[
            "in_flight",
            "limit",
            "queued",
            "admitted",
            "refused_critical",
            "refused_normal",
            "refused_sheddable",
        ],
    ),
];

#[tokio::test]
async fn the_page_knows_load_by_the_names_that_ops_tells() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ops = Ops(&shop);
    let script = say(ops.request(Method::GET, "/tables.js")).await.body;
    let words = words(script.as_str().unwrap());
    for (layer, numbers) in LOAD {
        assert!(words.contains(&layer), "the page does not know {layer}");
        let handles = ops.layers(layer, "gateway").await;
        let handle = handles.iter().find(|it| it["name"] == "gateway").unwrap();
        for number in numbers {
            assert!(words.contains(number), "the page does not know {number} of {layer}");
            assert!(handle["numbers"][number].is_number(), "{number} is not in {handle}");
        }
    }
    let limits = ops.layers("limit", "gateway").await;
    let names: Vec<_> = limits.iter().map(|it| it["name"].as_str().unwrap()).collect();
    for name in ["by address", "log-ins by address", "by user", "suspects", "guesses"] {
        assert!(names.contains(&&*format!("gateway {name}")), "{name} is not in {names:?}");
    }
}

/// The names in a script.
fn words(script: &str) -> Vec<&str> {
    script.split(|c: char| !c.is_alphanumeric() && c != '_').collect()
}
