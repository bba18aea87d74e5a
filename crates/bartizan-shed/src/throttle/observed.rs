//! What the registry sees of a throttle, and may do to it.

use super::handle::Window;
use super::state::{Shared, State};
use super::value::Throttle;
use crate::Mode;
use bartizan_core::registry::{Observed, Setting, UNKNOWN_VERB, seconds, whole};
use bartizan_core::{Invalid, Name};
use std::borrow::Cow;

/// What can be set while calls run.
const SETTINGS: &[Setting<Throttle>] = &[
    Setting::new("k", |throttle| Some(throttle.k), Throttle::try_k),
    Setting::new("max_rejection", |throttle| Some(throttle.max_rejection), Throttle::try_max_rejection),
    Setting::new("aggression", |throttle| Some(throttle.aggression), Throttle::try_aggression),
    Setting::new(
        "min_requests",
        |throttle| Some(throttle.min_requests.into()),
        |throttle, to| Ok(throttle.min_requests(whole(to)?)),
    ),
    Setting::new(
        "window_seconds",
        |throttle| Some(throttle.window.as_secs_f64()),
        |throttle, to| throttle.try_window(seconds(to)?),
    ),
];

impl Observed for Shared {
    fn layer(&self) -> &'static str {
        "throttle"
    }

    fn name(&self) -> &str {
        Self::name(self).map_or("", Name::as_str)
    }

    fn state(&self) -> &'static str {
        Self::state(self).as_str()
    }

    fn note(&self) -> Option<Cow<'static, str>> {
        let in_shadow = self.mode() == Mode::Shadow && Self::state(self) == State::Throttling;
        in_shadow.then_some("in shadow, nothing is refused".into())
    }

    #[allow(clippy::cast_precision_loss, reason = "shown to people")]
    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        let snapshot = self.snapshot();
        let windows = [snapshot.critical, snapshot.normal, snapshot.sheddable];
        let sum = |number: fn(&Window) -> u64| windows.iter().map(number).sum::<u64>() as f64;
        show("requests", sum(|window| window.requests));
        show("accepts", sum(|window| window.accepts));
        show("rejection", snapshot.rejection());
        show("refused", snapshot.refused as f64);
        show("shadowed", snapshot.shadowed as f64);
        show("throttled", snapshot.throttled as f64);
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
        self.change(|throttle| Ok(throttle.mode(mode)))
    }

    fn settings(&self, show: &mut dyn FnMut(&'static str, f64)) {
        Setting::show(SETTINGS, &self.value(), show);
    }

    fn set(&self, setting: &str, value: f64) -> Result<(), Invalid> {
        self.change(|throttle| Setting::change(SETTINGS, throttle, setting, value))
    }
}
