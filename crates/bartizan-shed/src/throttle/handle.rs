use super::class::Class;
use super::state::{Shared, State};
use super::value::Throttle;
use crate::Mode;
use crate::sync::Ordering;
use bartizan_core::Name;
use bartizan_core::registry::Observed;
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
    /// Requests refused here so far, in shadow mode those that would have been.
    pub rejected: u64,
    /// Requests that the server refused so far.
    pub refused: u64,
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
        self.0.update(&value);
    }

    /// Forgets everything that was counted, so that nothing is refused at first. A request that is under way counts nowhere.
    pub fn reset(&self) {
        self.0.reset();
    }
}

impl Shared {
    fn snapshot(&self) -> Snapshot {
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
            rejected: self.rejected.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("name", &self.name()).field("snapshot", &self.snapshot()).finish()
    }
}

impl Observed for Shared {
    fn layer(&self) -> &'static str {
        "throttle"
    }

    fn name(&self) -> &str {
        Self::name(self).map_or("", Name::as_str)
    }

    fn state(&self) -> &'static str {
        Self::state(self).as_str()
    }

    fn note(&self) -> Option<std::borrow::Cow<'static, str>> {
        let in_shadow = self.mode() == Mode::Shadow && Self::state(self) == State::Throttling;
        in_shadow.then_some("in shadow, nothing is refused".into())
    }

    #[allow(clippy::cast_precision_loss, reason = "shown to people")]
    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        let snapshot = self.snapshot();
        let windows = [snapshot.critical, snapshot.normal, snapshot.sheddable];
        let sum = |number: fn(&Window) -> u64| windows.iter().map(number).sum::<u64>() as f64;
        show("requests", sum(|window| window.requests));
        show("accepts", sum(|window| window.accepts));
        show("rejection", snapshot.rejection());
        show("rejected", snapshot.rejected as f64);
        show("refused", snapshot.refused as f64);
    }
}
