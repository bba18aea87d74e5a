//! What the layers have counted, as Prometheus reads it, and as the console shows and changes it.

use super::customer::{Customer, Said, say};
use super::ops::{Ops, until};
use super::process::{LONG, Request, Shop, TOKEN, folder};
use http::Method;
use serde_json::json;
use tokio::time::{sleep, timeout};

async fn scrape(shop: &Shop, offset: u16) -> String {
    let said = say(shop.http.get(format!("{}/metrics", shop.at(offset)))).await;
    assert_eq!(said.status, 200, "{said:?}");
    assert_eq!(said.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    said.body.as_str().expect("text").to_owned()
}

/// The sum of the series of a metric that have these labels.
fn sum(text: &str, metric: &str, labels: &[&str]) -> f64 {
    let series = text.lines().filter(|line| line.starts_with(&format!("{metric}{{")));
    let wanted = series.filter(|line| labels.iter().all(|label| line.contains(label)));
    wanted.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().expect(line)).sum()
}

#[tokio::test]
async fn every_service_tells_what_its_layers_have_counted() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ada = Customer::new(&shop).await;
    assert!(scrape(&shop, 0).await.contains("name=\"mail\""));
    let before = scrape(&shop, 8).await;
    for key in ["a", "b", "c"] {
        let placed = ada.order(key, &[("tea-mint", 1)]).await;
        assert_eq!(ada.settled(placed.text("id")).await["status"], "CONFIRMED");
    }
    let beats = ["shop_store_up{store=\"order\"} 1", "shop_service_ready{service=\"gateway\"} 1"];
    for offset in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10] {
        // Who answers late is told to be silent until the next beat.
        until("every heartbeat", async || {
            let text = scrape(&shop, offset).await;
            beats.iter().all(|beat| text.lines().any(|line| line == *beat))
        })
        .await;
        let text = scrape(&shop, offset).await;
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').expect(line);
            let known = ["bartizan_", "shop_", "process_"].iter().any(|prefix| series.starts_with(prefix));
            assert!(known && value.parse::<f64>().is_ok(), "{line}");
        }
        let used = |metric: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
            line.expect(metric).parse::<f64>().unwrap()
        };
        assert!(used("process_resident_memory_bytes") > 1e6 && used("process_cpu_seconds_total") > 0.0);
        let more = |metric: &str, labels: &[&str]| sum(&text, metric, labels) - sum(&before, metric, labels);
        let served = more("bartizan_meter_calls_total", &["name=\"order\"", "outcome=\"success\""]);
        assert!(served >= 6.0, "{offset}: {served} in {text}");
        let charged = more("bartizan_meter_duration_seconds_count", &["name=\"order->payment\""]);
        assert!(charged >= 3.0, "{offset}: {charged} in {text}");
        let well = |name: &str| format!("name=\"{name}\"");
        let closed = ["state=\"closed\"", &well("gateway->order POST")];
        assert_eq!(sum(&text, "bartizan_breaker_state", &closed), 1.0, "{text}");
        for secret in [&ada.email, &ada.token, TOKEN, "Ada", "tea-mint"] {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
    }
}

/// Does something to a layer, as the console's page does.
fn order(shop: &Shop, path: &str, order: &serde_json::Value) -> Request {
    let request = shop.http.request(Method::POST, format!("{}/layers/{path}", shop.at(8)));
    request.header("bartizan-console", "1").json(order)
}

#[tokio::test]
async fn who_has_the_token_steers_layers_by_the_console() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
    let page = ops.get("/console").await;
    assert_eq!(
        (page.status.as_u16(), page.headers["content-type"].to_str().unwrap()),
        (200, "text/html; charset=utf-8")
    );
    let breaker = "breaker/gateway-%3Eorder%20POST";
    let open = json!({ "verb": "force_open" });
    for refused in [
        order(&shop, breaker, &open),
        order(&shop, breaker, &open).bearer_auth("not-the-ops-token-of-the-tests"),
    ] {
        say(refused).await.is_refusal(401);
    }
    let opened = say(order(&shop, breaker, &open).bearer_auth(TOKEN)).await;
    assert_eq!((opened.status.as_u16(), opened.text("state")), (200, "forced open"), "{opened:?}");
    ada.order("k", &[("tea-mint", 1)]).await.is_problem(503);
    say(order(&shop, breaker, &json!({ "verb": "reset" })).bearer_auth(TOKEN)).await;
    let ordered = async {
        loop {
            let said: Said = ada.order("k", &[("tea-mint", 1)]).await;
            if said.status != 503 {
                return said;
            }
            sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let placed = timeout(LONG, ordered).await.expect("orders are let through again");
    assert_eq!(ada.settled(placed.text("id")).await["status"], "CONFIRMED");
    // What nobody has, and a page of somebody else.
    say(order(&shop, "breaker/nobody", &open).bearer_auth(TOKEN)).await.is_refusal(404);
    let foreign = order(&shop, breaker, &open).bearer_auth(TOKEN).header("sec-fetch-site", "cross-site");
    say(foreign).await.is_refusal(403);
}
