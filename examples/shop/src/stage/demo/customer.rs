//! The customer of the demo, who comes from outside, shows no token, and looks closely.

use super::super::load::gateway::{Gateway, Said, send};
use crate::contracts::product::Products;
use crate::contracts::user::Session;
use crate::parts::failure::Failure;
use crate::parts::id;
use http::StatusCode;
use http::header::RETRY_AFTER;
use serde_json::json;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// How long somebody asks for what must be had.
const INSISTS: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(super) struct Customer {
    gateway: Gateway,
    token: String,
    /// Ordered in turn, for there are only so many of each.
    products: Vec<String>,
}

/// An order that was asked for.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) key: String,
    pub(super) id: Option<String>,
    /// 0: there was no answer.
    pub(super) status: u16,
    pub(super) took: Duration,
}

impl Placed {
    /// Whether the shop has taken it: it is there, or on its way.
    pub(super) fn is_taken(&self) -> bool {
        self.id.is_some() && matches!(self.status, 201 | 202)
    }
}

impl Customer {
    /// Registers, logs in, and sees what there is.
    pub(super) async fn new(gateway: Gateway) -> Result<Self, Failure> {
        let (email, password) = (format!("visitor-{}@example.org", id::new()), id::new());
        let user = json!({ "name": "Visitor", "email": email, "password": password });
        insist(
            "let a customer register",
            || send(gateway.post("/users", &user)),
            |said| {
                let status = said.as_ref().ok()?.status;
                matches!(status, StatusCode::CREATED | StatusCode::CONFLICT).then_some(())
            },
        )
        .await?;
        let account = json!({ "email": email, "password": password });
        let token = insist(
            "let a customer log in",
            || send(gateway.post("/sessions", &account)),
            |said| {
                let session: Session = serde_json::from_slice(&said.as_ref().ok()?.body).ok()?;
                Some(session.token)
            },
        );
        let token = token.await?;
        let products = insist(
            "show its products",
            || send(gateway.get("/products")),
            |said| {
                let shown: Products = serde_json::from_slice(&said.as_ref().ok()?.body).ok()?;
                let products: Vec<_> = shown.products.into_iter().map(|product| product.id).collect();
                (!products.is_empty()).then_some(products)
            },
        );
        let products = products.await?;
        Ok(Self { gateway, token, products })
    }

    /// Places so many orders at once.
    pub(super) async fn orders(&self, count: usize) -> Vec<Placed> {
        let mut placing = JoinSet::new();
        for _ in 0..count {
            placing.spawn(self.place(id::new()));
        }
        placing.join_all().await
    }

    /// Places an order, or asks for it again.
    pub(super) fn place(&self, key: String) -> impl Future<Output = Placed> + Send + use<> {
        // The same key asks for the same.
        let product = &self.products[key.bytes().map(usize::from).sum::<usize>() % self.products.len()];
        let order = json!({ "items": [{ "product_id": product, "quantity": 1 }] });
        let request = self.gateway.post("/orders", &order).bearer_auth(&self.token);
        let request = request.header("idempotency-key", &key);
        async move {
            let began = Instant::now();
            let said = send(request).await;
            let took = Instant::now() - began;
            let status = said.as_ref().map_or(0, |answer| answer.status.as_u16());
            let id = said.ok().and_then(|answer| answer.json()["id"].as_str().map(str::to_owned));
            Placed { key, id, status, took }
        }
    }

    /// Asks until the order is taken, as keys allow; for as long as somebody insists.
    pub(super) async fn insists(&self) -> Placed {
        let (key, end) = (id::new(), Instant::now() + INSISTS);
        loop {
            let placed = self.place(key.clone()).await;
            if placed.is_taken() || Instant::now() > end {
                return placed;
            }
            sleep(PAUSE).await;
        }
    }

    /// How many of these orders are confirmed.
    pub(super) async fn confirmed(&self, orders: &[String]) -> usize {
        let mut count = 0;
        for id in orders {
            let said = send(self.gateway.get(&format!("/orders/{id}")).bearer_auth(&self.token)).await;
            count += usize::from(said.is_ok_and(|answer| answer.json()["status"] == "CONFIRMED"));
        }
        count
    }

    /// Looks around so often at once, and returns how many were refused and told when to come again, and how many were served.
    pub(super) async fn looks(&self, count: usize) -> (usize, usize) {
        let mut looking = JoinSet::new();
        for _ in 0..count {
            looking.spawn(send(self.gateway.get("/products")));
        }
        let answers = looking.join_all().await;
        let is = |said: &&Said, wanted: u16| said.as_ref().is_ok_and(|answer| answer.status == wanted);
        let told = |said: &&Said| said.as_ref().is_ok_and(|answer| answer.headers.contains_key(RETRY_AFTER));
        let refused = answers.iter().filter(|said| is(said, 503) && told(said)).count();
        (refused, answers.iter().filter(|said| is(said, 200)).count())
    }
}

/// Asks until the answer has what is wanted.
async fn insist<T, F: Future<Output = Said>>(
    what: &str,
    ask: impl Fn() -> F,
    wanted: impl Fn(&Said) -> Option<T>,
) -> Result<T, Failure> {
    let end = Instant::now() + INSISTS;
    loop {
        let said = ask().await;
        if let Some(wanted) = wanted(&said) {
            return Ok(wanted);
        }
        if Instant::now() > end {
            let why =
                said.map_or_else(|lost| lost.to_string(), |answer| format!("it answered {}", answer.status));
            return Err(Failure::new(format!("the shop does not {what}: {why}.")));
        }
        sleep(PAUSE).await;
    }
}
