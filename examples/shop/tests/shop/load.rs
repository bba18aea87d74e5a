//! `shop load`: what it says, and whether the shop says the same.

use super::process::{LONG, Shop, at, folder, free_base, program, signal_to, stderr};
use super::stores;
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde_json::{Value, json};
use sqlx::{Connection, Row};
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::Child;
use tokio::time::{Instant, sleep, sleep_until, timeout};

const OUTCOMES: [&str; 8] =
    ["ok", "pending", "stale", "sold_out", "declined", "refused", "failed", "timeout"];

/// Waits for a load that ran, and returns its figures.
async fn figures(mut load: Child) -> Value {
    let mut said = String::new();
    let all = load.stdout.as_mut().unwrap().read_to_string(&mut said);
    timeout(2 * LONG, all).await.expect("the load ends in time").unwrap();
    let complaints = stderr(&mut load).await;
    assert_eq!(complaints, "", "nothing is drawn where there is no terminal");
    assert_eq!(load.wait().await.unwrap().code(), Some(0), "{said}");
    serde_json::from_str(&said).unwrap_or_else(|why| panic!("{why}: {said}"))
}

fn number(figures: &Value) -> u64 {
    figures.as_u64().unwrap_or_else(|| panic!("{figures} is no number"))
}

/// Checks that every arrival has one end, and every group its sum.
fn add_up(told: &Value) {
    let sum = |row: &Value| OUTCOMES.iter().map(|outcome| number(&row["outcomes"][outcome])).sum::<u64>();
    let mut total = 0;
    for (group, journeys) in [("orders", &["place", "own", "last"][..]), ("browsing", &["list", "product"])] {
        let ended: u64 = journeys.iter().map(|journey| sum(&told[group][journey])).sum();
        assert_eq!(ended, sum(&told[group]["all"]), "{told:#}");
        total += ended;
    }
    assert_eq!(total, sum(&told["total"]), "{told:#}");
    assert_eq!(total, number(&told["sent"]), "{told:#}");
    assert_eq!(number(&told["arrivals"]), number(&told["sent"]) + number(&told["not_sent"]), "{told:#}");
}

/// The lines of the journal: id, HTTP status, status word, and last the key, which is left out.
fn journal(folder: &Path) -> Vec<(String, u16, String)> {
    let text = fs::read_to_string(folder.join("load.journal")).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "the last line is whole");
    let line = |line: &str| {
        let [id, status, word, _key] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line:?} is no line")
        };
        (id.to_owned(), status.parse().unwrap(), word.to_owned())
    };
    text.lines().map(line).collect()
}

/// The steps of the orders in the store.
async fn orders(folder: &Path) -> HashMap<String, String> {
    let mut store = stores::connect(folder, "order").await;
    let rows = sqlx::query("SELECT id, step FROM orders").fetch_all(&mut store).await.unwrap();
    store.close().await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test]
async fn what_the_load_says_is_what_the_shop_says() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let args = ["load", "--rps", "20", "--for", "3s", "--customers", "8", "--json"];
    let told = figures(program(&args, folder.path(), shop.base).spawn().unwrap()).await;
    add_up(&told);
    assert!(number(&told["sent"]) > 0, "{told:#}");
    assert_eq!((&told["rps"], &told["customers"]), (&20.into(), &8.into()));
    assert_eq!((&told["lasted_seconds"], &told["ended_early"]), (&3.0.into(), &false.into()));

    let (lines, orders) = (journal(folder.path()), orders(folder.path()).await);
    assert!(!lines.is_empty(), "{told:#}");
    assert_eq!(number(&told["acknowledged"]), lines.len() as u64, "{told:#}");
    for (status, outcome) in [(201, "ok"), (202, "pending"), (402, "declined"), (409, "sold_out")] {
        let noted = lines.iter().filter(|line| line.1 == status).count() as u64;
        assert_eq!(number(&told["orders"]["place"]["outcomes"][outcome]), noted, "{outcome}: {told:#}");
    }
    for (id, status, word) in &lines {
        let step = orders.get(id).unwrap_or_else(|| panic!("order {id} is lost"));
        assert!(
            *status != 201 || (word == "CONFIRMED" && step == "CONFIRMED"),
            "{id} {status} {word}: {step}"
        );
    }
    let ids: HashMap<_, _> = lines.iter().map(|line| (&line.0, ())).collect();
    assert_eq!(ids.len(), lines.len(), "no order is noted twice");
    assert_eq!(shop.stop("TERM").await, Some(0));
}

