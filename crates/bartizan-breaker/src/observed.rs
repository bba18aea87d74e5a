//! What the registry sees of circuits, and may do to them.

use crate::breaker::Mode;
use crate::circuit::Circuit;
use crate::event;
use crate::keyed::Circuits;
use crate::settings::SETTINGS;
use crate::state::State;
use bartizan_core::registry::{Observed, Setting, UNKNOWN_VERB};
use bartizan_core::{Invalid, Name};
use std::borrow::Cow;
use std::sync::Arc;

/// The mode that a verb sets.
fn mode_of(verb: &str) -> Option<Mode> {
    Some(match verb {
        "force_open" => Mode::ForcedOpen,
        "disable" => Mode::Disabled,
        "shadow" => Mode::Shadow,
        "resume" => Mode::Normal,
        _ => return None,
    })
}

impl Observed for Circuit {
    fn layer(&self) -> &'static str {
        "breaker"
    }

    fn name(&self) -> &str {
        Self::name(self).unwrap_or_default()
    }

    fn state(&self) -> &'static str {
        Self::state(self).as_str()
    }

    /// Why it refuses, or would.
    fn note(&self) -> Option<Cow<'static, str>> {
        let snapshot = self.snapshot();
        let cause = match snapshot.state {
            State::Open | State::HalfOpen => snapshot.cause?.as_str(),
            State::Closed if snapshot.mode == Mode::Shadow => {
                return Some("in shadow, nothing is refused".into());
            }
            State::Closed | State::ForcedOpen | State::Disabled => return None,
        };
        let in_shadow = || format!("{cause}; in shadow, nothing is refused").into();
        Some(if snapshot.mode == Mode::Shadow { in_shadow() } else { cause.into() })
    }

    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        let snapshot = self.snapshot();
        show("evidence", snapshot.evidence);
        show("share", snapshot.share);
        self.totals().show(show);
        for (name, number) in [
            ("failure_ratio", snapshot.failure_ratio),
            ("slow_ratio", snapshot.slow_ratio),
            ("retry_after_seconds", snapshot.retry_after.map(|wait| wait.as_secs_f64())),
        ] {
            number.into_iter().for_each(|number| show(name, number));
        }
    }

    fn verbs(&self) -> &'static [&'static str] {
        &["force_open", "disable", "shadow", "resume", "half_open", "reset"]
    }

    fn act(&self, verb: &str) -> Result<(), Invalid> {
        const NOT_OPEN: Invalid = Invalid::new("half_open", "half_open is for a circuit that is open");
        match verb {
            "half_open" => return self.half_open().map_err(|_| NOT_OPEN),
            "reset" => self.reset(),
            _ => self.steer(mode_of(verb).ok_or(UNKNOWN_VERB)?),
        }
        Ok(())
    }

    fn settings(&self, show: &mut dyn FnMut(&'static str, f64)) {
        Setting::show(SETTINGS, &self.value(), show);
    }

    fn set(&self, setting: &str, value: f64) -> Result<(), Invalid> {
        self.change_value(|breaker| Setting::change(SETTINGS, breaker, setting, value))
    }
}

impl<K: Send + Sync> Observed for Circuits<K> {
    fn layer(&self) -> &'static str {
        "breaker"
    }

    fn name(&self) -> &str {
        self.named().map_or("", Name::as_str)
    }

    /// The worst state of any circuit.
    fn state(&self) -> &'static str {
        let mut worst = self.overflow().state();
        for circuit in self.circuits() {
            let state = circuit.state();
            let is_worse = match worst {
                State::Closed | State::Disabled => true,
                State::HalfOpen => matches!(state, State::Open | State::ForcedOpen),
                State::Open | State::ForcedOpen => false,
            };
            if is_worse && state != State::Closed {
                worst = state;
            }
        }
        worst.as_str()
    }

    #[allow(clippy::cast_precision_loss, reason = "shown to people")]
    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        let circuits = self.circuits();
        let is_open = |circuit: &&Arc<Circuit>| !matches!(circuit.state(), State::Closed | State::Disabled);
        let open = circuits.iter().filter(is_open).count();
        for (name, number) in [("keys", circuits.len()), ("max_keys", self.cap()), ("open", open)] {
            show(name, number as f64);
        }
        self.totals().show(show);
    }

    /// What is done is done to all circuits.
    fn verbs(&self) -> &'static [&'static str] {
        &["force_open", "disable", "shadow", "resume", "reset"]
    }

    fn act(&self, verb: &str) -> Result<(), Invalid> {
        match verb {
            "reset" => self.reset(),
            _ => self.set_mode(mode_of(verb).ok_or(UNKNOWN_VERB)?),
        }
        Ok(())
    }

    fn settings(&self, show: &mut dyn FnMut(&'static str, f64)) {
        Setting::show(SETTINGS, &self.value(), show);
    }

    fn set(&self, setting: &str, value: f64) -> Result<(), Invalid> {
        self.change(|breaker| Setting::change(SETTINGS, breaker, setting, value))
    }
}

/// Adds it to the registry, and reports a twin of the name, if there is one.
pub(crate) fn register(observed: &Arc<dyn Observed>) {
    if !bartizan_core::registry::register(observed) {
        event::tell_twin(observed.name());
    }
}
