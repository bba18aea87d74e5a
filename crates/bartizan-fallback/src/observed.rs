//! The layer as the registry shows and steers it.

use crate::fallback::Fallback;
use crate::shared::{Flags, Shared};
use bartizan_core::Invalid;
use bartizan_core::registry::{self, Observed, Setting};

const SETTINGS: &[Setting<Fallback>] = &[
    Setting::new(
        "max_in_flight",
        |fallback| Some(fallback.max_in_flight as f64),
        |fallback, to| Ok(fallback.max_in_flight(registry::whole(to)?)),
    ),
    Setting::new(
        "max_wait_seconds",
        |fallback| Some(fallback.max_wait.as_secs_f64()),
        |fallback, to| Ok(fallback.max_wait(registry::seconds(to)?)),
    ),
];

impl Observed for Shared {
    fn layer(&self) -> &'static str {
        "fallback"
    }

    fn name(&self) -> &str {
        Self::name(self).unwrap_or_default()
    }

    /// `degraded` from the first failure that was replaced to the first good call a second after the last.
    fn state(&self) -> &'static str {
        match self.flags().has(Flags::ENABLED) {
            false => "disabled",
            true if self.snapshot().degraded => "degraded",
            true => "enabled",
        }
    }

    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        self.snapshot().each(show);
    }

    fn verbs(&self) -> &'static [&'static str] {
        registry::SWITCHES
    }

    fn act(&self, verb: &str) -> Result<(), Invalid> {
        self.switch(registry::switched(verb)?);
        Ok(())
    }

    fn settings(&self, show: &mut dyn FnMut(&'static str, f64)) {
        Setting::show(SETTINGS, &self.settings(), show);
    }

    fn set(&self, setting: &str, value: f64) -> Result<(), Invalid> {
        self.change(|fallback| Setting::change(SETTINGS, fallback, setting, value))
    }
}
