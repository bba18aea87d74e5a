//! Somebody who shops.

use super::process::{LONG, Request, Shop};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

pub const PASSWORD: &str = "correct horse";

pub struct Customer<'a> {
    pub shop: &'a Shop,
    pub email: String,
    pub token: String,
}

/// What the shop answered.
#[derive(Debug)]
pub struct Said {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

pub async fn say(request: Request) -> Said {
    let response = request.send().await.expect("the shop answers");
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.expect("a whole answer");
    Said { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
}

/// Asks, and asks again while the machine is too busy to answer. A breaker that has opened then is open for some seconds.
pub async fn at_last<F: Future<Output = Said>>(ask: impl Fn() -> F) -> Said {
    let end = Instant::now() + LONG * 2;
    loop {
        let said = ask().await;
        if !said.status.is_server_error() && said.status != 429 || Instant::now() > end {
            return said;
        }
        sleep(Duration::from_millis(200)).await;
    }
}

impl<'a> Customer<'a> {
    /// Registers somebody new, and logs in.
    pub async fn new(shop: &'a Shop) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let register = || {
            let email = format!("customer-{}@example.org", COUNT.fetch_add(1, Ordering::Relaxed));
            let user = json!({ "name": "Ada", "email": email, "password": PASSWORD });
            shop.http.post(shop.url("/api/v1/users")).json(&user)
        };
        let said = at_last(|| say(register())).await;
        assert_eq!(said.status, 201, "{said:?}");
        Self::log_in(shop, said.text("email").to_owned()).await
    }

    pub async fn log_in(shop: &'a Shop, email: String) -> Self {
        let user = json!({ "email": email, "password": PASSWORD });
        let log_in = || shop.http.post(shop.url("/api/v1/sessions")).json(&user);
        let said = at_last(|| say(log_in())).await;
        assert_eq!(said.status, 200, "{said:?}");
        let token = said.body["token"].as_str().expect("a token").to_owned();
        Self { shop, email, token }
    }

    pub fn request(&self, method: Method, path: &str) -> Request {
        self.shop.http.request(method, self.shop.url(path)).bearer_auth(&self.token)
    }

    /// Reads, and reads later whatever it is told to read later because it reads so much.
    pub async fn get(&self, path: &str) -> Said {
        loop {
            let said = say(self.request(Method::GET, path)).await;
            if said.status != 429 {
                return said;
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    pub async fn order(&self, key: &str, items: &[(&str, i64)]) -> Said {
        let items: Vec<_> = items.iter().map(|(id, n)| json!({ "product_id": id, "quantity": n })).collect();
        let order = self.request(Method::POST, "/api/v1/orders").header("idempotency-key", key);
        say(order.json(&json!({ "items": items }))).await
    }

    pub async fn cancel(&self, order: &str) -> Said {
        say(self.request(Method::POST, &format!("/api/v1/orders/{order}/cancel"))).await
    }

    /// Asks until an order is at its end, and returns it.
    pub async fn settled(&self, order: &str) -> Value {
        let path = format!("/api/v1/orders/{order}");
        let asked = async {
            loop {
                let order = self.get(&path).await.body;
                if order["status"] == "CONFIRMED" || order["status"] == "CANCELLED" {
                    return order;
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(LONG * 3, asked).await.expect("the order settles")
    }

    pub async fn stock(&self, product: &str) -> i64 {
        self.get(&format!("/api/v1/products/{product}")).await.body["stock"].as_i64().expect("a stock")
    }

    pub async fn payment(&self, order: &Value) -> Value {
        let id = order["payment_id"].as_str().expect("a payment");
        self.get(&format!("/api/v1/payments/{id}")).await.body
    }
}

impl Said {
    pub fn text<'a>(&'a self, field: &str) -> &'a str {
        self.body[field].as_str().unwrap_or_else(|| panic!("no {field} in {self:?}"))
    }

    /// Checks that it is a problem, of the same status in and out.
    pub fn is_problem(&self, status: u16) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        assert_eq!(self.body["status"], status, "{self:?}");
        assert!(!self.text("title").is_empty() && !self.text("detail").is_empty(), "{self:?}");
        assert!(self.text("type").starts_with("urn:shop:problem:"), "{self:?}");
    }

    /// Checks that a layer refused it.
    pub fn is_refusal(&self, status: u16) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        assert_eq!(self.body["status"], status, "{self:?}");
    }
}
