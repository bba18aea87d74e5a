//! Row S33: settings that make no sense.

use crate::{MS, SECOND};
use bartizan_core::Invalid;
use bartizan_shed::{Shares, Shed, Throttle};
use std::panic::{UnwindSafe, catch_unwind};
use std::time::Duration;

const NO_SHARES: [f64; 6] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.1, 0.0, 1.001];

/// The field that a refused setting names; its message begins with it.
pub(crate) fn field<T>(setting: Result<T, Invalid>) -> Option<&'static str> {
    let invalid = setting.err()?;
    assert!(invalid.to_string().starts_with(invalid.field()), "{invalid}");
    Some(invalid.field())
}

/// The message with which a setter panics.
pub(crate) fn panics<T>(set: impl FnOnce() -> T + UnwindSafe) -> String {
    let Err(panic) = catch_unwind(set) else { panic!("it was not refused") };
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref().map(|text: &&str| (*text).into())).unwrap()
}

#[test]
fn s33_bad_configuration() {
    for number in NO_SHARES {
        assert_eq!(field(Shed::new().try_critical(number)), Some("critical"), "{number}");
        assert_eq!(field(Shed::new().try_normal(number)), Some("normal"), "{number}");
        assert_eq!(field(Shed::new().try_sheddable(number)), Some("sheddable"), "{number}");
        assert_eq!(field(Shed::new().try_cpu(number)), Some("cpu"), "{number}");
        assert_eq!(field(Shares::try_new(&[0.5, number])), Some("shares"), "{number}");
    }
    for factor in [f64::NAN, f64::INFINITY, -1.0, 0.999] {
        assert_eq!(field(Shed::new().try_ceiling(factor, SECOND)), Some("ceiling"), "{factor}");
    }
    assert_eq!(field(Shed::new().try_ceiling(1.5, Duration::ZERO)), Some("ceiling"));
    assert_eq!(field(Shed::try_fixed(0)), Some("fixed"));
    assert_eq!(field(Shed::try_fixed(usize::MAX)), Some("fixed"));
    assert_eq!(field(Shed::new().try_assumed_deadline(Duration::ZERO)), Some("assumed_deadline"));
    assert_eq!(field(Shed::new().try_min_in_flight(0)), Some("min_in_flight"));
    assert_eq!(field(Shed::new().max_in_flight(5).try_min_in_flight(6)), Some("min_in_flight"));
    assert_eq!(field(Shed::new().min_in_flight(6).try_max_in_flight(5)), Some("max_in_flight"));
    assert_eq!(field(Shares::try_new(&[])), Some("shares"));
    assert_eq!(field(Shares::try_new(&[0.6, 0.6])), Some("shares"));
    assert_eq!(field(Throttle::new().try_k(0.9)), Some("k"));
    assert_eq!(field(Throttle::new().try_window(Duration::ZERO)), Some("window"));
    for number in [f64::NAN, -0.1, 1.1] {
        assert_eq!(field(Throttle::new().try_max_rejection(number)), Some("max_rejection"), "{number}");
    }
    // What makes sense at the edge is none of that.
    assert!(Shed::new().try_critical(1.0).is_ok() && Shed::new().try_assumed_deadline(Duration::MAX).is_ok());
    assert!(Shares::try_new(&[0.1; 10]).is_ok() && Throttle::new().try_window(Duration::MAX).is_ok());
}

#[test]
fn s33_bad_configuration_panics_in_setters() {
    for (field, message) in [
        ("critical", panics(|| Shed::new().critical(0.0))),
        ("normal", panics(|| Shed::new().normal(f64::NAN))),
        ("sheddable", panics(|| Shed::new().sheddable(1.1))),
        ("assumed_deadline", panics(|| Shed::new().assumed_deadline(Duration::ZERO))),
        ("fixed", panics(|| Shed::fixed(0))),
        ("min_in_flight", panics(|| Shed::new().min_in_flight(0))),
        ("max_in_flight", panics(|| Shed::new().min_in_flight(2).max_in_flight(1))),
        ("ceiling", panics(|| Shed::new().ceiling(0.5, SECOND))),
        ("cpu", panics(|| Shed::new().cpu(-1.0))),
        ("shares", panics(|| Shares::new([2.0]))),
        ("k", panics(|| Throttle::new().k(f64::NAN))),
        ("accept_rate", panics(|| Throttle::new().accept_rate(0.0))),
        ("max_rejection", panics(|| Throttle::new().max_rejection(2.0))),
        ("aggression", panics(|| Throttle::new().aggression(0.5))),
        ("window", panics(|| Throttle::new().window(MS / 2))),
    ] {
        assert!(message.starts_with(field), "{field}: {message}");
    }
}
