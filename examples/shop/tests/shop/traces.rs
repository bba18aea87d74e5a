//! One order, from the gateway to its mails, is one trace.

use super::customer::Customer;
use super::ops::Ops;
use super::process::{LONG, Shop, TOKEN, folder};
use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use http::StatusCode;
use serde_json::Value;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

const SERVICES: [&str; 7] = ["gateway", "user", "order", "product", "payment", "bank", "mail"];

/// Every span of a tree, and the depth at which it is.
fn spans<'a>(tree: &'a [Value], depth: usize, all: &mut Vec<(&'a Value, usize)>) {
    for span in tree {
        all.push((span, depth));
        spans(span["children"].as_array().unwrap(), depth + 1, all);
    }
}

fn text<'a>(span: &'a Value, field: &str) -> &'a str {
    span[field].as_str().unwrap_or_else(|| panic!("no {field} in {span}"))
}

/// Waits for the trace of an order, with both of its events and both of its mails.
async fn order(ops: &Ops<'_>) -> Value {
    let mailed = async {
        loop {
            let said = ops.get("/traces?sort=slowest&limit=500").await;
            for brief in said.body["traces"].as_array().unwrap_or_else(|| panic!("{said:?}")) {
                if brief["name"] != "POST /api/v1/orders" {
                    continue;
                }
                let trace = ops.get(&format!("/traces/{}", text(brief, "trace_id"))).await.body;
                let mut all = Vec::new();
                spans(trace["spans"].as_array().unwrap(), 0, &mut all);
                let are = |kind: &str| all.iter().filter(|(span, _)| span["kind"] == kind).count();
                // Spans of other processes come a little later.
                let of =
                    |service: &&str| all.iter().any(|(span, _)| text(span, "instance").starts_with(service));
                let is_whole = trace["spans"].as_array().unwrap().len() == 1 && SERVICES.iter().all(of);
                if (are("producer"), are("consumer")) == (2, 2) && is_whole {
                    return trace;
                }
            }
            sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    timeout(LONG, mailed).await.expect("the order and its mails are one trace")
}

#[tokio::test]
async fn an_order_is_one_trace_from_the_gateway_to_its_mails() {
    let folder = folder();
    is_one_trace(&Shop::open(folder.path()).await).await;
}

#[tokio::test]
async fn an_order_is_one_trace_over_processes() {
    let folder = folder();
    is_one_trace(&Shop::open_procs(folder.path()).await).await;
}

async fn is_one_trace(shop: &Shop) {
    let (ops, ada) = (Ops(shop), Customer::new(shop).await);
    let secrets = ["idempotent-key-1", "correct horse", &ada.email, &ada.token, TOKEN, "Ada"];
    let placed = ada.order("idempotent-key-1", &[("tea-mint", 2)]).await;
    assert_eq!(ada.settled(placed.text("id")).await["status"], "CONFIRMED");

    let trace = order(&ops).await;
    let roots = trace["spans"].as_array().unwrap();
    let mut all = Vec::new();
    spans(roots, 0, &mut all);
    assert_eq!((roots.len(), trace["left_out"].as_u64()), (1, Some(0)), "{trace:#}");
    assert_eq!((text(&roots[0], "instance"), text(&roots[0], "kind")), ("gateway", "server"), "{trace:#}");
    // Whose span is whose child.
    let find = |instance: &str, kind: &str, name: &str| {
        let is = |span: &&(&Value, usize)| {
            text(span.0, "instance").starts_with(instance) && span.0["kind"] == kind && span.0["name"] == name
        };
        all.iter().find(is).unwrap_or_else(|| panic!("no {kind} {name} of {instance} in {trace:#}"))
    };
    let placed = find("order", "server", "POST /orders");
    let charged = find("payment", "server", "shop.payment.v1.Payments/Charge");
    let taken = find("bank", "server", "PUT /charges/{key}");
    let told = find("order", "producer", "publish order.confirmed");
    let mailed = find("mail", "consumer", "mail");
    // A call and its attempt are between who asks and who is asked; what is told, is told by who was asked.
    assert_eq!([placed.1, charged.1, taken.1], [3, 6, 9], "{trace:#}");
    assert_eq!([told.1, mailed.1], [4, 4], "{trace:#}");
    let attempt = all.iter().find(|(span, _)| span["attributes"]["attempt"].is_string());
    let attempt = attempt.unwrap_or_else(|| panic!("no attempt in {trace:#}")).0;
    assert_eq!((text(attempt, "kind"), &attempt["attributes"]["attempt"]), ("client", &"0".into()));

    let all = ops.get("/traces?limit=500").await.body.to_string() + &trace.to_string();
    for secret in secrets {
        assert!(!all.contains(secret), "{secret} is in {all}");
    }
}

/// What strangers say of their traces is not followed.
#[tokio::test]
async fn the_gateway_begins_traces_of_its_own() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ops = Ops(&shop);
    let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let look = shop.http.get(shop.url("/api/v1/products/tea-mint"));
    super::customer::say(look.header("traceparent", format!("00-{trace}-{span}-01"))).await;
    let kept = async {
        loop {
            let said = ops.get("/traces").await.body;
            let traces = said["traces"].as_array().unwrap().clone();
            if let Some(own) = traces.into_iter().find(|it| it["name"] == "GET /api/v1/products/{id}") {
                return own;
            }
            sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let own = timeout(LONG, kept).await.expect("it is traced");
    assert_ne!(text(&own, "trace_id"), trace);
    ops.get(&format!("/traces/{trace}")).await.is_problem(404);
}

/// A collector that takes what it gets, until it is told otherwise.
#[derive(Clone, Default)]
struct Own {
    fails: Arc<AtomicBool>,
    got: Arc<Mutex<Vec<u8>>>,
    asked: Arc<AtomicUsize>,
}

impl Own {
    /// Opens it, and returns where it is.
    async fn open(&self) -> String {
        let own = self.clone();
        let take = async move |body: Bytes| {
            own.asked.fetch_add(1, Ordering::Relaxed);
            if own.fails.load(Ordering::Relaxed) {
                return StatusCode::SERVICE_UNAVAILABLE;
            }
            own.got.lock().unwrap().extend(&body);
            StatusCode::OK
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().route("/v1/traces", post(take));
        tokio::spawn(async { axum::serve(listener, routes).await });
        url
    }

    async fn until(&self, what: &str, is: impl Fn(&Self) -> bool) {
        let waited = timeout(LONG, async {
            while !is(self) {
                sleep(std::time::Duration::from_millis(50)).await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("never {what}"));
    }

    fn has(&self, word: &str) -> bool {
        self.got.lock().unwrap().windows(word.len()).any(|bytes| bytes == word.as_bytes())
    }
}

#[tokio::test]
async fn a_collector_gets_no_secrets_and_is_not_waited_for() {
    let (folder, own) = (folder(), Own::default());
    let url = own.open().await;
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
    let shop = Shop::open_with(folder.path(), &variables).await;
    let ada = Customer::new(&shop).await;
    let placed = ada.order("idempotent-key-1", &[("tea-mint", 2)]).await;
    assert_eq!(ada.settled(placed.text("id")).await["status"], "CONFIRMED");
    own.until("told of the events", |own| own.has("publish order.confirmed")).await;
    for secret in ["idempotent-key-1", "correct horse", &ada.email, &ada.token, TOKEN, "Ada"] {
        assert!(!own.has(secret), "{secret}");
    }
    own.fails.store(true, Ordering::Relaxed);
    let asked = own.asked.load(Ordering::Relaxed);
    let placed = ada.order("k2", &[("tea-mint", 2)]).await;
    assert_eq!(ada.settled(placed.text("id")).await["status"], "CONFIRMED");
    own.until("asked in vain", |own| own.asked.load(Ordering::Relaxed) > asked).await;
    assert_eq!(ada.get("/api/v1/products").await.status, 200);
    assert_eq!(shop.stop("TERM").await, Some(0));
}

/// With a collector.
mod collector {
    use super::*;

    /// Waits until the log of the collector has all of these words.
    async fn logged(log: &Path, words: &[&str]) {
        let all = async {
            loop {
                let text = std::fs::read_to_string(log).unwrap_or_default();
                if words.iter().all(|word| text.contains(word)) {
                    return;
                }
                sleep(std::time::Duration::from_millis(100)).await;
            }
        };
        let waited = timeout(LONG, all).await;
        let text = std::fs::read_to_string(log).unwrap_or_default();
        assert!(waited.is_ok(), "not all of {words:?} are in {text}");
    }

    #[tokio::test]
    #[ignore = "it needs a collector: .ci/servers otlp -- cargo test"]
    async fn a_collector_gets_what_the_shop_keeps() {
        let url = std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").expect("it says where a collector is");
        let servers = std::env::var("SERVERS_DIR").expect("it says where its log is");
        let folder = folder();
        let variable = [("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str())];
        let shop = Shop::open_with(folder.path(), &variable).await;
        let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
        let placed = ada.order("k", &[("tea-mint", 2)]).await;
        assert_eq!(ada.settled(placed.text("id")).await["status"], "CONFIRMED");
        let trace = order(&ops).await;
        assert_eq!(shop.stop("TERM").await, Some(0));
        let words =
            [text(&trace, "trace_id"), "service.name", "POST /api/v1/orders", "publish order.confirmed"];
        logged(&Path::new(&servers).join("otlp.log"), &words).await;
    }
}
