//! The instances, as the console sees them.

use crate::parts::config::{Instance, Name};
use crate::parts::process::Figures;
use crate::stage::supervisor::Program;
use bartizan::core::Instant;
use bartizan::core::registry::{self, Observed};
use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

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
    /// Which deployment that runs, and when its program was built, in milliseconds since 1970.
    deployment: AtomicU32,
    built_at: AtomicU64,
    /// How it fell over last, and when it was to be started again.
    fall: Mutex<Option<(String, Instant)>>,
    /// When it answered last that it is ready; at first, when it was begun with.
    heartbeat: Mutex<Instant>,
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
            deployment: AtomicU32::new(0),
            built_at: AtomicU64::new(0),
            fall: Mutex::default(),
            heartbeat: Mutex::new(Instant::now()),
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

    /// Which process it is, and what that runs, if it is one of its own.
    pub fn is_process(&self, id: Option<u32>, program: Option<&Program>) {
        if let Some(program) = program {
            self.deployment.store(program.deployment(), Ordering::Relaxed);
            self.built_at.store(program.built_at(), Ordering::Relaxed);
        }
        self.process.store(id.unwrap_or_default(), Ordering::Relaxed);
    }

    /// Notes how it fell over, and when it is started again.
    pub fn fell(&self, how: String, due: Instant) {
        *self.fall.lock().unwrap_or_else(PoisonError::into_inner) = Some((how, due));
    }

    /// How long until it is started again, as long as it is not there.
    fn next_start(&self) -> Option<Duration> {
        let (_, due) = self.fall.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let waits = [Standing::Down as u8, Standing::Looping as u8];
        waits
            .contains(&self.standing.load(Ordering::Relaxed))
            .then(|| due.saturating_duration_since(Instant::now()))
    }

    /// What it answered when it was asked whether it is ready.
    pub fn answers(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
        if ready {
            *self.heartbeat.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
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
        let (how, _) = self.fall.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let next = self.next_start().filter(|next| !next.is_zero());
        Some(Cow::Owned(match next {
            Some(next) => format!("{how}; next start in {} s", next.as_secs_f64().ceil()),
            None => how,
        }))
    }

    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        show("ready", if self.ready.load(Ordering::Relaxed) { 1.0 } else { 0.0 });
        show("restarts", self.restarts.load(Ordering::Relaxed) as f64);
        show("falls", self.falls.load(Ordering::Relaxed) as f64);
        show("port", f64::from(self.address.port()));
        if let Some(next) = self.next_start() {
            show("next_start_seconds", next.as_secs_f64());
        }
        let process = self.process.load(Ordering::Relaxed);
        let heartbeat = *self.heartbeat.lock().unwrap_or_else(PoisonError::into_inner);
        show("heartbeat_age_seconds", Instant::now().saturating_duration_since(heartbeat).as_secs() as f64);
        if process != 0 {
            show("pid", f64::from(process));
            show("deployment", f64::from(self.deployment.load(Ordering::Relaxed)));
            show("built_at", self.built_at.load(Ordering::Relaxed) as f64);
            if let Some(used) = Figures::of(process) {
                show("cpu_seconds", used.cpu_seconds);
                show("resident_bytes", used.resident_bytes);
            }
        }
    }
}
