//! What the registry sees of a layer that sheds, and may do to it.

use crate::Mode;
use crate::denial::Why;
use crate::shared::Shared;
use crate::shed::Shed;
use bartizan_core::registry::{Observed, Setting, UNKNOWN_VERB, seconds, whole};
use bartizan_core::{Invalid, Name, TimesSnapshot};
use std::borrow::Cow;

/// What can be set while calls run: the fixed limit, or what an adaptive one is made of.
const SETTINGS: &[Setting<Shed>] = &[
    Setting::new(
        "limit",
        |shed| shed.fixed.map(f64::from),
        |shed, to| Ok(Shed { fixed: Shed::try_fixed(whole(to)?)?.fixed, ..shed }),
    ),
    Setting::new("critical", |shed| adaptive(shed, shed.critical), Shed::try_critical),
    Setting::new("normal", |shed| adaptive(shed, shed.normal), Shed::try_normal),
    Setting::new("sheddable", |shed| adaptive(shed, shed.sheddable), Shed::try_sheddable),
    Setting::new(
        "assumed_deadline_seconds",
        |shed| adaptive(shed, shed.assumed_deadline.as_secs_f64()),
        |shed, to| shed.try_assumed_deadline(seconds(to)?),
    ),
    Setting::new(
        "min_in_flight",
        |shed| adaptive(shed, shed.min_in_flight as f64),
        |shed, to| shed.try_min_in_flight(whole(to)?),
    ),
    Setting::new(
        "max_in_flight",
        |shed| adaptive(shed, shed.max_in_flight as f64),
        |shed, to| shed.try_max_in_flight(whole(to)?),
    ),
    Setting::new(
        "ceiling",
        |shed| adaptive(shed, shed.ceiling?.0),
        |shed, to| shed.ceiling.map_or(Ok(shed), |(_, hold)| shed.try_ceiling(to, hold)),
    ),
    Setting::new("cpu", |shed| shed.cpu, Shed::try_cpu),
    Setting::new(
        "retry_after_seconds",
        |shed| Some(shed.retry_after.as_secs_f64()),
        |shed, to| Ok(shed.retry_after(seconds(to)?)),
    ),
];

/// A number of an adaptive limit.
fn adaptive(shed: &Shed, number: f64) -> Option<f64> {
    shed.fixed.is_none().then_some(number)
}

impl Observed for Shared {
    fn layer(&self) -> &'static str {
        "shed"
    }

    fn name(&self) -> &str {
        self.name().map_or("", Name::as_str)
    }

    fn state(&self) -> &'static str {
        match self.settings().mode() {
            Mode::Disabled => "disabled",
            Mode::Shadow => "shadow",
            Mode::Normal if self.is_shedding() => "shedding",
            Mode::Normal => "admitting",
        }
    }

    fn note(&self) -> Option<Cow<'static, str>> {
        let in_shadow = self.settings().mode() == Mode::Shadow && self.is_shedding();
        in_shadow.then_some("it would shed; in shadow, nothing is refused".into())
    }

    #[allow(clippy::cast_precision_loss, reason = "shown to people")]
    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        let snapshot = self.snapshot();
        for (name, number) in [
            ("in_flight", snapshot.in_flight as u64),
            ("limit", snapshot.limit as u64),
            ("queued", snapshot.queued as u64),
            ("admitted", snapshot.admitted.total()),
            ("admitted_critical", snapshot.admitted.critical),
            ("admitted_normal", snapshot.admitted.normal),
            ("admitted_sheddable", snapshot.admitted.sheddable),
            ("refused", snapshot.refused.total()),
            ("refused_critical", snapshot.refused.critical),
            ("refused_normal", snapshot.refused.normal),
            ("refused_sheddable", snapshot.refused.sheddable),
            ("shadowed", snapshot.shadowed.total()),
            ("shadowed_critical", snapshot.shadowed.critical),
            ("shadowed_normal", snapshot.shadowed.normal),
            ("shadowed_sheddable", snapshot.shadowed.sheddable),
        ] {
            show(name, number as f64);
        }
        for (name, count) in Why::NAMES.into_iter().zip(self.counts.by_reason()) {
            show(name, count as f64);
        }
        if let Some(waiting) = self.waiting() {
            show("queue_places", waiting.places() as f64);
            show("queue_age_seconds", snapshot.queue_age.as_secs_f64());
        }
        if self.settings().limit().is_none() {
            show("throughput", snapshot.throughput);
            show("service_seconds", snapshot.service_time.as_secs_f64());
            show("predicted_wait_seconds", snapshot.predicted_wait.as_secs_f64());
        }
        if let Some(cpu) = snapshot.cpu {
            show("cpu", cpu);
        }
    }

    /// How long those had waited who left the queue, by either end.
    fn times(&self, show: &mut dyn FnMut(&'static str, TimesSnapshot)) {
        if let Some(waiting) = self.waiting() {
            show("queue_seconds", waiting.waited.snapshot());
        }
    }

    fn verbs(&self) -> &'static [&'static str] {
        &["disable", "shadow", "resume", "reset"]
    }

    fn act(&self, verb: &str) -> Result<(), Invalid> {
        if verb == "reset" {
            self.reset();
            return Ok(());
        }
        let mode = Mode::of(verb).ok_or(UNKNOWN_VERB)?;
        self.steer(|shed| Ok(shed.mode(mode)))
    }

    fn settings(&self, show: &mut dyn FnMut(&'static str, f64)) {
        Setting::show(SETTINGS, &self.value(), show);
    }

    fn set(&self, setting: &str, value: f64) -> Result<(), Invalid> {
        self.steer(|shed| Setting::change(SETTINGS, shed, setting, value))
    }
}
