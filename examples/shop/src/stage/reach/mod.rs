//! Services that are processes of their own, as this process sees and steers them.
//!
//! Each opens a port on loopback beside its own, for who has the token of ops. What its layers show is shown here as if they were
//! in this process; the faults that last and the layers that are switched off are told to all, and each does what is its own.

mod link;
mod mirror;
mod steered;

pub use link::Link;
pub use steered::{SAYS, VARIABLE, is_steered, open};

use super::config::Switch;
use super::faults::Fault;
use super::traces::Kept;
use crate::parts::ask::ask;
use crate::parts::config::Config;
use crate::parts::tls::Https;
use bartizan::Client;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How long those who are asked to do something have until nobody waits for them any more. They are told again.
const PATIENCE: Duration = Duration::from_secs(1);

/// The pause before one that is not ready is asked again.
const PAUSE: Duration = Duration::from_millis(50);

/// What is done to a service on purpose: all of it, each time.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Steering {
    pub faults: Vec<Fault>,
    pub off: BTreeSet<Switch>,
}

/// Leads to every service that is a process. Clones are one.
#[derive(Clone, Debug)]
pub struct Reach(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    http: Client<Https>,
    token: String,
    /// Their spans come here.
    kept: Kept,
    /// What is wanted, and how often it has changed.
    wanted: watch::Sender<(u64, Steering)>,
    /// Which change each link has told its process of.
    told: watch::Sender<BTreeMap<u64, u64>>,
    links: AtomicU64,
}

impl Reach {
    pub fn new(config: &Config, kept: Kept) -> Self {
        let (http, token) = (Client::new(config.tls.http()), config.ops_token.clone());
        let (wanted, told) = (watch::Sender::default(), watch::Sender::default());
        Self(Arc::new(Shared { http, token, kept, wanted, told, links: AtomicU64::new(0) }))
    }

    /// These faults last, and no others.
    pub fn faults(&self, faults: Vec<Fault>) {
        self.change(|steering| steering.faults = faults);
    }

    /// These layers are switched off, and no others.
    pub fn off(&self, off: BTreeSet<Switch>) {
        self.change(|steering| steering.off = off);
    }

    fn change(&self, change: impl FnOnce(&mut Steering)) {
        self.0.wanted.send_if_modified(|(version, steering)| {
            let mut wanted = steering.clone();
            change(&mut wanted);
            let is_new = wanted != *steering;
            *version += u64::from(is_new);
            *steering = wanted;
            is_new
        });
    }

    /// Returns when all that run do what is wanted, or have had their time: who is held hears of it when it goes on.
    pub async fn settled(&self) {
        let version = self.0.wanted.borrow().0;
        let mut told = self.0.told.subscribe();
        let all = told.wait_for(|told| told.values().all(|told| *told >= version));
        let _ = timeout(PATIENCE, all).await;
    }

    /// Returns when the process that can be steered there says that it is ready.
    pub async fn ready(&self, url: &str) {
        let asked = || self.0.http.get(format!("{url}/readyz")).bearer_auth(&self.0.token);
        while !ask(asked(), PATIENCE).await.is_ok_and(|answer| answer.status().is_success()) {
            sleep(PAUSE).await;
        }
    }

    /// What a process does from its start on, for its environment.
    pub fn text(&self) -> String {
        serde_json::to_string(&self.0.wanted.borrow().1).unwrap_or_default()
    }

    /// A number of its own for each link.
    fn number(&self) -> u64 {
        self.0.links.fetch_add(1, Ordering::Relaxed)
    }
}
