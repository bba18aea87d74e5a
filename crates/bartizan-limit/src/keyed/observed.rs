use super::Table;
use crate::settings::SETTINGS;
use bartizan_core::registry::{Observed, Setting, switched};
use bartizan_core::{Invalid, Name, TimesSnapshot};
use std::borrow::Cow;

impl Observed for Table {
    fn layer(&self) -> &'static str {
        "limit"
    }

    fn name(&self) -> &str {
        self.common.name().map_or("", Name::as_str)
    }

    fn state(&self) -> &'static str {
        match (self.common.limit().is_enabled(), self.keys() < self.cap) {
            (false, _) => "off",
            (true, true) => "open",
            (true, false) => "crowded",
        }
    }

    fn note(&self) -> Option<Cow<'static, str>> {
        let crowded = "new keys share one bucket until one of the others is full again";
        self.common.note().or_else(|| (self.keys() >= self.cap).then_some(crowded.into()))
    }

    #[allow(clippy::cast_precision_loss, reason = "shown to people")]
    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        let limit = self.common.limit();
        for (name, number) in [
            ("burst", f64::from(limit.max_burst())),
            ("interval_seconds", limit.interval().as_secs_f64()),
            ("keys", self.keys() as f64),
            ("max_keys", self.cap as f64),
            ("overflowed", self.overflowed() as f64),
            ("waiting", self.waiters.count() as f64),
        ] {
            show(name, number);
        }
        self.common.show(show);
    }

    /// How long those had waited who left the lines, by either end.
    fn times(&self, show: &mut dyn FnMut(&'static str, TimesSnapshot)) {
        show("queue_seconds", self.waiters.waited());
    }

    fn verbs(&self) -> &'static [&'static str] {
        &["enable", "disable", "reset"]
    }

    fn act(&self, verb: &str) -> Result<(), Invalid> {
        match verb {
            "reset" => self.clear(),
            _ => self.switch(switched(verb)?)?,
        }
        Ok(())
    }

    fn settings(&self, show: &mut dyn FnMut(&'static str, f64)) {
        Setting::show(SETTINGS, &self.common.limit(), show);
    }

    fn set(&self, setting: &str, value: f64) -> Result<(), Invalid> {
        self.change(|limit| Setting::change(SETTINGS, limit, setting, value))
    }
}
