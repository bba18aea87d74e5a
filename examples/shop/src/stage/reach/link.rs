//! The way to one process.

use super::mirror::{Mirrors, Order};
use super::{Reach, Steering};
use crate::parts::ask::ask;
use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde_json::Value;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval};

/// How often a process is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// How long it has for an answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// A process that is seen and steered, until this is dropped.
#[derive(Debug)]
pub struct Link(AbortHandle);

impl Drop for Link {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Link {
    /// Sees and steers the process that has said this URL.
    pub fn new(reach: &Reach, url: String) -> Self {
        let (sender, orders) = mpsc::channel(16);
        let way = Way { number: reach.number(), reach: reach.clone(), url };
        // Who waits for all to be told waits for this one from here on.
        way.has_told(0);
        let wanted = reach.0.wanted.subscribe();
        Self(tokio::spawn(work(way, wanted, Mirrors::new(sender), orders)).abort_handle())
    }
}

struct Way {
    number: u64,
    reach: Reach,
    url: String,
}

impl Drop for Way {
    fn drop(&mut self) {
        self.reach.0.told.send_modify(|told| {
            told.remove(&self.number);
        });
    }
}

async fn work(
    way: Way,
    mut wanted: watch::Receiver<(u64, Steering)>,
    mut mirrors: Mirrors,
    mut orders: mpsc::Receiver<Order>,
) {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut done = None;
    loop {
        let (version, steering) = wanted.borrow_and_update().clone();
        if done != Some(version) && way.tell(&steering).await {
            done = Some(version);
            way.has_told(version);
        }
        tokio::select! {
            _ = looks.tick() => {
                if let Some(picture) = way.layers().await {
                    mirrors.show(&picture);
                }
                way.fetch_spans().await;
            }
            Ok(()) = wanted.changed() => {}
            Some(order) = orders.recv() => {
                let outcome = way.order(&order).await;
                // What it has changed is to be seen by who has asked for it.
                if let Some(picture) = way.layers().await {
                    mirrors.show(&picture);
                }
                let _ = order.done.send(outcome);
            }
        }
    }
}

impl Way {
    fn has_told(&self, version: u64) {
        self.reach.0.told.send_modify(|told| {
            told.insert(self.number, version);
        });
    }

    async fn tell(&self, steering: &Steering) -> bool {
        let body = serde_json::to_string(steering).unwrap_or_default();
        let answer = self.ask(Method::PUT, "/steering", Some(body)).await;
        answer.is_some_and(|answer| answer.status().is_success())
    }

    async fn layers(&self) -> Option<Bytes> {
        let answer = self.ask(Method::GET, "/layers", None).await?;
        answer.status().is_success().then(|| answer.into_body())
    }

    async fn fetch_spans(&self) {
        let answer = self.ask(Method::GET, "/spans", None).await;
        if let Some(sent) = answer.and_then(|answer| serde_json::from_slice(answer.body()).ok()) {
            self.reach.0.kept.receive(sent);
        }
    }

    /// What the console of the process says to it; in its words, when that is no.
    async fn order(&self, order: &Order) -> Result<(), String> {
        match self.ask(Method::POST, &order.path, Some(order.body.clone())).await {
            Some(answer) if answer.status() == StatusCode::OK => Ok(()),
            Some(answer) => {
                let problem: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
                Err(problem["detail"].as_str().unwrap_or("its process does not say why").to_owned())
            }
            None => Err("its process does not answer".to_owned()),
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<String>) -> Option<Response<Bytes>> {
        let request = self.reach.0.http.request(method, format!("{}{path}", self.url));
        let mut request = request.bearer_auth(&self.reach.0.token).header("bartizan-console", "ops");
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        ask(request, PATIENCE).await.ok()
    }
}
