//! The layer as the registry shows and steers it.

use super::shared::Shared;
use super::value::Stale;
use bartizan_core::registry::{self, Observed, Setting};
use bartizan_core::{Invalid, TimesSnapshot};

/// A limit that is not set is as answers say, and cannot be set here.
const SETTINGS: &[Setting<Stale>] = &[
    Setting::new(
        "max_entries",
        |stale| Some(stale.max_entries as f64),
        |stale, to| Ok(stale.max_entries(registry::whole(to)?)),
    ),
    Setting::new(
        "max_bytes",
        |stale| Some(stale.max_bytes as f64),
        |stale, to| Ok(stale.max_bytes(registry::whole(to)?)),
    ),
    Setting::new(
        "if_error_seconds",
        |stale| Some(stale.if_error?.as_secs_f64()),
        |stale, to| Ok(stale.if_error(registry::seconds(to)?)),
    ),
    Setting::new(
        "while_revalidate_seconds",
        |stale| Some(stale.while_revalidate?.as_secs_f64()),
        |stale, to| Ok(stale.while_revalidate(registry::seconds(to)?)),
    ),
];

impl Observed for Shared {
    fn layer(&self) -> &'static str {
        "stale"
    }

    fn name(&self) -> &str {
        Self::name(self).unwrap_or_default()
    }

    /// `degraded` while stale answers take the place of failures, until calls are answered ten seconds after the last of these.
    fn state(&self) -> &'static str {
        match (self.is_enabled(), self.is_degraded()) {
            (false, _) => "disabled",
            (true, true) => "degraded",
            (true, false) => "enabled",
        }
    }

    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        self.snapshot().each(show);
    }

    fn times(&self, show: &mut dyn FnMut(&'static str, TimesSnapshot)) {
        show("stale_seconds", self.counts.stale());
    }

    fn verbs(&self) -> &'static [&'static str] {
        &["enable", "disable", "purge"]
    }

    fn act(&self, verb: &str) -> Result<(), Invalid> {
        match verb {
            "purge" => self.purge(),
            _ => self.switch(registry::switched(verb)?),
        }
        Ok(())
    }

    fn settings(&self, show: &mut dyn FnMut(&'static str, f64)) {
        Setting::show(SETTINGS, &self.value(), show);
    }

    fn set(&self, setting: &str, value: f64) -> Result<(), Invalid> {
        self.change(|stale| Setting::change(SETTINGS, stale.clone(), setting, value))
    }
}
