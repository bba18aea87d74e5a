//! `shop load`: what it says, and whether the shop says the same.

use super::process::{LONG, Shop, at, folder, free_base, program, signal_to, stderr};
use super::stores;
use serde_json::Value;
use sqlx::{Connection, Row};
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use tokio::io::AsyncReadExt;
use tokio::process::Child;
use tokio::time::{sleep, timeout};

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
            sleep(std::time::Duration::from_millis(50)).await;
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
    tokio::spawn(async { axum::serve(listener, axum::Router::new()).await });
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
