//! Values that are changed while the shop runs.

use super::customer::{Customer, say};
use super::ops::{Ops, check, command};
use super::process::{LONG, Request, Shop, TOKEN, folder, free_base, program, stderr};
use http::Method;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use tokio::time::{sleep, timeout};

fn write(folder: &Path, text: &str) {
    std::fs::write(folder.join("policy.toml"), text).unwrap();
}

fn config(shop: &Shop, method: Method, path: &str) -> Request {
    shop.http.request(method, format!("{}{path}", shop.at(10)))
}

/// The properties that are told to a service, of all sources.
async fn told(shop: &Shop, service: &str) -> Value {
    let said = say(config(shop, Method::GET, &format!("/{service}/default"))).await;
    assert_eq!(said.status, 200, "{said:?}");
    let sources = said.body["propertySources"].as_array().unwrap();
    let mut all = json!({});
    for source in sources.iter().rev() {
        all.as_object_mut().unwrap().extend(source["source"].as_object().unwrap().clone());
    }
    all
}

#[tokio::test]
async fn values_are_told_in_the_shape_of_spring_cloud_config() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    assert_eq!(told(&shop, "gateway").await, json!({}), "all is a comment at first");
    write(
        folder.path(),
        "[clients.\"gateway->product\"]\nretry.max_retries = 1\n[servers.order]\ndeadline = { total = \"3s\" }\n",
    );
    let refreshed = say(config(&shop, Method::POST, "/refresh").bearer_auth(TOKEN)).await;
    assert_eq!(refreshed.status, 200, "{refreshed:?}");
    assert_eq!(
        told(&shop, "gateway").await,
        json!({ "bartizan.clients[gateway->product].retry.max_retries": 1 })
    );
    assert_eq!(told(&shop, "order").await, json!({ "bartizan.servers.order.deadline.total": "3s" }));
    assert_eq!(told(&shop, "mail").await, json!({}));

    let first = say(config(&shop, Method::GET, "/gateway/default")).await;
    let etag = first.headers["etag"].to_str().unwrap();
    assert_eq!((&first.body["name"], &first.body["profiles"]), (&json!("gateway"), &json!(["default"])));
    for (tag, status) in [(etag, 304), ("\"other\"", 200), (&format!("\"other\", W/{etag}"), 304)] {
        let again = config(&shop, Method::GET, "/gateway/default/main").header("if-none-match", tag);
        assert_eq!(say(again).await.status, status, "{tag}");
    }
    say(config(&shop, Method::POST, "/refresh")).await.is_problem(401);
    say(config(&shop, Method::GET, "/gateway")).await.is_problem(404);
    say(config(&shop, Method::GET, "/order/default").header("host", "shop.example.org"))
        .await
        .is_problem(421);
}

/// Values change again and again while customers shop, and nobody loses anything.
#[tokio::test]
async fn a_value_that_is_edited_under_load_takes_effect_and_loses_nobody() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ops = Ops(&shop);
    let load = ["load", "--rps", "20", "--for", "10s", "--customers", "8", "--json"];
    let switched = [("gateway->product", "hedge"), ("order->user", "retry"), ("order->payment", "breaker")];
    let edits = async {
        for (n, choice) in ["round robin", "latency", "random", "p2c"].into_iter().enumerate() {
            let on = n % 2 == 1;
            let calls = switched.map(|(call, layer)| {
                let choice = format!("balance.choice = \"{choice}\"\nbreaker.consecutive = {}\n", n + 20);
                format!("[clients.\"{call}\"]\n{choice}{layer}.enabled = {on}\n")
            });
            let limit = format!("[servers.order]\nlimit = {{ rate = {}, burst = 500 }}\n", 1000 + n);
            write(folder.path(), &[calls.concat(), limit].concat());
            for (call, layer) in switched {
                let taken = async {
                    while ops.states(layer, call).await.iter().any(|state| (state != "disabled") != on) {
                        sleep(Duration::from_millis(20)).await;
                    }
                };
                timeout(LONG * 2, taken).await.unwrap_or_else(|_| panic!("{layer} of {call} is not {on}"));
            }
        }
    };
    let ((code, said), ()) = tokio::join!(command(&load, folder.path(), shop.base), edits);
    assert_eq!(code, Some(0), "{said}");
    let figures: Value = serde_json::from_str(&said).unwrap_or_else(|why| panic!("{why}: {said}"));
    for lost in ["failed", "refused", "timeout"] {
        assert_eq!(figures["total"]["outcomes"][lost], 0, "{figures:#}");
    }
    assert!(figures["total"]["outcomes"]["ok"].as_u64().unwrap() > 100, "{figures:#}");
    check(folder.path(), shop.base).await;
}

