//! Row O40: what no balancer is made of.

use crate::host::BAD;
use crate::town::play;
use crate::{ROWS, SECOND, ejecting};
use bartizan_balance::{Balance, Ejection, Excess, FailureRatio, RingHash, Slowness, SuccessRate};
use bartizan_core::Invalid;
use std::fmt::Debug;
use std::panic::catch_unwind;

/// The field that a refused setting names.
fn field<T: Debug>(setting: Result<T, Invalid>) -> &'static str {
    setting.unwrap_err().field()
}

/// What a setter says that panics.
fn says<T: Debug>(set: fn() -> T) -> String {
    let said = catch_unwind(set).unwrap_err();
    let text = said.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| said.downcast_ref::<String>().cloned()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn o40_bad_configuration() {
    const EJECTION: Ejection = Ejection::new();
    let (max, seconds) = (EJECTION.pause(20 * SECOND), |n| n * SECOND);
    assert_eq!(field(max.try_max_pause(seconds(19))), "max_pause");
    assert_eq!(field(max.max_pause(seconds(20)).try_pause(seconds(21))), "pause");
    assert_eq!(field(EJECTION.try_pause(seconds(0))), "pause");
    assert_eq!(field(EJECTION.try_interval(seconds(0))), "interval");
    for wrong in [1.01, -0.01, f64::NAN, f64::INFINITY] {
        assert_eq!(field(EJECTION.try_max_ejected(wrong)), "max_ejected");
        assert_eq!(field(EJECTION.try_max_failing(wrong)), "max_failing");
        assert_eq!(field(EJECTION.try_enforcing(wrong)), "enforcing");
        assert_eq!(field(EJECTION.try_jitter(wrong)), "jitter");
        assert_eq!(field(FailureRatio::new().try_ratio(wrong)), "ratio");
        assert_eq!(field(Excess::new().try_chance(wrong)), "chance");
        assert_eq!(field(Excess::new().try_margin(wrong)), "margin");
        assert_eq!(field(Balance::new().try_panic_threshold(wrong)), "panic_threshold");
    }
    for wrong in [-0.1, f64::NAN, f64::INFINITY] {
        assert_eq!(field(SuccessRate::new().try_factor(wrong)), "factor");
        assert_eq!(field(Slowness::new().try_times(wrong)), "times");
        assert_eq!(field(Excess::new().try_times(wrong)), "times");
    }
    for wrong in [0.99, f64::NAN, f64::NEG_INFINITY] {
        assert_eq!(field(Balance::new().try_gentle_failover(wrong)), "gentle_failover");
        assert_eq!(field(RingHash::new().try_bound(wrong)), "bound");
    }
    assert_eq!(field(SuccessRate::new().try_min_hosts(0)), "min_hosts");
    assert_eq!(field(FailureRatio::new().try_min_hosts(0)), "min_hosts");
    assert_eq!(field(Slowness::new().try_min_requests(0)), "min_requests");

    assert!(says(|| EJECTION.max_pause(SECOND)).contains("max_pause"));
    assert!(says(|| EJECTION.max_ejected(1.01)).contains("max_ejected"));
    assert!(says(|| SuccessRate::new().factor(f64::NAN)).contains("factor"));
    assert!(says(|| SuccessRate::new().min_hosts(0)).contains("min_hosts"));
    assert!(says(|| Balance::new().panic_threshold(f64::NAN)).contains("panic_threshold"));
    assert!(says(|| Balance::new().gentle_failover(0.5)).contains("gentle_failover"));

    // A pause above the cap that nobody set is the cap.
    play(ejecting(ROWS.pause(400 * SECOND)), "abc", async |town| {
        for _ in 0..2 {
            for _ in 0..5 {
                town.hit('a', BAD).await;
            }
            assert_eq!(town.endpoint('a').ejected_for, Some(400 * SECOND));
            tokio::time::sleep(400 * SECOND).await;
        }
    })
    .await;
}