#[tokio::test]
async fn a_person_gets_tables_and_a_second_load_adds_to_the_journal() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let mut before = 0;
    for _ in 0..2 {
        let args = ["load", "--rps", "50", "--for", "500ms", "--customers", "2"];
        let said = program(&args, folder.path(), shop.base).output().await.unwrap();
        let text = String::from_utf8(said.stdout).unwrap();
        assert_eq!((said.status.code(), &*said.stderr), (Some(0), &b""[..]), "{text}");
        let customers = format!("2 customers at {}", at(shop.base));
        for line in [customers.as_str(), "orders ", "browsing ", "total ", "goodput ", "good p99.9 "] {
            assert!(text.lines().any(|told| told.starts_with(line)), "{line:?} in {text}");
        }
        assert!(!text.contains('\u{1b}'), "no colours where there is no terminal: {text:?}");
        let lines = journal(folder.path()).len();
        assert!(lines > before, "{text}");
        before = lines;
    }
}

#[tokio::test]
async fn ctrl_c_ends_a_load_early_and_it_says_how_it_was() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let args = ["load", "--rps", "100", "--for", "1h", "--customers", "2", "--json"];
    let load = program(&args, folder.path(), shop.base).spawn().unwrap();
    let noted = async {
        while !folder.path().join("load.journal").exists() || journal(folder.path()).is_empty() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(LONG, noted).await.expect("the journal is written while the load runs");
    signal_to(&load, "INT").await;
    let told = figures(load).await;
    add_up(&told);
    assert_eq!(told["ended_early"], true);
    assert_eq!(number(&told["acknowledged"]), journal(folder.path()).len() as u64, "{told:#}");
}

#[tokio::test]
async fn who_must_log_in_again_does() {
    let folder = folder();
    let shop = Shop::open_with(folder.path(), &[("SHOP_SESSION_SECONDS", "1")]).await;
    let args = ["load", "--rps", "20", "--for", "3s", "--customers", "2", "--json"];
    let told = figures(program(&args, folder.path(), shop.base).spawn().unwrap()).await;
    add_up(&told);
    assert!(number(&told["logged_in_again"]) > 0, "{told:#}");
    assert!(number(&told["orders"]["all"]["outcomes"]["ok"]) > 0, "{told:#}");
}

#[tokio::test]
async fn a_gateway_that_is_not_there_is_a_sentence() {
    let (folder, base) = (folder(), free_base());
    let mut load = program(&["load", "--for", "1s"], folder.path(), base).spawn().unwrap();
    let said = stderr(&mut load).await;
    assert_eq!(load.wait().await.unwrap().code(), Some(1), "{said}");
    let begin = format!("shop: the gateway at {} cannot be reached: ", at(base));
    assert!(said.starts_with(&begin) && said.ends_with(".\n") && said.lines().count() == 1, "{said}");
    assert!(folder.path().read_dir().unwrap().next().is_none(), "nothing was written");
}

#[tokio::test]
async fn a_gateway_that_takes_no_customers_is_a_sentence_and_no_journal_is_kept_of_it() {
    let folder = folder();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, Router::new()).await });
    let args = ["load", "--gateway", &url];
    let mut load = program(&args, folder.path(), free_base()).spawn().unwrap();
    let said = stderr(&mut load).await;
    assert_eq!(load.wait().await.unwrap().code(), Some(1), "{said}");
    let sentence =
        format!("shop: the gateway at {url} does not let customers register: it answered 404 Not Found.\n");
    assert_eq!(said, sentence);
    assert!(folder.path().read_dir().unwrap().next().is_none(), "nothing was written");
}

