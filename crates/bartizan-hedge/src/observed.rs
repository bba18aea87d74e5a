//! The layer as the registry shows and steers it.

use crate::hedge::Hedge;
use crate::shared::{Flags, Shared};
use bartizan_core::Invalid;
use bartizan_core::registry::{self, Observed, Setting};

/// Of the two delays there is the one that matters: the one that was set, or the floor of what is learnt.
const SETTINGS: &[Setting<Hedge>] = &[
    Setting::new(
        "max_hedges",
        |hedge| Some(hedge.max_hedges.into()),
        |hedge, to| hedge.try_max_hedges(registry::whole(to)?),
    ),
    Setting::new("extra", |hedge| Some(hedge.extra), Hedge::try_extra),
    Setting::new(
        "delay_seconds",
        |hedge| Some(hedge.delay?.as_secs_f64()),
        |hedge, to| Ok(hedge.delay(registry::seconds(to)?)),
    ),
    Setting::new(
        "min_delay_seconds",
        |hedge| hedge.delay.is_none().then_some(hedge.min_delay.as_secs_f64()),
        |hedge, to| Ok(hedge.min_delay(registry::seconds(to)?)),
    ),
];

impl Observed for Shared {
    fn layer(&self) -> &'static str {
        "hedge"
    }

    fn name(&self) -> &str {
        Self::name(self).unwrap_or_default()
    }

    /// `learning` while there is no delay yet.
    fn state(&self) -> &'static str {
        match self.flags().has(Flags::ENABLED) {
            false => "disabled",
            true if self.delay().is_none() => "learning",
            true => "enabled",
        }
    }

    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        self.snapshot().each(show);
        let own = self.own.snapshot();
        show("win_share", self.wins.share());
        show("budget_left", own.tokens);
        show("budget_cap", own.cap);
        show("budget_deposits", own.deposits as f64);
        show("bytes_kept", self.limit.kept() as f64);
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
        self.change(|hedge| Setting::change(SETTINGS, hedge.clone(), setting, value))
    }
}
