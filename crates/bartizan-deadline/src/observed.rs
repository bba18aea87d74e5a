//! What the registry sees of a deadline, and may do to it.

use crate::counts::Counts;
use crate::deadline::Deadline;
use crate::settings::Flags;
use crate::shared::Shared;
use bartizan_core::registry::{Observed, SWITCHES, Setting, seconds, switched};
use bartizan_core::{Invalid, TimesSnapshot};

/// What can be set while calls run. What has no end is shown as 584 years.
const SETTINGS: &[Setting<Deadline>] = &[
    Setting::new(
        "total_seconds",
        |deadline| Some(deadline.total.as_secs_f64()),
        |deadline, to| deadline.try_with_total(seconds(to)?),
    ),
    Setting::new(
        "head_timeout_seconds",
        |deadline| Some(deadline.head_timeout.as_secs_f64()),
        |deadline, to| deadline.try_head_timeout(seconds(to)?),
    ),
    Setting::new(
        "idle_timeout_seconds",
        |deadline| Some(deadline.idle_timeout.as_secs_f64()),
        |deadline, to| deadline.try_idle_timeout(seconds(to)?),
    ),
    Setting::new(
        "min_remaining_seconds",
        |deadline| Some(deadline.min_remaining.as_secs_f64()),
        |deadline, to| deadline.try_min_remaining(seconds(to)?),
    ),
    Setting::new(
        "margin_seconds",
        |deadline| Some(deadline.margin.as_secs_f64()),
        |deadline, to| deadline.try_margin(seconds(to)?),
    ),
    Setting::new(
        "max_refused_share",
        |deadline| Some(deadline.max_refused_share),
        Deadline::try_max_refused_share,
    ),
];

impl Observed for Shared {
    fn layer(&self) -> &'static str {
        "deadline"
    }

    fn name(&self) -> &str {
        Self::name(self).unwrap_or_default()
    }

    fn state(&self) -> &'static str {
        match self.settings.flags() {
            flags if !flags.has(Flags::ENABLED) => "disabled",
            flags if flags.has(Flags::BOUNDED) && self.is_withholding() => "withholding",
            _ => "enabled",
        }
    }

    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        let counted = self.counts.snapshot();
        let others = [
            ("refused", counted.refused()),
            ("ended", counted.ended()),
            ("withheld", counted.withheld),
            ("malformed", counted.malformed),
            ("abandoned", counted.abandoned),
        ];
        for (name, count) in Counts::NAMES.into_iter().zip(self.counts.reasons()).chain(others) {
            show(name, count as f64);
        }
        show("total_seconds", self.settings.total().duration().as_secs_f64());
        if let Some(learnt) = self.learnt() {
            show("learnt_seconds", learnt.as_secs_f64());
        }
    }

    /// How much time was left to those who were refused.
    fn times(&self, show: &mut dyn FnMut(&'static str, TimesSnapshot)) {
        show("left_seconds", self.counts.left.snapshot());
    }

    fn verbs(&self) -> &'static [&'static str] {
        SWITCHES
    }

    fn act(&self, verb: &str) -> Result<(), Invalid> {
        self.switch(switched(verb)?)
    }

    fn settings(&self, show: &mut dyn FnMut(&'static str, f64)) {
        Setting::show(SETTINGS, &self.value(), show);
    }

    fn set(&self, setting: &str, value: f64) -> Result<(), Invalid> {
        self.change(|deadline| Setting::change(SETTINGS, deadline, setting, value))
    }
}
