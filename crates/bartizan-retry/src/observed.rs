//! The layer as the registry shows and steers it.

use crate::events;
use crate::retry::Retry;
use crate::shared::{Flags, Shared};
use bartizan_core::registry::{self, Observed, Setting};
use bartizan_core::{Invalid, TimesSnapshot};

const SETTINGS: &[Setting<Retry>] = &[
    Setting::new(
        "max_retries",
        |retry| Some(retry.max_retries.into()),
        |retry, to| Ok(retry.max_retries(registry::whole(to)?)),
    ),
    Setting::new(
        "max_hint_seconds",
        |retry| Some(retry.max_hint.as_secs_f64()),
        |retry, to| Ok(retry.max_hint(registry::seconds(to)?)),
    ),
];

impl Observed for Shared {
    fn layer(&self) -> &'static str {
        "retry"
    }

    fn name(&self) -> &str {
        Self::name(self).unwrap_or_default()
    }

    /// `exhausted` while the purse would pay for no retry.
    fn state(&self) -> &'static str {
        match self.flags().has(Flags::ENABLED) {
            false => "disabled",
            true if self.is_exhausted() => "exhausted",
            true => "enabled",
        }
    }

    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        self.counts.snapshot().each(show);
        let purse = self.purse.snapshot();
        show("budget_left", purse.tokens);
        show("budget_cap", purse.cap);
        show("budget_deposits", purse.deposits as f64);
        show("bytes_kept", self.limit.kept() as f64);
    }

    fn times(&self, show: &mut dyn FnMut(&'static str, TimesSnapshot)) {
        show("wait_seconds", self.counts.waits());
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
        show("budget_ratio", self.purse.budget().share());
    }

    /// The budget is the purse's, of all who share it.
    fn set(&self, setting: &str, value: f64) -> Result<(), Invalid> {
        match setting {
            "budget_ratio" => {
                self.purse.set("ratio", value)?;
                events::budget(self.name(), &self.purse.budget());
                Ok(())
            }
            _ => self.change(|retry| Setting::change(SETTINGS, retry.clone(), setting, value)),
        }
    }
}
