//! The named handles that are alive in this process, for a console and for metrics.
//!
//! It holds them weakly: a handle leaves when the last layer, service and handle of its state is dropped.

use crate::{Invalid, TimesSnapshot};
use std::borrow::Cow;
use std::fmt::{self, Debug};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// The state of one named layer, as an observer sees it.
pub trait Observed: Debug + Send + Sync {
    /// The kind of layer, such as `breaker`.
    fn layer(&self) -> &'static str;

    /// The name that the user gave to it. What follows a slash tells one of many apart, such as an endpoint; metrics leave it out.
    fn name(&self) -> &str;

    /// The state in one word, from a closed set of the layer.
    fn state(&self) -> &'static str;

    /// Says in a few words, for people, why the state is what it is. `None`, the default, where there is nothing to add.
    fn note(&self) -> Option<Cow<'static, str>> {
        None
    }

    /// Shows every number of the layer's snapshot under its name, from a closed set of the layer.
    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64));

    /// Shows every length of time that the layer counts under its name, from a closed set of the layer. None by default.
    fn times(&self, show: &mut dyn FnMut(&'static str, TimesSnapshot)) {
        let _ = show;
    }

    /// The verbs that [`act`](Self::act) knows, from a closed set of the layer, such as `reset`. None by default.
    fn verbs(&self) -> &'static [&'static str] {
        &[]
    }

    /// Does one of its [`verbs`](Self::verbs).
    ///
    /// # Errors
    ///
    /// If it does not know the verb, or its state does not allow it. Nothing has changed then.
    fn act(&self, verb: &str) -> Result<(), Invalid> {
        let _ = verb;
        Err(UNKNOWN_VERB)
    }

    /// Shows every setting that can be changed while calls run, under the name of its setter and with its unit behind it, as in
    /// `open_seconds`. None by default.
    fn settings(&self, show: &mut dyn FnMut(&'static str, f64)) {
        let _ = show;
    }

    /// Changes one of its [`settings`](Self::settings), as the layer's `update` would: state and windows stay.
    ///
    /// # Errors
    ///
    /// If it does not know the setting, or the value is none for it. Nothing has changed then.
    fn set(&self, setting: &str, value: f64) -> Result<(), Invalid> {
        let _ = (setting, value);
        Err(UNKNOWN_SETTING)
    }
}

/// What [`Observed::act`] says to a verb that it does not know.
pub const UNKNOWN_VERB: Invalid = Invalid::new("verb", "verb is none of this layer's");

/// What [`Observed::set`] says to a setting that it does not know.
pub const UNKNOWN_SETTING: Invalid = Invalid::new("setting", "setting is none of this layer's");

/// One number of a layer's value that can be changed while calls run. A table of them is what
/// [`settings`](Observed::settings) and [`set`](Observed::set) are made of.
pub struct Setting<V> {
    name: &'static str,
    get: fn(&V) -> Option<f64>,
    with: fn(V, f64) -> Result<V, Invalid>,
}

impl<V> Setting<V> {
    /// Creates a setting: its name, what it is in a value, `None` where that has no such number, and the value with another one.
    #[must_use]
    pub const fn new(
        name: &'static str,
        get: fn(&V) -> Option<f64>,
        with: fn(V, f64) -> Result<V, Invalid>,
    ) -> Self {
        Self { name, get, with }
    }

    /// Shows those that a value has.
    pub fn show(table: &[Self], value: &V, show: &mut dyn FnMut(&'static str, f64)) {
        for setting in table {
            (setting.get)(value).into_iter().for_each(|number| show(setting.name, number));
        }
    }

    /// A value with another number in one of the settings that it has.
    ///
    /// # Errors
    ///
    /// If it has no such setting, or the number is none for it.
    pub fn change(table: &[Self], value: V, setting: &str, to: f64) -> Result<V, Invalid> {
        let known = table.iter().find(|known| known.name == setting && (known.get)(&value).is_some());
        (known.ok_or(UNKNOWN_SETTING)?.with)(value, to)
    }
}

impl<V> Debug for Setting<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Setting").field(&self.name).finish()
    }
}

/// The verbs of a layer that can be switched on and off, and does nothing else.
pub const SWITCHES: &[&str] = &["enable", "disable"];

/// Reads one of the [`SWITCHES`]: whether the layer is to be on.
///
/// # Errors
///
/// If the verb is neither of them.
pub fn switched(verb: &str) -> Result<bool, Invalid> {
    match verb {
        "enable" => Ok(true),
        "disable" => Ok(false),
        _ => Err(UNKNOWN_VERB),
    }
}

/// Reads a setting in seconds. What is longer than any [`Duration`] is [`Duration::MAX`], as which it is shown.
///
/// # Errors
///
/// If it is below zero, or no number.
pub fn seconds(value: f64) -> Result<Duration, Invalid> {
    const WRONG: Invalid = Invalid::new("seconds", "seconds must be a number, zero or above");
    match Duration::try_from_secs_f64(value) {
        Ok(duration) => Ok(duration),
        Err(_) if value > 0.0 => Ok(Duration::MAX),
        Err(_) => Err(WRONG),
    }
}

