//! Rows B44 and B45: what is shared, also among threads.

use bartizan_breaker::{BreakerLayer, Consecutive, State};
use bartizan_core::{Refused, registry};
use conformance::{Events, Probe, REFERENCE, RULELESS, at_once};
use std::future::ready;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use tower::{BoxError, Layer, ServiceExt};

/// Runs something in threads that begin together, and collects what each returns.
pub(crate) fn in_threads<T: Send>(threads: usize, run: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let (begin, run) = (&Barrier::new(threads), &run);
    std::thread::scope(|scope| {
        let start = |n| {
            scope.spawn(move || {
                begin.wait();
                run(n)
            })
        };
        let started: Vec<_> = (0..threads).map(start).collect();
        started.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    })
}

/// Fails every call.
fn failing<Req>() -> Probe<impl FnMut(Req) -> std::future::Ready<Result<(), BoxError>> + Clone> {
    Probe::new(|_| ready(Err::<(), BoxError>("failure".into())))
}

/// Equal names are two circuits; the second is reported.
#[test]
fn b44_named_registry() {
    let made = in_threads(8, |n| {
        let events = Events::record();
        let layer = BreakerLayer::new(REFERENCE).named(if n == 0 { "b44 ship" } else { "b44 pay" });
        (layer, events.all())
    });
    let reports: Vec<_> = made.iter().flat_map(|(_, events)| events).collect();
    assert_eq!(reports.len(), 6, "seven have one name: {reports:?}");
    assert!(reports.iter().all(|event| event.name == "b44 pay" && event.message.contains("this name")));
    let registered = |name| registry::handles().iter().filter(|handle| handle.name() == name).count();
    assert_eq!((registered("b44 pay"), registered("b44 ship")), (7, 1));

    let service = made[1].0.clone().typed().layer(failing::<()>());
    for _ in 0..5 {
        assert!(at_once(service.clone().oneshot(())).is_err());
    }
    let states: Vec<State> = made.iter().map(|(layer, _)| layer.handle().state()).collect();
    let ought: Vec<State> = (0..8).map(|n| if n == 1 { State::Open } else { State::Closed }).collect();
    assert_eq!(states, ought, "they do not share their state");
}

/// A key that waits in its first look-up until all who look have found nothing.
#[derive(Clone, Debug)]
struct Shop {
    name: &'static str,
    meet: Arc<Barrier>,
    met: Arc<AtomicBool>,
}

impl Shop {
    fn new(name: &'static str, meet: &Arc<Barrier>) -> Self {
        Self { name, meet: meet.clone(), met: Arc::default() }
    }
}

impl PartialEq for Shop {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Shop {}

impl Hash for Shop {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if !self.met.swap(true, SeqCst) {
            self.meet.wait();
        }
        self.name.hash(state);
    }
}

/// The circuits of one layer with a key are one for each, also when a key is first used by many at once.
#[test]
fn b44_keyed_circuits() {
    for round in 0..20 {
        let value = RULELESS.consecutive(Consecutive::new(7));
        let layer = BreakerLayer::new(value).typed().key(Shop::clone);
        let service = layer.layer(failing::<Shop>());
        let alone = Arc::new(Barrier::new(1));
        // A map that is empty does not ask for the hash.
        assert!(at_once(service.clone().oneshot(Shop::new("first", &alone))).is_err());
        let meet = Arc::new(Barrier::new(8));
        in_threads(8, |n| {
            let shop = Shop::new(if n == 0 { "ship" } else { "pay" }, &meet);
            at_once(service.clone().oneshot(shop)).is_err()
        });
        let all = layer.handle().all();
        let mut seen: Vec<_> =
            all.iter().map(|(key, handle)| (key.name, handle.snapshot().failures)).collect();
        seen.sort_unstable();
        assert_eq!(seen, [("first", 1), ("pay", 7), ("ship", 1)], "round {round}");
        let state = |name| layer.handle().get(&Shop::new(name, &alone)).map(|handle| handle.state());
        assert_eq!((state("pay"), state("ship")), (Some(State::Open), Some(State::Closed)));
    }
}

#[tokio::test(start_paused = true)]
async fn b45_clones_share_layers_do_not() {
    let layer = BreakerLayer::new(REFERENCE).typed();
    let first = layer.layer(failing::<()>());
    let again = Probe::new(|()| ready(Ok::<_, BoxError>(())));
    let (clone, second) = (first.clone(), first.clone().clone());
    let (same, cloned) = (layer.layer(again.clone()), layer.clone().layer(again.clone()));
    let other = BreakerLayer::new(REFERENCE).typed().layer(again.clone());

    for _ in 0..5 {
        assert!(first.clone().oneshot(()).await.is_err());
    }
    let refused = |result: Result<(), BoxError>| result.is_err_and(|error| error.is::<Refused>());
    assert!(refused(clone.oneshot(()).await));
    assert!(refused(second.oneshot(()).await));
    assert!(refused(same.oneshot(()).await), "the services of a layer share its circuit");
    assert!(refused(cloned.oneshot(()).await), "and so do those of its clones");
    assert_eq!(again.tally().calls(), 0);
    assert!(other.oneshot(()).await.is_ok(), "another layer has another circuit");
}

#[test]
fn b45_clones_share_among_threads() {
    const THREADS: u64 = 8;
    const CALLS: u64 = 50;
    for round in 0..50 {
        let layer = BreakerLayer::new(RULELESS.consecutive(Consecutive::new(100))).typed();
        let probe = failing::<()>();
        let tally = probe.tally();
        let service = layer.layer(probe);
        let events: Vec<_> = in_threads(THREADS as usize, |_| {
            let events = Events::record();
            for _ in 0..CALLS {
                assert!(at_once(service.clone().oneshot(())).is_err());
            }
            events.changes()
        })
        .concat();
        let seen = layer.handle().snapshot();
        assert_eq!((seen.state, seen.failures, seen.trips), (State::Open, 100, 1), "round {round}");
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!((tally.calls() + seen.refused, tally.running()), (THREADS * CALLS, 0));
        assert!((100..100 + THREADS).contains(&tally.calls()), "{} calls", tally.calls());
    }
}
