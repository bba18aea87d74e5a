//! A crowd that only looks, sent by the stage itself while a fault of this kind lasts.

use super::drive::{Plan, drive};
use super::errand::{Errand, Journey, Mix};
use super::gateway::Gateway;
use super::profile::Profile;
use super::seen::Seen;
use super::shopping::{look, products};
use crate::parts::tls::Tls;
use http::HeaderValue;
use std::future::pending;
use std::sync::Arc;
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

impl Surges {
    /// Crowds that come to the gateway at `url`. By the ops token it knows them for its own load.
    pub fn new(url: String, token: &str, tls: &Tls) -> Self {
        let gateway = Gateway::new(url, HeaderValue::from_str(token).ok(), tls);
        Self { gateway, seen: Seen::new("gateway") }
    }

    /// Sends a share of the greatest crowd, on the current runtime; none while there is one already.
    pub fn send(&self, share: f64, lasts: Duration) -> Option<Surge> {
        let Self { gateway, seen } = self.clone();
        let rate = (MOST * share).max(1.0) as u32;
        if !seen.comes(rate) {
            return None;
        }
        let task = tokio::spawn(come(gateway, seen.clone(), rate, lasts)).abort_handle();
        Some(Surge { task, seen })
    }
}

impl Drop for Surge {
    fn drop(&mut self) {
        self.task.abort();
        self.seen.is_gone();
    }
}

async fn come(gateway: Gateway, seen: Arc<Seen>, rate: u32, lasts: Duration) {
    let products = match products(&gateway).await {
        Ok(products) => Arc::new(products),
        Err(failure) => return tracing::warn!(%failure, "the crowd has not come"),
    };
    let (products_there, customers) = (products.len(), 1);
    let (profile, mix) = (Profile::Steady(rate), Mix::only(&Journey::BROWSING));
    let plan = Plan { profile, lasts, customers, products: products_there, mix };
    let walk = |errand: Errand| {
        let (gateway, products, visit) = (gateway.clone(), products.clone(), seen.visit());
        async move {
            let done = look(&gateway, errand.journey, &products[errand.product]).await;
            visit.ended(done)
        }
    };
    drive(&plan, walk, pending(), |_| ()).await;
}
