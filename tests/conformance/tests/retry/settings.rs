//! Row R46: settings that make no sense are refused when they are made.

use crate::{MS, S};
use bartizan_core::Invalid;
use bartizan_retry::{Allowance, Backoff, Budget, Jitter, RetryOn};
use std::panic::catch_unwind;
use std::time::Duration;

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

/// The field that the error of a `try_` form names, or that the panic of the plain form does.
fn refused<T>(tried: Result<T, Invalid>, plain: impl FnOnce() -> T) -> &'static str {
    let invalid = tried.err().expect("it is refused");
    let panic = catch_unwind(std::panic::AssertUnwindSafe(plain)).err().expect("the plain form panics");
    let said = panic.downcast_ref::<String>().map(String::as_str);
    let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).expect("it says why");
    assert_eq!(said, invalid.message());
    assert!(said.starts_with(invalid.field()), "{said}");
    invalid.field()
}

#[test]
fn r46_bad_configuration() {
    let (short, long) = (MS, S);
    assert_eq!(
        refused(Backoff::try_exponential(long, short), || Backoff::exponential(long, short)),
        "backoff"
    );
    assert_eq!(
        refused(Backoff::try_decorrelated(long, short), || Backoff::decorrelated(long, short)),
        "backoff"
    );
    let backoff = Backoff::default;
    for factor in [0.0, 0.5, -1.0, NAN, INF] {
        assert_eq!(refused(backoff().try_factor(factor), || backoff().factor(factor)), "factor", "{factor}");
    }
    for share in [1.5, -0.1, NAN, INF] {
        let jitter = Jitter::Within(share);
        assert_eq!(refused(backoff().try_jitter(jitter), || backoff().jitter(jitter)), "jitter", "{share}");
    }
    let budget = Budget::new();
    for share in [-0.1, 1.5, NAN, INF] {
        assert_eq!(refused(budget.try_ratio(share), || budget.ratio(share)), "ratio", "{share}");
        assert_eq!(
            refused(budget.try_persistence(share), || budget.persistence(share)),
            "persistence",
            "{share}"
        );
    }
    for tokens in [0, 1001] {
        assert_eq!(
            refused(budget.try_min_tokens(tokens), || budget.min_tokens(tokens)),
            "min_tokens",
            "{tokens}"
        );
    }
    assert_eq!(refused(RetryOn::try_code(0), || RetryOn::code(0)), "retry_on");
    for number in [0.0, -1.0, NAN, INF] {
        let most = || Allowance::new(number, S, 1.0);
        assert_eq!(refused(Allowance::try_new(number, S, 1.0), most), "allowance", "{number}");
        let steepness = || Allowance::new(1.0, S, number);
        assert_eq!(refused(Allowance::try_new(1.0, S, number), steepness), "allowance", "{number}");
    }

    // At the edges they make sense, and a constant compiles.
    const _: Backoff = Backoff::exponential(S, S);
    const _: Backoff = Backoff::decorrelated(Duration::ZERO, Duration::MAX);
    const _: Budget = Budget::new().ratio(1.0).min_tokens(1000).persistence(0.0);
    const _: RetryOn = RetryOn::code(1).and(RetryOn::CONNECT);
    assert!(Backoff::exponential(Duration::ZERO, Duration::MAX).try_factor(1.0).is_ok());
    assert!([0.0, 1.0].into_iter().all(|share| backoff().try_jitter(Jitter::Within(share)).is_ok()));
}
