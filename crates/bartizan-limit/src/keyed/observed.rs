use super::Table;
use bartizan_core::Name;
use bartizan_core::registry::Observed;
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
            ("overflowed", self.overflowed() as f64),
            ("waiting", self.waiters.count() as f64),
            ("refused", self.common.refused() as f64),
            ("shadowed", self.common.shadowed() as f64),
        ] {
            show(name, number);
        }
        self.common.show_store(show);
    }
}
