//! Rows B46 and B47: settings that make no sense.

use bartizan_breaker::{Breaker, Consecutive, Evidence, Pause, Ratio, State, Window};
use bartizan_core::Invalid;
use conformance::{F, RULELESS, in_every_mode};
use std::panic::catch_unwind;
use std::time::Duration;

const NUMBERS: [f64; 5] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.1, 1.001];

/// The field that a refused setting names; its message begins with it.
fn field<T>(setting: Result<T, Invalid>) -> Option<&'static str> {
    let invalid = setting.err()?;
    assert!(invalid.to_string().starts_with(invalid.field()), "{invalid}");
    Some(invalid.field())
}

/// The message with which a setter panics.
fn panics<T>(set: impl FnOnce() -> T + std::panic::UnwindSafe) -> String {
    let Err(panic) = catch_unwind(set) else { panic!("it was not refused") };
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref().map(|text: &&str| (*text).into()))
        .unwrap()
}

#[test]
fn b46_bad_configuration() {
    for number in NUMBERS.into_iter().chain([0.0]) {
        assert_eq!(field(Ratio::try_new(number)), Some("ratio"), "{number}");
        assert_eq!(field(Evidence::new().try_shares(number, 0.5)), Some("shares"), "{number}");
        assert_eq!(field(Evidence::new().try_shares(0.5, number)), Some("shares"), "{number}");
    }
    for number in NUMBERS {
        assert_eq!(field(Pause::new().try_jitter(number)), Some("jitter"), "{number}");
    }
    for number in [f64::NAN, f64::INFINITY, -1.0, 0.0, 1000.1] {
        assert_eq!(field(Evidence::new().try_threshold(number)), Some("threshold"), "{number}");
    }
    assert_eq!(field(Evidence::new().try_shares(0.5, 0.4)), Some("shares"));
    for calls in [0, Window::MAX_CALLS + 1, u32::MAX] {
        assert_eq!(field(Window::try_calls(calls)), Some("window"), "{calls}");
    }
    assert_eq!(field(Window::try_time(Duration::ZERO)), Some("window"));
    for probes in [0, Breaker::MAX_PROBES + 1, u32::MAX] {
        assert_eq!(field(Breaker::new().try_probes(probes)), Some("probes"), "{probes}");
    }
    assert_eq!(field(Breaker::new().try_probe_lease(Duration::ZERO)), Some("probe_lease"));
    assert_eq!(field(Ratio::new(0.5).try_min_requests(0)), Some("min_requests"));
    assert_eq!(field(Consecutive::try_new(0)), Some("failures"));
    assert_eq!(field(Pause::new().try_max(Duration::from_secs(4))), Some("max"));
    assert_eq!(field(Breaker::new().try_max_open_for(Duration::from_secs(4))), Some("max_open_for"));
    assert_eq!(field(Pause::new().try_list(&[])), Some("list"));
    assert_eq!(field(Pause::new().try_list(&[Duration::ZERO; Pause::MAX_LIST + 1])), Some("list"));
}

#[test]
fn b46_bad_configuration_panics_in_setters() {
    let short = Duration::from_secs(4);
    for (field, message) in [
        ("ratio", panics(|| Ratio::new(100.1))),
        ("shares", panics(|| Evidence::new().shares(0.0, 0.5))),
        ("threshold", panics(|| Evidence::new().threshold(f64::NAN))),
        ("window", panics(|| Window::calls(0))),
        ("window", panics(|| Window::time(Duration::ZERO))),
        ("probes", panics(|| Breaker::new().probes(0))),
        ("probe_lease", panics(|| Breaker::new().probe_lease(Duration::ZERO))),
        ("min_requests", panics(|| Ratio::new(0.5).min_requests(0))),
        ("failures", panics(|| Consecutive::new(0))),
        ("max", panics(move || Pause::new().max(short))),
        ("max_open_for", panics(move || Breaker::new().max_open_for(short))),
        ("list", panics(|| Pause::new().list(&[]))),
        ("jitter", panics(|| Pause::new().jitter(-0.1))),
    ] {
        assert!(message.starts_with(field), "{field}: {message}");
    }
}

/// In a window of calls it is refused, or reduced where the window comes last, as its documentation says. In one of time
/// it is allowed.
#[tokio::test(start_paused = true)]
async fn b47_minimum_greater_than_window() {
    let five = Window::calls(5);
    assert_eq!(field(Ratio::new(0.5).window(five).try_min_requests(10)), Some("min_requests"));
    assert!(Ratio::new(0.5).window(five).try_min_requests(5).is_ok());

    for (ratio, calls) in [
        (Ratio::new(0.5).window(Window::time(Duration::from_secs(1))).min_requests(10), 10),
        (Ratio::new(0.5).min_requests(10).window(five), 5),
        (Ratio::new(0.5).min_requests(3).window(five), 3),
    ] {
        in_every_mode(RULELESS.failure_ratio(ratio), async |rig| {
            for n in 1..=calls {
                rig.play(&[F]).await;
                assert_eq!(rig.state(), if n < calls { State::Closed } else { State::Open }, "{ratio:?}");
            }
        })
        .await;
    }
}