#[tokio::test]
async fn another_gateway_leaves_no_journal_here() {
    let (there, here) = (folder(), folder());
    let shop = Shop::open(there.path()).await;
    let url = shop.url("");
    let args = ["load", "--gateway", &url, "--for", "500ms", "--customers", "1", "--json"];
    let told = figures(program(&args, here.path(), free_base()).spawn().unwrap()).await;
    add_up(&told);
    assert_eq!((&told["journal"], &told["gateway"]), (&Value::Null, &url.as_str().into()));
    assert!(here.path().read_dir().unwrap().next().is_none(), "nothing was written");
}

/// A gateway that knows everybody and shows one product, but stands still for a while after it has been shown for the
/// hundredth time.
async fn stalls() -> String {
    let (shown, opens) = (Arc::new(AtomicU32::new(0)), Arc::new(OnceLock::new()));
    let products = async move || {
        if shown.fetch_add(1, Ordering::Relaxed) >= 100 {
            sleep_until(*opens.get_or_init(|| Instant::now() + STALL)).await;
        }
        let tea = json!({ "id": "tea", "name": "Tea", "category": "teas", "price_cents": 1, "stock": 1 });
        Json(json!({ "products": [tea] }))
    };
    let session = async || Json(json!({ "token": "t", "expires_in": 3600 }));
    let routes = Router::new()
        .route("/api/v1/users", post(async || StatusCode::CREATED))
        .route("/api/v1/sessions", post(session))
        .route("/api/v1/products", get(products.clone()))
        .route("/api/v1/products/{id}", get(products));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, routes).await });
    url
}

const STALL: Duration = Duration::from_millis(1500);

