//! A balancer as the registry shows and steers it.

use crate::balance::Balance;
use crate::ejection::Ejection;
use crate::fleet::{Fleet, Key};
use crate::handle::Steer;
use bartizan_core::registry::{self, Observed, Setting};
use bartizan_core::{Invalid, TimesSnapshot};
use std::borrow::Cow;

/// What is not set, or switched off, cannot be set here.
const SETTINGS: &[Setting<Balance>] = &[
    Setting::new("panic_threshold", |balance| Some(balance.panic_threshold), Balance::try_panic_threshold),
    Setting::new(
        "slow_start_seconds",
        |balance| Some(balance.slow_start.as_secs_f64()),
        |balance, to| Ok(balance.slow_start(registry::seconds(to)?)),
    ),
    Setting::new(
        "wait_for_endpoints_seconds",
        |balance| Some(balance.wait.as_secs_f64()),
        |balance, to| Ok(balance.wait_for_endpoints(registry::seconds(to)?)),
    ),
    Setting::new(
        "max_in_flight",
        |balance| Some(balance.max_in_flight? as f64),
        |balance, to| Ok(balance.max_in_flight(registry::whole(to)?)),
    ),
    Setting::new(
        "max_ejected",
        |balance| ejects(balance, |ejection| ejection.max_ejected),
        |balance, to| with(balance, |ejection| ejection.try_max_ejected(to)),
    ),
    Setting::new(
        "max_failing",
        |balance| ejects(balance, |ejection| ejection.max_failing),
        |balance, to| with(balance, |ejection| ejection.try_max_failing(to)),
    ),
    Setting::new(
        "enforcing",
        |balance| ejects(balance, |ejection| ejection.enforcing),
        |balance, to| with(balance, |ejection| ejection.try_enforcing(to)),
    ),
    Setting::new(
        "pause_seconds",
        |balance| ejects(balance, |ejection| ejection.pause.as_secs_f64()),
        |balance, to| with(balance, |ejection| ejection.try_pause(registry::seconds(to)?)),
    ),
];

fn ejects(balance: &Balance, number: fn(&Ejection) -> f64) -> Option<f64> {
    balance.ejection.enabled.then(|| number(&balance.ejection))
}

fn with(
    balance: Balance,
    change: impl FnOnce(Ejection) -> Result<Ejection, Invalid>,
) -> Result<Balance, Invalid> {
    let ejection = change(balance.ejection)?;
    Ok(balance.ejection(ejection))
}

impl<K: Key, M: Send + Sync + 'static> Observed for Fleet<K, M> {
    fn layer(&self) -> &'static str {
        "balance"
    }

    fn name(&self) -> &str {
        Self::name(self).unwrap_or_default()
    }

    /// `ready` if a member is usable, `panic` while there are too few, `empty` if there is none; `disabled` if that does not matter.
    fn state(&self) -> &'static str {
        let set = self.set.load();
        match set.is_empty() {
            true => "empty",
            false if !set.enabled => "disabled",
            false if set.panic => "panic",
            false => "ready",
        }
    }

    fn note(&self) -> Option<Cow<'static, str>> {
        Some(self.set.load().choice.as_str().into())
    }

    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        Steer::snapshot(self).each(show);
    }

    fn times(&self, show: &mut dyn FnMut(&'static str, TimesSnapshot)) {
        show("wait_seconds", self.common.counts.waits());
    }

    fn verbs(&self) -> &'static [&'static str] {
        registry::SWITCHES
    }

    fn act(&self, verb: &str) -> Result<(), Invalid> {
        self.switch(registry::switched(verb)?);
        Ok(())
    }

    fn settings(&self, show: &mut dyn FnMut(&'static str, f64)) {
        Setting::show(SETTINGS, &self.look(|book, _| book.value.clone()), show);
    }

    fn set(&self, setting: &str, value: f64) -> Result<(), Invalid> {
        self.change_value(|balance| Setting::change(SETTINGS, balance.clone(), setting, value))
    }
}
