use super::class::Class;
use super::state::{Shared, State};
use super::value::Throttle;
use crate::Mode;
use crate::sync::Ordering;
use bartizan_core::Name;
use std::fmt;
use std::sync::Arc;

/// Watches and steers one throttle. Cheap to clone.
#[derive(Clone)]
pub struct Handle(pub(super) Arc<Shared>);

/// Plain numbers of one throttle at one instant.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Snapshot {
    /// What it does.
    pub state: State,
    /// What it does with what it knows.
    pub mode: Mode,
    /// The window of critical requests, of a priority up to level 63.
    pub critical: Window,
    /// The window of normal requests.
    pub normal: Window,
    /// The window of sheddable requests, of a priority from level 192 on.
    pub sheddable: Window,
    /// Requests refused here so far.
    pub refused: u64,
    /// Requests so far that would have been refused here, had the throttle not been in shadow mode.
    pub shadowed: u64,
    /// Requests that the server refused so far.
    pub throttled: u64,
}

/// The requests of one class in the window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Window {
    /// Requests that have ended, those refused here among them.
    pub requests: u64,
    /// Of these, those that the server accepted.
    pub accepts: u64,
    /// The share of requests that is refused now, in `0.0..=1.0`.
    pub rejection: f64,
}

impl Snapshot {
    /// The largest share of a class that is refused now, in `0.0..=1.0`.
    #[must_use]
    pub fn rejection(&self) -> f64 {
        self.critical.rejection.max(self.normal.rejection).max(self.sheddable.rejection)
    }
}

impl Handle {
    /// The name given with [`ThrottleLayer::named`](super::ThrottleLayer::named).
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.name().map(Name::as_str)
    }

    /// What the throttle does now.
    #[must_use]
    pub fn state(&self) -> State {
        self.0.state()
    }

    /// All numbers of the throttle now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.0.snapshot()
    }

    /// What the throttle is set to. A part of it is changed by `handle.update(handle.value().mode(Mode::Normal))`.
    #[must_use]
    pub fn value(&self) -> Throttle {
        self.0.value()
    }

    /// Takes over new settings, the mode among them, but not the seed. What was counted stays, unless the window has another length:
    /// then it starts empty.
    pub fn update(&self, value: Throttle) {
        let _always = self.0.change(|_| Ok(value));
    }

    /// Sets what the throttle does with what it knows.
    pub fn set_mode(&self, mode: Mode) {
        let _always = self.0.change(|value| Ok(value.mode(mode)));
    }

    /// Lets everything through and counts nothing from now on: [`Mode::Disabled`].
    pub fn disable(&self) {
        self.set_mode(Mode::Disabled);
    }

    /// Counts on and refuses nothing from now on: [`Mode::Shadow`].
    pub fn shadow(&self) {
        self.set_mode(Mode::Shadow);
    }

    /// Goes back to [`Mode::Normal`].
    pub fn resume(&self) {
        self.set_mode(Mode::Normal);
    }

    /// Forgets everything that was counted, so that nothing is refused at first. A request that is under way counts nowhere.
    pub fn reset(&self) {
        self.0.reset();
    }
}

impl Shared {
    pub(super) fn snapshot(&self) -> Snapshot {
        let window = |class| {
            let (counts, rejection) = self.look(class);
            Window { requests: counts.requests, accepts: counts.accepts, rejection }
        };
        Snapshot {
            state: Self::state(self),
            mode: self.mode(),
            critical: window(Class::Critical),
            normal: window(Class::Normal),
            sheddable: window(Class::Sheddable),
            refused: self.refused.load(Ordering::Relaxed),
            shadowed: self.shadowed.load(Ordering::Relaxed),
            throttled: self.throttled.load(Ordering::Relaxed),
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("name", &self.name()).field("snapshot", &self.snapshot()).finish()
    }
}