/// The limit of the gateway is one by address.
#[tokio::test]
async fn a_limit_can_be_drawn_and_lifted() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let until = async |wanted: u16| {
        let asked = async {
            while say(shop.http.get(shop.url("/api/v1/products"))).await.status != wanted {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(LONG, asked).await.unwrap_or_else(|_| panic!("nobody is answered {wanted}"));
    };
    until(200).await;
    write(folder.path(), "servers.gateway.limit = { rate = 1, per = \"600s\", burst = 1 }");
    until(429).await;
    write(folder.path(), "");
    until(200).await;
}

#[tokio::test]
async fn a_broken_edit_changes_nothing_and_says_why() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ops = Ops(&shop);
    let good = "[clients.\"gateway->order GET\"]\nretry.enabled = false\n";
    write(folder.path(), good);
    ops.until("retry", "gateway->order GET", "disabled").await;
    let before = told(&shop, "gateway").await;
    for (broken, words) in [
        ("retry.max_retires = 3", &["line 3", "gateway->order GET", "max_retires"][..]),
        ("deadline = \"soon\"", &["line 3", "deadline"]),
        ("retry =", &["line 3"]),
        // It would not fit to the attempt, which the file does not name.
        ("deadline.total = \"20ms\"", &["attempt", "20 ms"]),
    ] {
        write(
            folder.path(),
            &good.replace("retry.enabled = false\n", &format!("retry.enabled = true\n{broken}\n")),
        );
        let refreshed = say(config(&shop, Method::POST, "/refresh").bearer_auth(TOKEN)).await;
        refreshed.is_problem(422);
        let layer = ops.layers("config", "policy.toml").await.remove(0);
        assert_eq!(layer["state"], "refused", "{layer}");
        let note = layer["note"].as_str().unwrap();
        assert_eq!(refreshed.text("detail"), note);
        assert!(words.iter().all(|word| note.contains(word)), "{broken}: {note}");
        assert_eq!(told(&shop, "gateway").await, before, "{broken}");
    }
    assert_eq!(ops.states("retry", "gateway->order GET").await, ["disabled"]);
    write(folder.path(), "");
    ops.until("config", "policy.toml", "in force").await;
    let on = async {
        while ops.states("retry", "gateway->order GET").await == ["disabled"] {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, on).await.expect("what the file does not name is as in the code");
}

/// The config service goes. Who runs stays as it is, and so is who starts meanwhile.
#[tokio::test]
async fn without_the_config_service_the_last_values_stay() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
    write(folder.path(), "[clients.\"gateway->order GET\"]\nretry.enabled = false\n");
    ops.until("retry", "gateway->order GET", "disabled").await;
    for (target, kind) in [("config", "config_down"), ("registry", "registry_down")] {
        ops.set(target, kind, json!({ "ttl_s": 600 })).await;
    }
    ops.until("service", "config", "killed").await;
    ops.set("gateway", "restart", json!({})).await;
    ops.until("retry", "gateway->order GET", "disabled").await;
    let order = ada.order("k", &[("tea-mint", 1)]).await;
    assert!(order.status == 201 || order.status == 202, "{order:?}");
    // What is edited meanwhile is in force when the service is back.
    write(folder.path(), "");
    ops.clear().await;
    let back = async {
        while ops.states("retry", "gateway->order GET").await.iter().any(|state| state == "disabled") {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG * 2, back).await.expect("it asks again");
    check(folder.path(), shop.base).await;
}

#[tokio::test]
async fn a_shop_does_not_open_with_a_file_that_is_no_good() {
    let folder = folder();
    write(folder.path(), "[clients.\"gateway->product\"]\nretry.max_retries = -1\n");
    let mut process = program(&[], folder.path(), free_base()).spawn().unwrap();
    let said = stderr(&mut process).await;
    assert_eq!(timeout(LONG, process.wait()).await.expect("it ends in time").unwrap().code(), Some(1));
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    assert!(said.contains("policy.toml: line 2") && said.contains("max_retries"), "{said}");
}

/// A gateway that takes its values from the config service of another shop.
#[tokio::test]
async fn a_config_service_that_is_named_is_asked() {
    let (here, there) = (folder(), folder());
    let other = Shop::open(here.path()).await;
    let url = other.at(10);
    let shop = Shop::open_with(there.path(), &[("CONFIG_URL", &url)]).await;
    let ops = Ops(&shop);
    assert!(!there.path().join("policy.toml").exists());
    write(here.path(), "[clients.\"gateway->product\"]\nretry.enabled = false\n");
    ops.until("retry", "gateway->product", "disabled").await;
    let wish = json!({ "call": "gateway->product", "layer": "hedge", "on": false });
    say(ops.request(Method::POST, "/protections").bearer_auth(TOKEN).json(&wish)).await.is_problem(409);
}
