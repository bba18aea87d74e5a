//! One mail for each kind of news, and to the right one.

use super::customer::Customer;
use super::process::{LONG, Shop, folder};
use super::stores;
use sqlx::{AssertSqlSafe, Row};
use std::path::Path;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Who got which mails about an order, once there are so many.
pub async fn mails(folder: &Path, order: &str, many: usize) -> Vec<(String, String)> {
    let mut store = stores::connect(folder, "mail").await;
    let is_mysql = stores::scratch::server().is_some_and(|url| !url.starts_with("postgres"));
    let place = if is_mysql { "?" } else { "$1" };
    let asked = async {
        loop {
            let mails = format!("SELECT kind, recipient FROM mails WHERE subject_id = {place} ORDER BY kind");
            let mails = sqlx::query(AssertSqlSafe(mails)).bind(order).fetch_all(&mut store).await.unwrap();
            if mails.len() >= many {
                return mails.iter().map(|mail| (mail.get(0), mail.get(1))).collect();
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG * 4, asked).await.expect("the mails are written")
}

pub fn to(recipient: &str, kinds: &[&str]) -> Vec<(String, String)> {
    kinds.iter().map(|kind| ((*kind).to_owned(), recipient.to_owned())).collect()
}

#[tokio::test]
async fn who_buys_is_told_what_becomes_of_the_order() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ada = Customer::new(&shop).await;
    let order = ada.order("k", &[("tea-mint", 1)]).await;
    ada.cancel(order.text("id")).await;
    let told = mails(folder.path(), order.text("id"), 3).await;
    assert_eq!(told, to("Ada", &["order.cancelled", "order.confirmed", "order.created"]));
    let me = ada.get("/api/v1/users/me").await;
    let greeted = mails(folder.path(), me.text("id"), 1).await;
    assert_eq!(greeted, to(&format!("Ada <{}>", ada.email), &["user.created"]));
}

/// Neither mail nor user is there when the order is placed. Mail comes later, and is told everything.
#[cfg(feature = "stage")]
#[tokio::test]
async fn an_order_waits_for_nobody_who_is_only_told() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (ops, ada) = (super::ops::Ops(&shop), Customer::new(&shop).await);
    // Those who check her token have its key from now on.
    let first = ada.order("first", &[("tea-mint", 1)]).await;
    for service in ["mail", "user"] {
        ops.set(service, "kill", serde_json::json!({ "ttl_s": 600 })).await;
    }
    let second = ada.order("second", &[("tea-mint", 1)]).await;
    assert_eq!((second.status.as_u16(), second.text("status")), (201, "CONFIRMED"), "{second:?}");
    ops.clear().await;
    let kinds = ["order.confirmed", "order.created"];
    assert_eq!(mails(folder.path(), first.text("id"), 2).await, to("Ada", &kinds));
    assert_eq!(mails(folder.path(), second.text("id"), 2).await, to("customer", &kinds));
}

/// The whole shop is killed again and again, wherever it is.
#[tokio::test]
async fn a_crash_writes_no_mail_twice_and_forgets_none() {
    let folder = folder();
    let mut orders = Vec::new();
    for crash in 0..4 {
        let shop = Shop::open(folder.path()).await;
        let ada = Customer::new(&shop).await;
        for n in 0..6 {
            let order = ada.order(&format!("k{n}"), &[("tea-mint", 1)]).await;
            orders.push(order.text("id").to_owned());
        }
        sleep(Duration::from_millis(15 * crash)).await;
        assert_eq!(shop.stop("KILL").await, None);
    }
    let _shop = Shop::open(folder.path()).await;
    for order in orders {
        let told = mails(folder.path(), &order, 2).await;
        assert_eq!(told, to("Ada", &["order.confirmed", "order.created"]));
    }
}

/// Somebody has locked the bus. Orders go on, the breakers before the bus open, and nothing is lost.
#[cfg(feature = "stage")]
#[tokio::test]
async fn a_bus_that_does_not_answer_is_left_alone_until_it_does() {
    let folder = folder();
    // A queue in a file, whatever the others have.
    let shop = Shop::open_with(folder.path(), &[("AMQP_URL", "")]).await;
    let (ops, ada) = (super::ops::Ops(&shop), Customer::new(&shop).await);
    let mut bus = stores::connect(folder.path(), "bus").await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut bus).await.unwrap();
    let mut orders = Vec::new();
    for n in 0..8 {
        let order = ada.order(&format!("k{n}"), &[("tea-mint", 1)]).await;
        assert_eq!(order.status, 201, "{order:?}");
        orders.push(order.text("id").to_owned());
    }
    ops.until("breaker", "order->bus", "open").await;
    sqlx::raw_sql("ROLLBACK").execute(&mut bus).await.unwrap();
    for order in orders {
        assert_eq!(mails(folder.path(), &order, 2).await, to("Ada", &["order.confirmed", "order.created"]));
    }
    super::ops::check(folder.path(), shop.base).await;
}

/// The way to the bus is gone.
#[cfg(feature = "stage")]
#[tokio::test]
async fn nobody_waits_for_a_bus_that_is_away() {
    use super::infrastructure::number;
    use super::ops::until;
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (ops, ada) = (super::ops::Ops(&shop), Customer::new(&shop).await);
    ops.set("bus", "bus_down", serde_json::json!({ "ttl_s": 600 })).await;
    let order = ada.order("k", &[("tea-mint", 1)]).await;
    assert_eq!((order.status.as_u16(), order.text("status")), (201, "CONFIRMED"), "{order:?}");
    let grown = async || number(&ops, "orders", "orders", "outbox").await >= 2.0;
    until("the outbox grows", grown).await;
    let ready = async |name: &str| number(&ops, "service", name, "ready").await == 1.0;
    until("mail is not ready", async || !ready("mail").await).await;
    assert!(ready("order").await && ready("user").await);
    ops.clear().await;
    let told = mails(folder.path(), order.text("id"), 2).await;
    assert_eq!(told.len(), 2, "{told:?}");
    until("mail is ready", async || ready("mail").await).await;
    super::ops::check(folder.path(), shop.base).await;
}

/// Who buys is not known for a moment. The order goes on, and its mail is for a customer.
#[cfg(feature = "stage")]
#[tokio::test]
async fn an_order_goes_on_without_the_name_of_who_buys() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (ops, ada) = (super::ops::Ops(&shop), Customer::new(&shop).await);
    assert_eq!(ada.order("before", &[("tea-mint", 1)]).await.status, 201);
    ops.set("order->user", "error", serde_json::json!({ "ttl_s": 600 })).await;
    let order = ada.order("k", &[("tea-mint", 1)]).await;
    assert!(order.status == 201 || order.status == 202, "{order:?}");
    assert_eq!(ada.settled(order.text("id")).await["status"], "CONFIRMED");
    let fallback = ops.layers("fallback", "order->user").await.remove(0);
    assert!(fallback["numbers"]["used"].as_u64().unwrap() > 0, "{fallback}");
    let told = mails(folder.path(), order.text("id"), 2).await;
    assert_eq!(told, to("customer", &["order.confirmed", "order.created"]));
    super::ops::check(folder.path(), shop.base).await;
}
