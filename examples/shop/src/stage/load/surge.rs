//! A crowd that only looks, sent by the stage itself while a fault of this kind lasts.

use super::drive::{Plan, drive};
use super::errand::{Journey, Mix};
use super::gateway::Gateway;
use super::outcome::Outcome;
use super::shopping::{Done, look, products};
use crate::parts::tls::Tls;
use bartizan::core::registry::{self, Observed};
use http::HeaderValue;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::AbortHandle;

/// How many come each second at most: ten times the 500 that a small machine serves with ease.
const MOST: f64 = 5000.0;

/// Where a crowd can be sent. Clones count the same one.
#[derive(Clone, Debug)]
pub struct Surges {
    gateway: Gateway,
    seen: Arc<Seen>,
}

/// A crowd on its way; dropped, it is gone, and so are those of it who are in the shop.
#[derive(Debug)]
pub struct Surge {
    task: AbortHandle,
    seen: Arc<Seen>,
}

/// The crowd, as the console sees it: what was counted of the last one.
#[derive(Debug, Default)]
struct Seen {
    here: AtomicBool,
    a_second: AtomicU64,
    offered: AtomicU64,
    outcomes: [AtomicU64; Outcome::ALL.len()],
    in_flight: AtomicU64,
}

impl Surges {
    /// Crowds that come to the gateway at `url`. By the ops token it knows them for its own load.
    pub fn new(url: String, token: &str, tls: &Tls) -> Self {
        let gateway = Gateway::new(url, HeaderValue::from_str(token).ok(), tls);
        let seen: Arc<Seen> = Arc::default();
        let observed: Arc<dyn Observed> = seen.clone();
        registry::register(&observed);
        Self { gateway, seen }
    }

    /// Sends a share of the greatest crowd, on the current runtime; none while there is one already.
    pub fn send(&self, share: f64, lasts: Duration) -> Option<Surge> {
        let Self { gateway, seen } = self.clone();
        if seen.here.swap(true, Ordering::Relaxed) {
            return None;
        }
        let rate = (MOST * share).max(1.0) as u32;
        seen.begin(rate);
        let task = tokio::spawn(come(gateway, seen.clone(), rate, lasts)).abort_handle();
        Some(Surge { task, seen })
    }
}

impl Drop for Surge {
    fn drop(&mut self) {
        self.task.abort();
        self.seen.here.store(false, Ordering::Relaxed);
    }
}

async fn come(gateway: Gateway, seen: Arc<Seen>, rate: u32, lasts: Duration) {
    let products = match products(&gateway).await {
        Ok(products) => Arc::new(products),
        Err(failure) => return tracing::warn!(%failure, "the crowd has not come"),
    };
    let (products_there, customers) = (products.len(), 1);
    let mix = Mix { journeys: &Journey::BROWSING, orders: None };
    let plan = Plan { rate, lasts, customers, products: products_there, mix };
    let walk = |errand: super::errand::Errand| {
        let (gateway, products, visit) = (gateway.clone(), products.clone(), Visit::new(&seen));
        async move {
            let done = look(&gateway, errand.journey, &products[errand.product]).await;
            visit.ended(done)
        }
    };
    drive(plan, walk, pending(), |_| ()).await;
}

/// One of them in the shop, until this is dropped.
struct Visit(Arc<Seen>);

impl Visit {
    fn new(seen: &Arc<Seen>) -> Self {
        seen.offered.fetch_add(1, Ordering::Relaxed);
        seen.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(seen.clone())
    }

    fn ended(self, done: Done) -> Done {
        self.0.outcomes[done.outcome as usize].fetch_add(1, Ordering::Relaxed);
        done
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Seen {
    fn begin(&self, rate: u32) {
        self.a_second.store(rate.into(), Ordering::Relaxed);
        let counts = self.outcomes.iter().chain([&self.offered]);
        counts.for_each(|count| count.store(0, Ordering::Relaxed));
    }

    fn count(&self, which: impl Fn(Outcome) -> bool) -> f64 {
        let counts = Outcome::ALL.into_iter().filter(|outcome| which(*outcome));
        counts.map(|outcome| self.outcomes[outcome as usize].load(Ordering::Relaxed)).sum::<u64>() as f64
    }
}

impl Observed for Seen {
    fn layer(&self) -> &'static str {
        "load"
    }

    fn name(&self) -> &str {
        "gateway"
    }

    fn state(&self) -> &'static str {
        if self.here.load(Ordering::Relaxed) { "here" } else { "away" }
    }

    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        let number = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64;
        show("a_second", if self.here.load(Ordering::Relaxed) { number(&self.a_second) } else { 0.0 });
        show("offered", number(&self.offered));
        show("served", self.count(Outcome::is_good));
        show("stale", self.count(|outcome| outcome == Outcome::Stale));
        show("refused", self.count(|outcome| outcome == Outcome::Refused));
        let no_good = |outcome: Outcome| !outcome.is_good() && outcome != Outcome::Refused;
        show("failed", self.count(no_good));
        show("in_flight", number(&self.in_flight));
    }
}
