//! How those fare who shop while something happens to the shop.

use super::customer::{Customer, Said, say};
use super::ops::Ops;
use super::process::{Shop, TOKEN};
use super::races::together;
use super::survives::insist;
use http::Method;
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::sleep;

/// How many shop at once, and how long each looks at what came.
const CUSTOMERS: usize = 8;
const LOOK: Duration = Duration::from_millis(150);

/// What they order in turn, for there are 1000 of each.
const PRODUCTS: [&str; 8] = [
    "tea-mint",
    "tea-assam",
    "cup-bowl",
    "kit-timer",
    "tea-darjeeling",
    "tea-matcha",
    "cup-glass",
    "kit-scale",
];

/// How often everything is restarted: `SHOP_ROUNDS`, or as often as is enough to see it.
pub fn rounds(enough: u32) -> u32 {
    measured().unwrap_or(enough)
}

/// Who says how many rounds it shall be measures, on a machine that has nothing else to do.
fn measured() -> Option<u32> {
    std::env::var("SHOP_ROUNDS").ok().map(|rounds| rounds.parse().expect("SHOP_ROUNDS is a number"))
}

/// What was answered. A connection that breaks fails the test at once.
#[derive(Debug, Default)]
pub struct Fare {
    good: Cell<usize>,
    /// What each was told who was told to come again.
    late: RefCell<Vec<String>>,
}

impl Fare {
    /// Looks around and orders, again and again.
    pub async fn shop(&self, ada: &Customer<'_>) -> ! {
        loop {
            self.look(ada).await;
            self.order(ada).await;
        }
    }

    async fn look(&self, ada: &Customer<'_>) {
        let look = || ada.request(Method::GET, "/api/v1/products").header("x-shop-token", TOKEN);
        self.note(ada, "looked", &say(look()).await).await;
    }

    /// Returns the key, the product, and what was answered.
    async fn order(&self, ada: &Customer<'_>) -> (String, &'static str, Said) {
        static KEYS: AtomicU32 = AtomicU32::new(0);
        let n = KEYS.fetch_add(1, Ordering::Relaxed);
        let (key, product) = (format!("k{n}"), PRODUCTS[n as usize % PRODUCTS.len()]);
        let order = ada.request(Method::POST, "/api/v1/orders").header("idempotency-key", &*key);
        let order = order.header("x-shop-token", TOKEN);
        let said = say(order.json(&json!({ "items": [{ "product_id": product, "quantity": 1 }] }))).await;
        self.note(ada, "ordered", &said).await;
        (key, product, said)
    }

    /// On a machine that is busy with something else, an answer may come too late.
    async fn note(&self, ada: &Customer<'_>, what: &str, said: &Said) {
        match said.status.as_u16() {
            200..=202 => self.good.set(self.good.get() + 1),
            503 | 504 => {
                let told = format!("{what}: {} {}\n{}", said.status, said.body, trace(ada.shop, said).await);
                println!("{told}");
                self.late.borrow_mut().push(told);
            }
            _ => panic!("{what}: {said:?}"),
        }
    }

    /// Nobody was told to come again; on a machine that may be busy, few were.
    pub fn is_good(&self) {
        let (good, late) = (self.good.get(), self.late.borrow());
        println!("{good} were served, {} were told to come again", late.len());
        let most = if measured().is_some() { 0 } else { good / 10 };
        assert!(good > 0 && late.len() <= most, "{good} were served, and not: {}", late.join("\n"));
    }
}

/// Where the time went of a request.
async fn trace(shop: &Shop, said: &Said) -> String {
    let Some(id) = said.headers.get("x-trace-id").and_then(|id| id.to_str().ok()) else {
        return "it has no trace".to_owned();
    };
    // Spans of other processes come a little later.
    sleep(Duration::from_secs(1)).await;
    let trace = Ops(shop).get(&format!("/traces/{id}")).await.body;
    let mut told = String::new();
    trace["spans"].as_array().into_iter().flatten().for_each(|span| tell(span, 1, &mut told));
    if told.is_empty() { trace.to_string() } else { told }
}

fn tell(span: &Value, depth: usize, told: &mut String) {
    let [name, instance, after, took] = ["name", "instance", "after_ms", "took_ms"].map(|field| &span[field]);
    let attributes = &span["attributes"];
    _ = writeln!(told, "{:1$}{instance} {name} {after} + {took} {attributes}", "", depth * 2);
    span["children"].as_array().into_iter().flatten().for_each(|child| tell(child, depth + 1, told));
}

/// Has customers shop while something happens. Each order that was taken is confirmed at last.
pub async fn nobody_is_lost(shop: &Shop, happens: impl Future<Output = ()>) {
    let customers = together((0..CUSTOMERS).map(|_| Customer::new(shop))).await;
    let (over, fare) = (AtomicBool::new(false), Fare::default());
    let lane = async |ada: &Customer<'_>| {
        let mut orders = Vec::new();
        while !over.load(Ordering::Relaxed) {
            fare.look(ada).await;
            let (key, product, mut order) = fare.order(ada).await;
            if order.status.is_server_error() {
                order = insist(ada, &key, product).await;
            }
            assert!(matches!(order.status.as_u16(), 201 | 202), "{order:?}");
            orders.push(order.text("id").to_owned());
            sleep(LOOK).await;
        }
        orders
    };
    let happens = async {
        happens.await;
        // Whoever goes has gone, and those who have come are asked.
        sleep(Duration::from_secs(4)).await;
        over.store(true, Ordering::Relaxed);
    };
    let (orders, ()) = tokio::join!(together(customers.iter().map(lane)), happens);
    for (ada, orders) in customers.iter().zip(&orders) {
        for order in orders {
            assert_eq!(ada.settled(order).await["status"], "CONFIRMED");
        }
    }
    fare.is_good();
}