/// Who waits for answers before it asks again would have asked once in the stall, and told of one slow answer.
#[tokio::test]
async fn a_gateway_that_stalls_is_seen_by_all_who_were_to_come_and_the_report_says_the_same() {
    let (folder, url) = (folder(), stalls().await);
    let dir = folder.path().join("a/report");
    let args =
        ["load", "--gateway", &url, "--rps", "200", "--for", "3s", "--customers", "1", "--only", "browsing"];
    let args = [&args[..], &["--json", "--report", dir.to_str().unwrap()]].concat();
    let told = figures(program(&args, folder.path(), free_base()).spawn().unwrap()).await;
    add_up(&told);
    let bars = told["latency_histogram"].as_array().unwrap();
    let count = |bar: &Value| number(&bar["count"]);
    let slow = bars.iter().filter(|bar| bar["to_ms"].as_f64() >= Some(1000.0)).map(count).sum::<u64>();
    // A second of the stall at 200 a second.
    assert!(slow >= 150, "{slow}: {told:#}");
    assert_eq!(bars.iter().map(count).sum::<u64>(), number(&told["sent"]), "{told:#}");
    let points = told["over_time"].as_array().unwrap();
    let asked = points.iter().map(|point| point["asked"].as_f64().unwrap()).sum::<f64>();
    assert_eq!(asked as u64, number(&told["arrivals"]), "{told:#}");

    let kept = fs::read(dir.join("report.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&kept).unwrap(), told);
    let page = fs::read_to_string(dir.join("report.html")).unwrap();
    for point in points {
        let columns = ["at_s", "asked", "sent", "served", "goodput"];
        let row: String = columns.iter().map(|name| format!("<td>{}</td>", point[name])).collect();
        assert!(page.contains(&row), "{row}: {page}");
    }
    let total = &told["total"];
    let all = format!("<th>total</th><td>{}</td><td>{}</td>", total["sent"], total["goodput"]);
    let latencies =
        ["p50", "p99", "p99.9"].map(|name| format!("<td>{}</td>", total["all_ms"][name])).concat();
    assert!(page.contains(&all) && page.contains(&latencies), "{page}");
    assert_eq!(page.matches("<svg").count(), 4);
}

#[tokio::test]
async fn rates_and_mixes_are_as_they_are_asked_for() {
    let (folder, url) = (folder(), stalls().await);
    let common = ["load", "--gateway", &url, "--for", "2s", "--customers", "1", "--json"];
    let told = async |more: &[&str]| {
        let args = [&common[..], more].concat();
        figures(program(&args, folder.path(), free_base()).spawn().unwrap()).await
    };
    let ramp = told(&["--ramp", "10..50", "--mix", "browse=2,order=0"]).await;
    add_up(&ramp);
    assert_eq!((&ramp["rps"], &ramp["ramp"]), (&json!(30), &json!([10, 50])));
    let arrivals = number(&ramp["arrivals"]);
    assert!((30..100).contains(&arrivals) && number(&ramp["orders"]["all"]["sent"]) == 0, "{ramp:#}");
    let steps = told(&["--steps", "10,30", "--mix", "browse=1,account=1"]).await;
    add_up(&steps);
    assert_eq!((&steps["rps"], &steps["steps"]), (&json!(20), &json!([10, 30])));
    assert!(steps["mix"]["place"] == 0.0 && steps["mix"]["own"].as_f64() > Some(0.3), "{steps:#}");
    assert!(number(&steps["orders"]["own"]["outcomes"]["failed"]) > 0, "it has no orders: {steps:#}");
}

#[tokio::test]
async fn flags_that_exclude_each_other_and_a_report_that_cannot_be_written_are_told() {
    for (flags, code, why) in [
        (&["--rps", "1", "--ramp", "1..2"][..], 2, "cannot be used with"),
        (&["--ramp", "1..2", "--steps", "1,2"], 2, "cannot be used with"),
        (&["--mix", "order=1", "--only", "orders"], 2, "cannot be used with"),
        (&["--report", "/dev/null/here"], 1, "shop: the report cannot be written to /dev/null/here: "),
    ] {
        let folder = folder();
        let args = [&["load"], flags].concat();
        let mut load = program(&args, folder.path(), free_base()).spawn().unwrap();
        let said = stderr(&mut load).await;
        assert!(said.contains(why), "{flags:?}: {said}");
        assert_eq!(load.wait().await.unwrap().code(), Some(code), "{said}");
    }
}

#[tokio::test]
async fn a_bad_flag_is_named_with_what_it_should_be() {
    for (flag, value, why) in [
        ("--rps", "0", "1..=10000"),
        ("--rps", "-1", "1..=10000"),
        ("--rps", "10001", "1..=10000"),
        ("--rps", "many", "invalid digit"),
        ("--for", "0s", "longer than nothing"),
        ("--for", "-5s", "a whole number and a unit"),
        ("--for", "banana", "a whole number and a unit"),
        ("--for", "2h", "1h at most"),
        ("--customers", "0", "1..=1000"),
        ("--customers", "-3", "1..=1000"),
        ("--gateway", "banana", "http://127.0.0.1:8080"),
        ("--ramp", "50", "like 50..500"),
        ("--ramp", "0..50", "like 50..500"),
        ("--steps", "50,many", "like 50,100,200"),
        ("--mix", "tea=1", "like browse=70"),
        ("--mix", "browse=0", "somebody must come"),
    ] {
        let folder = folder();
        let mut load = program(&["load", flag, value], folder.path(), free_base()).spawn().unwrap();
        let said = stderr(&mut load).await;
        let first = said.lines().next().unwrap_or_default();
        assert!(
            first.contains(flag) && first.contains(value) && first.contains(why),
            "{flag} {value}: {said}"
        );
        assert_eq!(load.wait().await.unwrap().code(), Some(2), "{said}");
        assert!(folder.path().read_dir().unwrap().next().is_none(), "nothing was written");
    }
}
