//! What customers do, and what is done to the shop meanwhile, so that bugs come to light.

use super::customer::{Customer, Said};
use super::ledgers::Ledgers;
use super::ops::Ops;
use super::process::{LONG, Shop};
use super::races::together;
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use tokio::time::{sleep, timeout};

#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// Orders of one product and of two.
    Buy,
    /// Orders that are taken back.
    Cancel,
    /// The same order many times at once.
    Again,
    /// More than there are.
    Last,
    /// An order that is taken back while its payment is under way.
    Turn,
    /// Orders while the answers of the bank are lost.
    BankLost,
    /// Orders while the answers of payment are lost.
    PaymentLost,
    /// An order while nobody takes any.
    OrderGone,
    /// Goods that are given back several times.
    GiveBack,
    /// Orders while no mail can be written.
    MailLocked,
    /// Orders while the bus takes nothing.
    BusLocked,
    /// Messages that come once more.
    Redeliver,
}

impl Act {
    pub const ALL: [Self; 12] = [
        Self::Buy,
        Self::Cancel,
        Self::Again,
        Self::Last,
        Self::Turn,
        Self::BankLost,
        Self::PaymentLost,
        Self::GiveBack,
        Self::MailLocked,
        Self::BusLocked,
        Self::Redeliver,
        // The last, for breakers open.
        Self::OrderGone,
    ];
}

const TEA: (&str, i64) = ("tea-mint", 1);
const CUPS: (&str, i64) = ("cup-bowl", 2);

pub struct Play<'a> {
    shop: &'a Shop,
    ada: Customer<'a>,
    ledgers: Ledgers,
    keys: usize,
    /// What customers were told, as a journal.
    told: String,
}

impl<'a> Play<'a> {
    pub async fn new(shop: &'a Shop, folder: &Path) -> Self {
        Self {
            shop,
            ada: Customer::new(shop).await,
            ledgers: Ledgers::of(folder),
            keys: 0,
            told: String::new(),
        }
    }

    pub async fn act(&mut self, act: Act) {
        let ops = Ops(self.shop);
        match act {
            Act::Buy => drop(self.buy(8).await),
            Act::Cancel => {
                for id in self.buy(4).await {
                    let said = self.ada.cancel(&id).await;
                    self.note(&said, "");
                }
            }
            Act::Again => {
                let ada = &self.ada;
                let answers = together((0..12).map(|_| ada.order("again", &[TEA]))).await;
                for said in &answers {
                    self.note(said, "again");
                }
            }
            Act::Last => {
                for key in ["most", "rest"] {
                    let said = self.ada.order(key, &[("pot-glass", 600)]).await;
                    self.note(&said, key);
                }
            }
            // Whoever is late meets an order that is paid; not each time.
            Act::Turn => {
                for key in ["turn-1", "turn-2", "turn-3", "turn-4", "turn-5", "turn-6"] {
                    self.turn(key).await;
                }
            }
            Act::BankLost => self.buy_under("payment->bank", "reply_lost", 0.5).await,
            Act::PaymentLost => self.buy_under("order->payment", "reply_lost", 0.7).await,
            Act::OrderGone => self.buy_under("gateway->order", "reset", 1.0).await,
            Act::GiveBack => {
                let order = self.buy(1).await.remove(0);
                self.ada.cancel(&order).await;
                self.ada.settled(&order).await;
                for product in [2, 3] {
                    let url = format!("http://127.0.0.1:{}/reservations/{order}", self.shop.base + product);
                    // Who is too busy is asked again.
                    let again = async {
                        while self.shop.http.delete(&url).send().await.unwrap().status() != 204 {
                            sleep(Duration::from_millis(100)).await;
                        }
                    };
                    timeout(LONG, again).await.expect("it is given back");
                }
            }
            Act::MailLocked => self.buy_beside("mail").await,
            Act::BusLocked => self.buy_beside("bus").await,
            Act::Redeliver => self.redeliver().await,
        }
        ops.clear().await;
    }

    /// Leaves in the journal what customers were told.
    pub async fn tell(self) {
        self.ledgers.tell(&self.told);
        self.ledgers.close().await;
    }

    /// Places orders, two at a time, and returns those that the shop has answered for.
    async fn buy(&mut self, many: usize) -> Vec<String> {
        let keys: Vec<_> = (self.keys..self.keys + many).map(|key| format!("k{key}")).collect();
        self.keys += many;
        let mut placed = Vec::new();
        for pair in keys.chunks(2) {
            let ada = &self.ada;
            let answers = together(pair.iter().enumerate().map(|(n, key)| {
                let items: &[_] = if n == 0 { &[TEA] } else { &[TEA, CUPS] };
                ada.order(key, items)
            }));
            for (said, key) in answers.await.iter().zip(pair) {
                placed.extend(self.note(said, key));
            }
        }
        placed
    }

    async fn buy_under(&mut self, target: &str, kind: &str, share: f64) {
        Ops(self.shop).set(target, kind, json!({ "share": share, "ttl_s": 60 })).await;
        self.buy(8).await;
    }

    /// Places orders while nobody can write to a store.
    async fn buy_beside(&mut self, store: &str) {
        self.ledgers.run(store, "BEGIN IMMEDIATE").await;
        self.buy(4).await;
        sleep(Duration::from_millis(800)).await;
        self.ledgers.run(store, "ROLLBACK").await;
    }

    /// Takes an order back that is being paid.
    async fn turn(&mut self, key: &str) {
        Ops(self.shop).set("payment", "delay", json!({ "ms": 240, "ttl_s": 60 })).await;
        let ada = &self.ada;
        // Whoever is so late that it is paid already has nothing to take back.
        let cancel = async {
            for _ in 0..50 {
                let orders = ada.get("/api/v1/orders").await.body;
                let mut orders = orders["orders"].as_array().cloned().unwrap_or_default().into_iter();
                let paid = orders.find(|order| order["status"] == "PENDING" && order["total_cents"].is_i64());
                if let Some(order) = paid {
                    return Some(ada.cancel(order["id"].as_str().unwrap()).await);
                }
                sleep(Duration::from_millis(5)).await;
            }
            None
        };
        let (placed, cancelled) = tokio::join!(ada.order(key, &[TEA]), cancel);
        self.note(&placed, key);
        if let Some(cancelled) = cancelled {
            self.note(&cancelled, "");
        }
    }

    /// Puts messages into the queue again that have made their mail.
    async fn redeliver(&mut self) {
        let order = self.buy(1).await.remove(0);
        self.ada.settled(&order).await;
        let written = format!("SELECT COUNT(*) FROM mails WHERE subject_id = '{order}'");
        while self.ledgers.count("mail", &written).await < 2 {
            sleep(Duration::from_millis(50)).await;
        }
        let again = format!(
            r#"INSERT INTO messages SELECT 'mail', id, 'order.created', '{{"order_id":"{order}","user_id":"u","buyer":"Ada","items":[]}}', {{now}}, 0, 0 FROM (SELECT 'again' AS id)"#
        );
        self.ledgers.run("bus", &again).await;
    }

    /// Notes what the shop has answered for an order, and returns its id.
    fn note(&mut self, said: &Said, key: &str) -> Option<String> {
        let (id, word) = match said.status.as_u16() {
            200..=202 => (said.body["id"].as_str(), said.body["status"].as_str()),
            402 | 409 => (said.body["order"].as_str(), Some("CANCELLED")),
            _ => return None,
        };
        let id = id?.to_owned();
        self.told += &format!("{id} {} {} {key}\n", said.status.as_u16(), word?);
        Some(id)
    }
}
