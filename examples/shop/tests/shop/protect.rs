//! Layers that are switched off hurt, and heal when they are on again.

use super::customer::{Customer, say};
use super::ops::{Ops, command, until};
use super::process::{LONG, Shop, TOKEN, folder};
use http::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{sleep, timeout};

const CALL: &str = "gateway->product";
const LOOKS: usize = 60;

/// The layers of a call, by their names, with whether they are on.
async fn layers(ops: &Ops<'_>, call: &str) -> Vec<(String, bool)> {
    let said = ops.get("/protections").await;
    let all = said.body["protections"].as_array().unwrap_or_else(|| panic!("{said:?}")).clone();
    let of = all.iter().filter(|it| it["call"] == call);
    of.map(|it| (it["layer"].as_str().unwrap().to_owned(), it["on"].as_bool().unwrap())).collect()
}

async fn off(ops: &Ops<'_>) -> Vec<String> {
    let said = ops.get("/protections").await;
    let all = said.body["protections"].as_array().unwrap_or_else(|| panic!("{said:?}")).clone();
    let off = all.iter().filter(|it| it["on"] == false);
    off.map(|it| format!("{} {}", it["call"].as_str().unwrap(), it["layer"].as_str().unwrap())).collect()
}

pub async fn switch(ops: &Ops<'_>, call: &str, layer: &str, on: bool) {
    let wish = json!({ "call": call, "layer": layer, "on": on });
    let said = say(ops.request(Method::POST, "/protections").bearer_auth(TOKEN).json(&wish)).await;
    assert_eq!(said.status, 200, "{said:?}");
}

#[tokio::test]
async fn a_bad_switch_gets_a_precise_no_and_changes_nothing() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ops = Ops(&shop);
    let good = json!({ "call": CALL, "layer": "retry", "on": false });
    let post = || ops.request(Method::POST, "/protections");
    say(post().json(&good)).await.is_problem(401);
    say(post().bearer_auth("guess").json(&good)).await.is_problem(401);
    say(ops.request(Method::DELETE, "/protections")).await.is_problem(401);
    for (field, value, known) in [
        ("call", json!("payment->order"), "order->payment"),
        ("layer", json!("ejection"), "retry, stale"),
        ("on", json!("maybe"), "on"),
        ("of", json!(1), "of"),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        let said = say(post().bearer_auth(TOKEN).json(&bad)).await;
        said.is_problem(422);
        assert!(said.text("detail").contains(field) && said.text("detail").contains(known), "{said:?}");
    }
    assert_eq!(off(&ops).await, Vec::<String>::new());
    let names: Vec<_> = layers(&ops, CALL).await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["stale", "deadline", "retry", "hedge", "bulkhead", "balance", "breaker", "attempt"]);
}

#[tokio::test]
async fn a_balancer_that_is_off_is_off_in_the_service() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ops = Ops(&shop);
    for (on, state) in [(false, "disabled"), (true, "ready")] {
        switch(&ops, "order->payment", "balance", on).await;
        until(state, async || ops.states("balance", "order->payment").await == [state]).await;
    }
}

/// Half of the calls fail. Without protections half of those who look see it, and with them nobody does.
#[tokio::test]
async fn what_is_switched_off_hurts_and_heals_when_it_is_on() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
    let look = async || ada.get("/api/v1/products/tea-mint").await;
    assert_eq!(look().await.status, 200);
    switch(&ops, CALL, "all", false).await;
    for layer in ["stale", "retry", "hedge", "breaker"] {
        ops.until(layer, CALL, "disabled").await;
    }
    ops.until("shed", CALL, "disabled").await;
    ops.set(CALL, "error", json!({ "share": 0.5, "ttl_s": 600 })).await;
    let mut failed = 0;
    for _ in 0..LOOKS {
        failed += usize::from(look().await.status != 200);
    }
    assert!(failed > LOOKS / 6, "{failed} of {LOOKS}");

    let cleared = say(ops.request(Method::DELETE, "/protections").bearer_auth(TOKEN)).await;
    assert_eq!(cleared.status, 204, "{cleared:?}");
    ops.until("breaker", CALL, "closed").await;
    // So many in a row without a protection are as likely as one in 2^60.
    let healed = async {
        let mut row = 0;
        while row < LOOKS {
            row = if look().await.status == 200 { row + 1 } else { 0 };
        }
    };
    timeout(LONG * 3, healed).await.expect("it heals");
}

#[tokio::test]
async fn switches_are_turned_from_the_command_line_and_outlive_the_shop() {
    let home = folder();
    let shop = Shop::open(home.path()).await;
    let base = shop.base;
    let protect = async |args: &[&str]| command(&[&["protect"], args].concat(), home.path(), base).await;
    let (code, said) = protect(&[]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.lines().any(|line| line == "on   order->payment  ejection"), "{said}");
    assert!(said.lines().all(|line| line.starts_with("on ")), "{said}");
    for args in [&["order->payment", "ejection", "off"][..], &["gateway->order POST", "retry", "off"]] {
        assert_eq!(protect(args).await, (Some(0), String::new()));
    }
    let (code, said) = protect(&["order->payment", "hedge", "off"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("422") && said.contains("breaker"), "{said}");
    for args in
        [&["order->payment"][..], &["order->payment", "retry"], &["order->payment", "retry", "perhaps"]]
    {
        assert_eq!(protect(args).await.0, Some(2));
    }
    let ops = Ops(&shop);
    ops.until("retry", "gateway->order POST", "disabled").await;
    let expected = ["gateway->order POST retry", "order->payment ejection"];
    assert_eq!(off(&ops).await, expected);
    assert_eq!(shop.stop("TERM").await, Some(0));

    let shop = Shop::open(home.path()).await;
    let ops = Ops(&shop);
    ops.until("retry", "gateway->order POST", "disabled").await;
    assert_eq!(off(&ops).await, expected);
    assert_eq!(command(&["protect", "--clear"], home.path(), shop.base).await, (Some(0), String::new()));
    assert_eq!(off(&ops).await, Vec::<String>::new());
    let on = async {
        while ops.states("retry", "gateway->order POST").await.iter().any(|state| state == "disabled") {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, on).await.expect("it is on again");
}

/// A switch by another name would be missing on the page, and nobody would miss it.
#[tokio::test]
async fn the_page_has_the_switches() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ops = Ops(&shop);
    let html = say(ops.request(Method::GET, "/")).await.body;
    assert!(html.as_str().unwrap().contains("Protections"), "{html}");
    let script = say(ops.request(Method::GET, "/protect.js")).await.body;
    let script = script.as_str().unwrap();
    let config = ops.layers("config", "policy.toml").await.remove(0);
    assert_eq!((&config["state"], &config["note"]), (&json!("in force"), &Value::Null));
    for number in ["changes", "switched_off", "line"] {
        assert!(config["numbers"][number].is_number(), "{number} is not in {config}");
    }
    for word in ["numbers.changes", "call", "layer", "protections"] {
        assert!(script.contains(word), "{word}");
    }
}
