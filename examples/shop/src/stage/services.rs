//! The instances, as the console sees them.

use crate::parts::config::{Instance, Name};
use bartizan::core::registry::{self, Observed};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

/// How an instance is, as far as who supervises it knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Standing {
    /// It runs.
    Up,
    /// It has fallen over, and is about to be started again.
    Down,
    /// It was killed on purpose.
    Killed,
    /// It is held on purpose.
    Paused,
}

/// One instance of a service.
#[derive(Debug)]
pub struct Seen {
    pub instance: Instance,
    pub address: SocketAddr,
    name: String,
    standing: AtomicU8,
    ready: AtomicBool,
    restarts: AtomicU64,
}

impl Seen {
    /// An instance that is up, registered for the console.
    pub fn new(instance: Instance, address: SocketAddr) -> Arc<Self> {
        let seen = Arc::new(Self {
            instance,
            address,
            name: instance.to_string(),
            standing: AtomicU8::new(Standing::Up as u8),
            ready: AtomicBool::new(true),
            restarts: AtomicU64::new(0),
        });
        let observed: Arc<dyn Observed> = seen.clone();
        registry::register(&observed);
        seen
    }

    pub fn stands(&self, standing: Standing) {
        self.standing.store(standing as u8, Ordering::Relaxed);
    }

    pub fn restarted(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    /// What it answered when it was asked whether it is ready.
    pub fn answers(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    pub fn is_of(&self, service: Name) -> bool {
        self.instance.service == service
    }
}

impl Observed for Seen {
    fn layer(&self) -> &'static str {
        "service"
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn state(&self) -> &'static str {
        const STATES: [&str; 4] = ["up", "down", "killed", "paused"];
        STATES[usize::from(self.standing.load(Ordering::Relaxed))]
    }

    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        show("ready", if self.ready.load(Ordering::Relaxed) { 1.0 } else { 0.0 });
        show("restarts", self.restarts.load(Ordering::Relaxed) as f64);
        show("port", f64::from(self.address.port()));
    }
}
