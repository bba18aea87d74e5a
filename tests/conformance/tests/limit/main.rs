//! Rows L01 to L23: the rate limit.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

mod addresses;
mod answers;
mod bucket;
mod keys;
mod settings;
mod waiting;
mod windows;

use bartizan_limit::{Handle, KeyedHandle, Limit, LimitLayer};
use conformance::Flavour;
use conformance::crowd::{Asked, Crowd, Guest, How, Is, Refusals, Visit};
use std::time::Duration;
use tower::Layer;

const MS: Duration = Duration::from_millis(1);
const NS: Duration = Duration::from_nanos(1);
const SECOND: Duration = Duration::from_secs(1);

/// Five a second, and as many at once.
const REFERENCE: Limit = Limit::per_second(5);

/// The key of those whom the limit does not concern. What a bystander took it would not get back by leaving, so he is one of them.
const NOBODY: u64 = u64::MAX;

/// A limit, in each flavour, under which a visit costs what it says.
fn limit(value: Limit) -> impl Fn(Flavour) -> Crowd<Handle> {
    move |flavour| {
        let layer = LimitLayer::new(value);
        let crowd = match flavour {
            Flavour::Http => {
                let layer =
                    layer.cost(|head| Asked::of(head).cost).exempt(|head| Asked::of(head).key == NOBODY);
                Crowd::http(layer.handle(), |desk| layer.layer(desk))
            }
            Flavour::Typed => {
                let layer = layer.typed().classify(Refusals);
                let layer =
                    layer.cost(|visit: &Visit| visit.cost).exempt(|visit: &Visit| visit.key == NOBODY);
                Crowd::typed(layer.handle(), |desk| layer.layer(desk))
            }
        };
        crowd.with_bystanders(Visit::new().key(NOBODY))
    }
}

/// A limit for each key, in each flavour.
fn keyed(value: Limit, max_keys: usize) -> impl Fn(Flavour) -> Crowd<KeyedHandle<u64>> {
    move |flavour| {
        let (layer, max_keys) = (LimitLayer::new(value), max_keys.try_into().unwrap());
        let crowd = match flavour {
            Flavour::Http => {
                let layer = layer.exempt(|head| Asked::of(head).key == NOBODY);
                let layer = layer.key(|head| Asked::of(head).key).max_keys(max_keys);
                Crowd::http(layer.handle(), |desk| layer.layer(desk))
            }
            Flavour::Typed => {
                let layer = layer.typed().classify(Refusals).exempt(|visit: &Visit| visit.key == NOBODY);
                let layer = layer.key(|visit: &Visit| visit.key).max_keys(max_keys);
                Crowd::typed(layer.handle(), |desk| layer.layer(desk))
            }
        };
        crowd.with_bystanders(Visit::new().key(NOBODY))
    }
}

/// Makes a request that ends at once if it is let in, and says whether it is.
fn passes<H>(crowd: &mut Crowd<H>, visit: Visit) -> bool {
    let mut guest = crowd.enter(visit);
    let is = guest.is();
    assert!(is == Is::Running || is == Is::Refused, "{is:?}");
    if is == Is::Running {
        guest.end(How::Good);
    }
    is == Is::Running
}

/// How many of so many requests are let in.
fn count<H>(crowd: &mut Crowd<H>, visits: usize, visit: impl Fn() -> Visit) -> usize {
    (0..visits).filter(|_| passes(crowd, visit())).count()
}

/// After how long a request that was refused may come again.
fn told(guest: &mut Guest) -> Duration {
    let refused = guest.refused();
    assert_eq!((refused.layer(), refused.reached()), ("limit", false));
    refused.retry_after().unwrap()
}
