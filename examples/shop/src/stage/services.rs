//! The instances, as the console sees them.

use crate::parts::config::{Instance, Name};
use bartizan::core::registry::{self, Observed};
use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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
    /// It falls over again and again.
    Looping,
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
    falls: AtomicU64,
    /// Of its own process; 0 where it has none.
    process: AtomicU32,
    /// How it fell over last.
    fall: Mutex<Option<String>>,
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
            falls: AtomicU64::new(0),
            process: AtomicU32::new(0),
            fall: Mutex::default(),
        });
        let observed: Arc<dyn Observed> = seen.clone();
        registry::register(&observed);
        seen
    }

    pub fn stands(&self, standing: Standing) {
        self.standing.store(standing as u8, Ordering::Relaxed);
        if matches!(standing, Standing::Down | Standing::Looping) {
            self.falls.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn restarted(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    /// Which process it is, if it is one of its own.
    pub fn is_process(&self, id: Option<u32>) {
        self.process.store(id.unwrap_or_default(), Ordering::Relaxed);
    }

    /// Notes how it fell over.
    pub fn fell(&self, how: String) {
        *self.fall.lock().unwrap_or_else(PoisonError::into_inner) = Some(how);
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
        const STATES: [&str; 5] = ["up", "down", "killed", "paused", "crash loop"];
        STATES[usize::from(self.standing.load(Ordering::Relaxed))]
    }

    fn note(&self) -> Option<Cow<'static, str>> {
        self.fall.lock().unwrap_or_else(PoisonError::into_inner).clone().map(Cow::Owned)
    }

    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        show("ready", if self.ready.load(Ordering::Relaxed) { 1.0 } else { 0.0 });
        show("restarts", self.restarts.load(Ordering::Relaxed) as f64);
        show("falls", self.falls.load(Ordering::Relaxed) as f64);
        show("port", f64::from(self.address.port()));
        let process = self.process.load(Ordering::Relaxed);
        if process != 0 {
            show("pid", f64::from(process));
        }
    }
}