/// Reads a setting that counts.
///
/// # Errors
///
/// If it is no whole number, below zero, or more than its type holds.
pub fn whole<T: TryFrom<u64>>(value: f64) -> Result<T, Invalid> {
    const WRONG: Invalid = Invalid::new("number", "number must be whole, zero or above, and not so large");
    // From here on not all whole numbers are one.
    const MOST: f64 = (1u64 << f64::MANTISSA_DIGITS) as f64;
    if !((0.0..=MOST).contains(&value) && value.fract() == 0.0) {
        return Err(WRONG);
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was looked at")]
    T::try_from(value as u64).map_err(|_| WRONG)
}

static HANDLES: Mutex<Vec<Weak<dyn Observed>>> = Mutex::new(Vec::new());

/// Adds a handle, and says whether it is the only one alive of its layer and name.
///
/// Equal names are two handles: nothing is merged or replaced, and the layer reports the twin as an event.
pub fn register(handle: &Arc<dyn Observed>) -> bool {
    let mut handles = HANDLES.lock().unwrap_or_else(PoisonError::into_inner);
    handles.retain(|known| known.strong_count() > 0);
    let alive: Vec<Arc<dyn Observed>> = handles.iter().filter_map(Weak::upgrade).collect();
    handles.push(Arc::downgrade(handle));
    drop(handles);
    !alive.iter().any(|known| known.layer() == handle.layer() && known.name() == handle.name())
}

/// The handles that are alive, in the order in which they were registered.
#[must_use]
pub fn handles() -> Vec<Arc<dyn Observed>> {
    let handles = HANDLES.lock().unwrap_or_else(PoisonError::into_inner);
    handles.iter().filter_map(Weak::upgrade).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Lamp(&'static str);

    impl Observed for Lamp {
        fn layer(&self) -> &'static str {
            "lamp"
        }
        fn name(&self) -> &str {
            self.0
        }
        fn state(&self) -> &'static str {
            "lit"
        }
        fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
            show("watts", 60.0);
        }
    }

    #[test]
    fn what_cannot_be_steered_says_so() {
        let lamp = Lamp("porch");
        assert_eq!((lamp.act("reset"), lamp.set("watts", 40.0)), (Err(UNKNOWN_VERB), Err(UNKNOWN_SETTING)));
        assert!(lamp.verbs().is_empty());
    }

    #[test]
    fn a_table_shows_what_a_value_has_and_changes_that_alone() {
        #[derive(Clone, Copy, Debug, PartialEq)]
        struct Oven(u32, Option<f64>);
        let table = [
            Setting::new("trays", |oven: &Oven| Some(oven.0.into()), |oven, to| Ok(Oven(whole(to)?, oven.1))),
            Setting::new("heat", |oven: &Oven| oven.1, |oven, to| Ok(Oven(oven.0, Some(to)))),
        ];
        let cold = Oven(3, None);
        let mut shown = Vec::new();
        Setting::show(&table, &cold, &mut |name, number| shown.push((name, number)));
        assert_eq!(shown, [("trays", 3.0)]);
        assert_eq!(Setting::change(&table, cold, "trays", 4.0), Ok(Oven(4, None)));
        assert!(Setting::change(&table, cold, "trays", 0.5).is_err());
        assert_eq!(Setting::change(&table, cold, "heat", 90.0), Err(UNKNOWN_SETTING));
        assert_eq!(Setting::change(&table, Oven(3, Some(80.0)), "heat", 90.0), Ok(Oven(3, Some(90.0))));
    }

    #[test]
    fn numbers_are_read_as_what_they_are_meant_to_be() {
        for (value, ought) in [
            (0.0, Some(Duration::ZERO)),
            (1.5, Some(Duration::from_millis(1500))),
            (Duration::MAX.as_secs_f64(), Some(Duration::MAX)),
            (f64::INFINITY, Some(Duration::MAX)),
            (-0.1, None),
            (f64::NAN, None),
            (f64::NEG_INFINITY, None),
        ] {
            assert_eq!(seconds(value).ok(), ought, "{value}");
        }
        for (value, ought) in [
            (0.0, Some(0)),
            (7.0, Some(7)),
            (4_294_967_295.0, Some(u32::MAX)),
            (4_294_967_296.0, None),
            (0.5, None),
            (-1.0, None),
            (1e300, None),
            (f64::NAN, None),
        ] {
            assert_eq!(whole::<u32>(value).ok(), ought, "{value}");
        }
    }

    #[test]
    fn twins_are_two_and_told_apart_and_the_dead_leave() {
        let lamp = |name| Arc::new(Lamp(name)) as Arc<dyn Observed>;
        let count = || handles().iter().filter(|known| known.layer() == "lamp").count();
        let (hall, attic, twin) = (lamp("hall"), lamp("attic"), lamp("hall"));
        assert!(register(&hall));
        assert!(register(&attic));
        assert!(!register(&twin));
        assert_eq!(count(), 3);
        drop((hall, twin));
        assert_eq!(count(), 1);
        assert!(register(&lamp("hall")));
    }
}
