//! A million keys: what is kept of them is bounded, and so is what is told of them.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use allocation_counter::AllocationInfo;
use bartizan_core::registry;
use bartizan_limit::{KeyedHandle, Limit, LimitLayer};
use bartizan_shed::{Shed, ShedLayer};
use futures_util::FutureExt;
use http::{Request, Response, StatusCode};
use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::time::Duration;
use tower::{Layer, ServiceExt, service_fn};

const KEYS: u32 = 1_000_000;
const CAP: usize = 10_000;
/// One request an hour for each key: nobody's bucket is full again before the test is over.
const HOURLY: Limit = Limit::per(1, Duration::from_secs(3600));

/// The names of all numbers that a layer shows.
fn series(layer: &str, name: &str) -> Vec<&'static str> {
    let mut series = Vec::new();
    let handles = registry::handles();
    for handle in handles.iter().filter(|handle| (handle.layer(), handle.name()) == (layer, name)) {
        handle.numbers(&mut |number, _| series.push(number));
    }
    series
}

/// What is allocated while so many callers come, each with a key of its own, and is held at most at a time.
fn crowd(keys: u32, mut ask: impl FnMut(u32)) -> AllocationInfo {
    allocation_counter::measure(|| (0..keys).for_each(&mut ask))
}

#[test]
fn of_a_limit() {
    let limits = KeyedHandle::<u32>::new(HOURLY).max_keys(NonZeroUsize::new(CAP).unwrap()).named("million");
    let (before, mut admitted) = (series("limit", "million"), 0);
    let held = crowd(KEYS, |key| admitted += u32::from(limits.check(&key, 1).is_ok()));
    // Sixteen bytes for each, in arrays that are at most three quarters full and were moved to one of twice the size.
    assert!(held.bytes_max < 100 * CAP as u64, "{held:?}");
    let snapshot = limits.snapshot();
    assert_eq!((snapshot.keys, snapshot.overflowed), (CAP, u64::from(KEYS) - CAP as u64));
    // Those who found no room share one more bucket.
    assert_eq!((admitted, snapshot.refused), (CAP as u32 + 1, u64::from(KEYS) - CAP as u64 - 1));
    assert!((0..CAP as u32).all(|key| limits.check(&key, 1).is_err()), "nobody was forgiven");
    assert_eq!(series("limit", "million"), before);
    assert!(!before.is_empty());

    // They are refused as long as they come, and that costs nothing.
    let held = crowd(KEYS / 10, |key| assert!(limits.check(&key, 1).is_err()));
    assert_eq!(held.count_total, 0);
}

#[test]
fn of_a_limit_that_has_room_for_them_all() {
    let limits = KeyedHandle::<str>::new(Limit::per_second(10))
        .max_keys(NonZeroUsize::new(2 * KEYS as usize).unwrap());
    let held = crowd(KEYS, |key| {
        // Long keys cost what short ones do.
        let key = format!("{key:0100}");
        assert!(limits.check(key.as_str(), 1).is_ok());
    });
    assert!(held.bytes_max < 100 * u64::from(KEYS), "{held:?}");
}

/// A service within a layer, asked by so many callers, each of another key. Returns what is held, and how many were admitted.
macro_rules! asked {
    ($layer:expr, $keys:expr) => {{
        let answer = |_: Request<u32>| std::future::ready(Ok::<_, Infallible>(Response::new(String::new())));
        let service = $layer.layer(service_fn(answer));
        let mut admitted = 0;
        let held = crowd($keys, |key| {
            let answer = service.clone().oneshot(Request::new(key)).now_or_never().unwrap().unwrap();
            admitted += u32::from(answer.status() == StatusCode::OK);
        });
        (held, admitted)
    }};
}

#[test]
fn of_the_layers() {
    // The key is in the extensions for real callers; here each head is as good as another.
    let next = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let key = move |_: &bartizan_http::Head<'_>| next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let limit =
        LimitLayer::new(HOURLY).key(key.clone()).max_keys(NonZeroUsize::new(CAP).unwrap()).named("layer");
    let handle = limit.handle();
    let before = series("limit", "layer");
    let (held, admitted) = asked!(limit, KEYS);
    assert!(held.bytes_max < 100 * CAP as u64 + 10_000, "{held:?}");
    assert_eq!((admitted, handle.snapshot().keys), (CAP as u32 + 1, CAP));
    assert_eq!(series("limit", "layer"), before);

    let shed = ShedLayer::new(Shed::fixed(10)).fair_by(key).named("layer");
    let before = series("shed", "layer");
    let (held, admitted) = asked!(shed, KEYS / 10);
    assert!(held.bytes_max < 100_000, "{held:?}");
    assert_eq!(admitted, KEYS / 10);
    assert_eq!(series("shed", "layer"), before);
}
