use crate::{Trace, events};
use bartizan_core::registry::{self, Observed};
use bartizan_core::{Invalid, Name};
use bartizan_http::Head;
use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

pub(crate) type Route = dyn for<'a, 'b> Fn(&'a Head<'b>) -> Option<&'b str> + Send + Sync;

/// What all services of one layer share.
#[derive(Default)]
pub(crate) struct Shared {
    flags: AtomicU8,
    malformed: AtomicU64,
    name: OnceLock<Name>,
    pub(crate) route: OnceLock<Box<Route>>,
}

const ENABLED: u8 = 1;
const RESTART: u8 = 1 << 1;
const SAMPLED: u8 = 1 << 2;
const PATHS: u8 = 1 << 3;

impl Shared {
    pub(crate) fn new(value: Trace) -> Self {
        Self { flags: AtomicU8::new(flags(value)), ..Self::default() }
    }

    #[inline]
    pub(crate) fn value(&self) -> Trace {
        let flags = self.flags.load(Relaxed);
        Trace {
            enabled: flags & ENABLED != 0,
            restart: flags & RESTART != 0,
            sampled: flags & SAMPLED != 0,
            paths: flags & PATHS != 0,
        }
    }

    pub(crate) fn update(&self, value: Trace) {
        self.changed(self.flags.swap(flags(value), Relaxed), value.enabled);
    }

    /// Switches the layer on or off, whatever else of it is changed meanwhile.
    fn switch(&self, enabled: bool) {
        let old = match enabled {
            true => self.flags.fetch_or(ENABLED, Relaxed),
            false => self.flags.fetch_and(!ENABLED, Relaxed),
        };
        self.changed(old, enabled);
    }

    /// Tells if it was switched on or off.
    fn changed(&self, old: u8, enabled: bool) {
        if (old & ENABLED != 0) != enabled {
            events::enabled(self.name(), enabled);
        }
    }

    /// Gives the state its name, the first time, and registers it.
    pub(crate) fn set_name(self: &Arc<Self>, name: Name) {
        if self.name.set(name).is_ok() {
            let observed: Arc<dyn Observed> = self.clone();
            if !registry::register(&observed) {
                events::twin(observed.name());
            }
        }
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.name.get().map(Name::as_str)
    }

    /// Counts a header that does not follow its grammar.
    #[cold]
    pub(crate) fn malformed(&self) {
        self.malformed.fetch_add(1, Relaxed);
    }

    pub(crate) fn malformed_so_far(&self) -> u64 {
        self.malformed.load(Relaxed)
    }
}

fn flags(value: Trace) -> u8 {
    let flag = |is: bool, flag: u8| if is { flag } else { 0 };
    flag(value.enabled, ENABLED)
        | flag(value.restart, RESTART)
        | flag(value.sampled, SAMPLED)
        | flag(value.paths, PATHS)
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("name", &self.name())
            .field("value", &self.value())
            .field("malformed", &self.malformed_so_far())
            .finish_non_exhaustive()
    }
}

impl Observed for Shared {
    fn layer(&self) -> &'static str {
        "trace"
    }

    fn name(&self) -> &str {
        Self::name(self).unwrap_or_default()
    }

    fn state(&self) -> &'static str {
        if self.value().enabled { "enabled" } else { "disabled" }
    }

    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        show("malformed", self.malformed_so_far() as f64);
    }

    fn verbs(&self) -> &'static [&'static str] {
        registry::SWITCHES
    }

    fn act(&self, verb: &str) -> Result<(), Invalid> {
        self.switch(registry::switched(verb)?);
        Ok(())
    }
}
