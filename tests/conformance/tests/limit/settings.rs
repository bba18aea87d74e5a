//! Row L23: settings that make no sense.

use crate::{REFERENCE, SECOND};
use bartizan_core::Invalid;
use bartizan_limit::Limit;
use std::panic::{UnwindSafe, catch_unwind};
use std::time::Duration;

/// The field that a refused setting names; its message begins with it.
fn field<T>(setting: Result<T, Invalid>) -> Option<&'static str> {
    let invalid = setting.err()?;
    assert!(invalid.to_string().starts_with(invalid.field()), "{invalid}");
    Some(invalid.field())
}

/// The message with which a setter panics.
fn panics<T>(set: impl FnOnce() -> T + UnwindSafe) -> String {
    let Err(panic) = catch_unwind(set) else { panic!("it was not refused") };
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref().map(|text: &&str| (*text).into())).unwrap()
}

#[test]
fn l23_bad_configuration() {
    assert_eq!(field(Limit::try_per(0, SECOND)), Some("rate"));
    for period in [Duration::ZERO, Duration::MAX, Limit::MAX_REFILL + Duration::from_nanos(1)] {
        assert_eq!(field(Limit::try_per(5, period)), Some("period"), "{period:?}");
    }
    assert_eq!(field(REFERENCE.try_burst(0)), Some("burst"));
    assert_eq!(field(Limit::per(1, Limit::MAX_REFILL).try_burst(2)), Some("burst"));
    for share in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.1, 1.001] {
        assert_eq!(field(REFERENCE.try_shadow(share)), Some("shadow"), "{share}");
    }
    // What makes sense at the edge is none of that.
    assert!(Limit::try_per(1, Limit::MAX_REFILL).is_ok());
    assert!(Limit::try_per(u32::MAX, Duration::from_nanos(1)).is_ok());
    assert!(Limit::per_second(1000).try_burst(u32::MAX).is_ok() && REFERENCE.try_shadow(1.0).is_ok());
}

#[test]
fn l23_bad_configuration_panics_in_setters() {
    for (field, message) in [
        ("rate", panics(|| Limit::per_second(0))),
        ("period", panics(|| Limit::per(5, Duration::ZERO))),
        ("period", panics(|| Limit::per(5, Duration::MAX))),
        ("burst", panics(|| REFERENCE.burst(0))),
        ("shadow", panics(|| REFERENCE.shadow(f64::NAN))),
    ] {
        assert!(message.starts_with(field), "{field}: {message}");
    }
}
