//! Many at once.

use super::bank::{Bank, Mood};
use super::customer::{Customer, Said, say};
use super::process::{LONG, Shop, folder, free_base, program};
use super::stores;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::{sleep, timeout};

/// Places as many orders at once as there are keys.
async fn at_once(customer: &Customer<'_>, keys: Vec<String>, items: &'static [(&str, i64)]) -> Vec<Said> {
    let orders = keys.iter().map(|key| customer.order(key, items));
    together(orders).await
}

/// Awaits all of them at once.
pub async fn together<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|cx| {
        let mut pending = false;
        for (future, output) in &mut futures {
            if output.is_none() {
                match future.as_mut().poll(cx) {
                    std::task::Poll::Ready(ready) => *output = Some(ready),
                    std::task::Poll::Pending => pending = true,
                }
            }
        }
        if pending { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    futures.into_iter().filter_map(|(_, output)| output).collect()
}

/// Asks as often as it takes to be told how an order has ended.
async fn insist(customer: &Customer<'_>, key: &str, items: &[(&str, i64)]) -> Said {
    let asked = async {
        loop {
            let said = customer.order(key, items).await;
            if !matches!(said.status.as_u16(), 202 | 429 | 503 | 504) {
                return said;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(LONG, asked).await.expect("it comes to an end")
}

/// One more gateway before the services of a shop.
async fn gateway(shop: &Shop, folder: &Path) -> Shop {
    let base = free_base();
    let mut gateway = program(&["run", "gateway"], folder, base);
    for (name, offset) in [("USER_URL", 1), ("PRODUCT_URL", 2), ("ORDER_URL", 4), ("PAYMENT_URL", 5)] {
        gateway.env(name, shop.at(offset));
    }
    let mut process = gateway.spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let line = timeout(LONG, lines.next_line()).await.expect("it opens in time").unwrap();
    assert_eq!(line, Some(format!("gateway is open at http://127.0.0.1:{base}")));
    Shop::of(process, base)
}

fn plain(said: &Said) -> String {
    said.body.to_string()
}

#[tokio::test]
async fn sixty_four_times_one_key_is_one_order_and_one_charge() {
    let (folder, bank) = (folder(), Bank::open(Mood::Good).await);
    let shop = Shop::open_with(folder.path(), &[("BANK_URL", &bank.url)]).await;
    let ada = Customer::new(&shop).await;
    let answers = at_once(&ada, vec!["one".to_owned(); 64], &[("tea-mint", 1)]).await;
    // A database elsewhere may be too busy for some of them, who ask again.
    let (busy, answers): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|said| !stores::are_files() && said.status.is_server_error());
    assert!(busy.len() < 32, "{busy:?}");
    assert!(answers.iter().all(|said| said.status == 201 || said.status == 202), "{answers:?}");
    let ids: BTreeSet<_> = answers.iter().map(|said| said.text("id")).collect();
    assert_eq!((answers.len() + busy.len(), ids.len()), (64, 1));
    let answers = together((0..64).map(|_| insist(&ada, "one", &[("tea-mint", 1)]))).await;
    assert!(answers.iter().all(|said| said.status == 201), "{answers:?}");
    assert_eq!(answers.iter().map(plain).collect::<BTreeSet<_>>().len(), 1, "all are told the same");
    assert_eq!(ids.first(), Some(&answers[0].text("id")));
    assert_eq!(answers[0].text("status"), "CONFIRMED");
    assert_eq!(bank.taken_and_kept(), (1, 590));
    assert_eq!(ada.stock("tea-mint").await, 999);
    assert_eq!(ada.get("/api/v1/orders").await.body["orders"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn of_other_orders_with_one_key_one_is_placed() {
    const ITEMS: [&[(&str, i64)]; 4] =
        [&[("tea-mint", 1)], &[("tea-mint", 2)], &[("cup-bowl", 1)], &[("cup-bowl", 1), ("tea-mint", 1)]];
    let (folder, bank) = (folder(), Bank::open(Mood::Good).await);
    let shop = Shop::open_with(folder.path(), &[("BANK_URL", &bank.url)]).await;
    let ada = Customer::new(&shop).await;
    let answers = together((0..64).map(|n| insist(&ada, "one", ITEMS[n % 4]))).await;
    let (placed, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|said| said.status == 201);
    assert_eq!((placed.len(), refused.len()), (16, 48), "{answers:?}");
    assert_eq!(placed.into_iter().map(plain).collect::<BTreeSet<_>>().len(), 1);
    refused.into_iter().for_each(|said| said.is_problem(422));
    assert_eq!(bank.taken_and_kept().0, 1);
    assert_eq!(ada.get("/api/v1/orders").await.body["orders"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_last_one_is_sold_to_one_of_sixty_four() {
    let (folder, bank) = (folder(), Bank::open(Mood::Good).await);
    let shop = Shop::open_with(folder.path(), &[("BANK_URL", &bank.url)]).await;
    let ada = Customer::new(&shop).await;
    assert_eq!(ada.order("all but one", &[("pot-glass", 999)]).await.status, 400, "a key has no spaces");
    assert_eq!(insist(&ada, "all-but-one", &[("pot-glass", 999)]).await.status, 201);
    let keys: Vec<_> = (0..64).map(|n| format!("k{n}")).collect();
    let answers = together(keys.iter().map(|key| insist(&ada, key, &[("pot-glass", 1)]))).await;
    let (sold, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|said| said.status == 201);
    assert_eq!((sold.len(), refused.len()), (1, 63), "{answers:?}");
    for said in refused {
        said.is_problem(409);
        assert_eq!(ada.settled(said.text("order")).await["status"], "CANCELLED");
    }
    assert_eq!(ada.stock("pot-glass").await, 0);
    assert_eq!(bank.taken_and_kept(), (2, 1000 * 3490));
    #[cfg(feature = "stage")]
    super::ops::check(folder.path(), shop.base).await;
}

/// Without the services before it, which would ask one after the other.
#[tokio::test]
async fn two_replicas_hold_the_last_one_for_one_of_sixty_four() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let hold = async |n: u16, order: String, quantity: i64| {
        let url = format!("{}/reservations/{order}", shop.at(2 + n % 2));
        let items = json!({ "items": [{ "product_id": "pot-glass", "quantity": quantity }] });
        loop {
            let said = say(shop.http.put(&url).json(&items)).await;
            if !matches!(said.status.as_u16(), 503 | 504) {
                return said.status.as_u16();
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    assert_eq!(hold(0, "all-but-one".to_owned(), 999).await, 200);
    let mut statuses = together((0..64).map(|n| hold(n, format!("o{n}"), 1))).await;
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (200, &[409; 63][..]));
}

/// Two gateways, and everybody cancels while it is confirmed.
#[tokio::test]
async fn cancelled_by_sixty_four_while_it_is_confirmed_is_cancelled_once() {
    let (here, there, bank) = (folder(), folder(), Bank::open(Mood::Good).await);
    let shop = Shop::open_with(here.path(), &[("BANK_URL", &bank.url)]).await;
    let other = gateway(&shop, there.path()).await;
    let ada = Customer::new(&shop).await;
    let elsewhere = Customer { shop: &other, email: ada.email.clone(), token: ada.token.clone() };
    for (n, wait_ms) in [0, 3, 10, 30, 200].into_iter().enumerate() {
        let key = format!("k{n}");
        let cancels = async {
            let id = loop {
                let orders = ada.get("/api/v1/orders").await.body;
                match orders["orders"].as_array() {
                    Some(orders) if orders.len() > n => break orders[0]["id"].as_str().unwrap().to_owned(),
                    _ => sleep(Duration::from_millis(1)).await,
                }
            };
            sleep(Duration::from_millis(wait_ms)).await;
            let said = together((0..64).map(|n| [&ada, &elsewhere][n % 2].cancel(&id))).await;
            assert!(said.iter().any(|said| said.status.is_success()), "{said:?}");
            let not = |said: &&Said| !matches!(said.status.as_u16(), 200 | 202 | 429 | 503 | 504);
            assert!(!said.iter().any(|said| not(&said)), "{said:?}");
            id
        };
        let items = [("tea-mint", 2)];
        let (id, _) = tokio::join!(cancels, ada.order(&key, &items));
        assert_eq!(ada.settled(&id).await["status"], "CANCELLED");
        assert_eq!(bank.taken_and_kept().1, 0);
        assert_eq!(ada.stock("tea-mint").await, 1000);
        assert_eq!(insist(&ada, &key, &items).await.text("id"), id, "the key is used up");
        // What one customer may ask for comes back.
        sleep(Duration::from_secs(1)).await;
    }
}

/// Everything there is, at once.
#[tokio::test]
async fn an_order_of_everything_is_all_or_nothing() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ada = Customer::new(&shop).await;
    let products = ada.get("/api/v1/products").await.body["products"].as_array().unwrap().clone();
    let all = |quantity: i64| -> Vec<(&str, i64)> {
        products.iter().map(|product| (product["id"].as_str().unwrap(), quantity)).collect()
    };
    let (forwards, mut backwards) = (all(1), all(1));
    backwards.reverse();
    let (some, others) = tokio::join!(insist(&ada, "k1", &forwards), insist(&ada, "k2", &backwards));
    assert_eq!((some.status.as_u16(), others.status.as_u16()), (201, 201));
    insist(&ada, "k3", &all(999)).await.is_problem(409);
    for product in ada.get("/api/v1/products").await.body["products"].as_array().unwrap() {
        assert_eq!(product["stock"], 998, "{product}");
    }
    let named: Vec<_> = (0..101).map(|n| format!("tea-{n}")).collect();
    let named: Vec<_> = named.iter().map(|id| (id.as_str(), 1)).collect();
    for most in [100, 101] {
        ada.order("k4", &named[..most]).await.is_problem(422);
    }
    #[cfg(feature = "stage")]
    super::ops::check(folder.path(), shop.base).await;
}
