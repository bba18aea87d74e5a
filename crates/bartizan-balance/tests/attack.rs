//! What hostile users and unlucky settings do to a balancer.

#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_balance::{Balance, BalanceService, Change, Choice, Ejection, Handle, Member, RingHash};
use bartizan_core::{Kind, Refused, find_cause};
use futures_util::stream;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::{pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{advance, sleep, timeout};
use tower::{BoxError, Service, ServiceExt, service_fn};

/// Says who it is, or does what its name says.
#[derive(Clone)]
struct Server(u32, Arc<AtomicU32>);

const PANICS_READY: u32 = 1000;
const PANICS_CALL: u32 = 1001;
const PANICS_LATER: u32 = 1002;
const HANGS: u32 = 1003;
const FAILS: u32 = 1004;
const BREAKS: u32 = 1005;
const PENDING: u32 = 1006;

type Answer = Pin<Box<dyn Future<Output = Result<u32, BoxError>> + Send>>;

impl Service<u32> for Server {
    type Response = u32;
    type Error = BoxError;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self.0 {
            PANICS_READY => panic!("as told"),
            BREAKS => Poll::Ready(Err("broken".into())),
            PENDING => Poll::Pending,
            _ => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, _: u32) -> Answer {
        self.1.fetch_add(1, Relaxed);
        let who = self.0;
        assert_ne!(who, PANICS_CALL, "as told");
        Box::pin(async move {
            match who {
                PANICS_LATER => panic!("as told"),
                HANGS => pending().await,
                FAILS => Err("ill".into()),
                _ => Ok(who),
            }
        })
    }
}

type Set = BalanceService<u32, Server, bartizan_balance::Own, bartizan_balance::TypedWay>;

fn set(value: Balance) -> Set {
    BalanceService::new(value.seed(1), |who: &u32| Server(*who, Arc::default())).typed()
}

/// How often each one answered.
async fn calls(set: &Set, n: u32) -> BTreeMap<u32, u32> {
    let mut said = BTreeMap::new();
    for i in 0..n {
        let who = set.clone().oneshot(i).await.unwrap();
        *said.entry(who).or_default() += 1;
    }
    said
}

fn in_flight(handle: &Handle<u32>) -> u32 {
    handle.snapshot().endpoints.iter().map(|one| one.in_flight).sum()
}

#[tokio::test(start_paused = true)]
async fn the_longest_times_are_taken() {
    let longest = Ejection::new().interval(Duration::MAX).pause(Duration::MAX);
    let value = Balance::new()
        .slow_start(Duration::MAX)
        .memory(Duration::MAX)
        .wait_for_endpoints(Duration::MAX)
        .ejection(longest);
    let set = set(value).members([1, 2, 3]);
    let handle = set.handle();
    handle.change(Change::Insert(Member::new(4)));
    assert!(handle.eject(&1, Duration::MAX));
    advance(Duration::from_secs(86_400 * 365)).await;
    let said = calls(&set, 100).await;
    assert!(!said.contains_key(&1) && said.values().sum::<u32>() == 100, "{said:?}");
    // The last one cannot be out, and so it waits for nobody.
    handle.change(Change::Set(Vec::new()));
    let mut waits = tokio_test::task::spawn(set.clone().oneshot(1));
    assert!(waits.poll().is_pending());
    advance(Duration::from_secs(86_400 * 365)).await;
    assert!(waits.poll().is_pending());
    handle.change(Change::set([5]));
    assert!(matches!(waits.poll(), Poll::Ready(Ok(5))));
}

#[tokio::test(start_paused = true)]
async fn extreme_weights_and_tiers() {
    let most = u32::MAX;
    for choice in [
        Choice::latency(),
        Choice::round_robin(),
        Choice::random(),
        Choice::weighted(),
        Choice::least_requests(),
        Choice::p2c(),
        Choice::ring_hash(),
        Choice::RingHash(RingHash::new().bound(f64::INFINITY)),
    ] {
        let members = [
            Member::new(1).weight(most),
            Member::new(2).weight(0),
            Member::new(3).tier(most).weight(most),
            Member::new(4).tier(most),
        ];
        let set = set(Balance::new().choice(choice).zone("here").gentle_failover(1.0)).members(members);
        assert_eq!(calls(&set, 200).await, BTreeMap::from([(1, 200)]), "{choice:?}");
        set.handle().drain(&1);
        let said = calls(&set, 200).await;
        assert!(said.keys().all(|who| [3, 4].contains(who)), "{choice:?}: {said:?}");
        set.handle().change(Change::set([Member::new(2).weight(0)]));
        let error = set.clone().oneshot(0).await.unwrap_err();
        assert_eq!(find_cause::<Refused>(&*error).unwrap().kind(), Kind::Unavailable);
    }
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_members() {
    for choice in [Choice::latency(), Choice::weighted(), Choice::p2c(), Choice::ring_hash()] {
        let set = set(Balance::new().choice(choice)).members((0..10_000).filter(|one| *one != 1000));
        // Those with a meaning of their own are among them, and are passed by.
        let (mut answered, mut panicked) = (0, 0);
        for n in 0..500 {
            let call = tokio::spawn(timeout(Duration::from_millis(1), set.clone().oneshot(n)));
            match call.await {
                Ok(Ok(Ok(_))) => answered += 1,
                Ok(_) => {}
                Err(_) => panicked += 1,
            }
        }
        assert!(answered > 490 && panicked < 5, "{choice:?}: {answered} {panicked}");
        assert_eq!(in_flight(&set.handle()), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_panics_when_it_is_asked_is_left() {
    for bad in [PANICS_READY, PANICS_CALL, PANICS_LATER] {
        let set = set(Balance::new()).members([1, bad]);
        let mut panicked = 0;
        for n in 0..100 {
            let call = tokio::spawn(set.clone().oneshot(n)).await;
            panicked += u32::from(call.is_err());
        }
        assert!((1..10).contains(&panicked), "{bad}: {panicked}");
        assert_eq!(in_flight(&set.handle()), 0, "{bad}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_cannot_be_made_anew_is_tried_again_once_a_second() {
    let (made, panics) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let (count, whether) = (made.clone(), panics.clone());
    let make = move |who: &u32| {
        count.fetch_add(1, Relaxed);
        assert!(!whether.load(Relaxed), "as told");
        Server(*who, Arc::default())
    };
    let set = BalanceService::new(Balance::new(), make).typed().members([1, BREAKS]);
    calls(&set, 10).await;
    assert!(set.handle().snapshot().endpoints[1].broken);
    panics.store(true, Relaxed);
    let mut panicked = 0;
    for n in 0..40 {
        advance(Duration::from_millis(100)).await;
        panicked += u32::from(tokio::spawn(set.clone().oneshot(n)).await.is_err());
    }
    assert!((3..5).contains(&panicked), "{panicked} callers of forty had to see it");
    panics.store(false, Relaxed);
    advance(Duration::from_secs(2)).await;
    assert!(!set.handle().snapshot().endpoints[1].broken, "made {} times", made.load(Relaxed));
}

#[tokio::test(start_paused = true)]
async fn a_handle_may_be_used_where_a_service_is_made_and_called() {
    let own: Arc<OnceLock<Handle<u32>>> = Arc::default();
    let (of_make, seen) = (own.clone(), Arc::new(Mutex::new(Vec::new())));
    let saw = seen.clone();
    let make = move |who: &u32| {
        let handle = of_make.get().cloned();
        if let Some(handle) = &handle {
            saw.lock().unwrap().push(handle.snapshot().endpoints.len());
            if *who == 2 {
                handle.change(Change::Insert(Member::new(3)));
                // And the one that is just being made, as well.
                handle.change(Change::Remove(1));
            }
        }
        let who = *who;
        service_fn(move |()| {
            if let Some(handle) = &handle {
                handle.drain(&who);
                handle.change(Change::Insert(Member::new(who + 100)));
            }
            ready(Ok::<_, BoxError>(who))
        })
    };
    let set = BalanceService::new(Balance::new(), make).typed().members([1]);
    assert!(own.set(set.handle()).is_ok());
    set.handle().change(Change::set([1, 2]));
    // One has left meanwhile, is missed, and is made anew.
    let keys: Vec<u32> = set.handle().snapshot().endpoints.iter().map(|one| one.key).collect();
    assert_eq!((keys, &*seen.lock().unwrap()), (vec![1, 2], &vec![1, 1, 1]));
    assert!(set.clone().oneshot(()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_a_rest_leaves_others_their_turn() {
    let tight = stream::iter((0_u32..).map(|n| Ok::<_, Infallible>(Change::set([n % 2]))));
    let set = set(Balance::new()).discover(tight);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(set.clone().oneshot(1).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_panics_leaves_the_set_as_it_is() {
    let once = stream::iter([Ok::<_, Infallible>(Change::set([1_u32]))]);
    let set = set(Balance::new())
        .discover(futures_util::StreamExt::chain(once, stream::poll_fn(|_| panic!("as told"))));
    sleep(Duration::from_secs(5)).await;
    assert_eq!(set.clone().oneshot(1).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn discovery_ends_with_who_needs_it() {
    let alive = Arc::new(());
    let held = alive.clone();
    let silent = stream::poll_fn(move |_| {
        let _held = &held;
        Poll::<Option<Result<Change<u32>, Infallible>>>::Pending
    });
    let set = set(Balance::new()).discover(silent);
    let handle = set.handle();
    drop(set);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(Arc::strong_count(&alive), 2, "a handle needs it");
    drop(handle);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_a_call_that_is_dropped() {
    let set = set(Balance::new().max_in_flight(1)).members([HANGS]);
    let handle = set.handle();
    for polls in 0..2 {
        let mut call = tokio_test::task::spawn(set.clone().oneshot(1));
        (0..polls).for_each(|_| assert!(call.poll().is_pending()));
        assert_eq!(in_flight(&handle), polls.min(1));
        drop(call);
        assert_eq!(in_flight(&handle), 0);
    }
    // Dropped while it waits: for one that is not ready, and for anybody.
    for members in [vec![PENDING], vec![]] {
        handle.update(Balance::new().max_in_flight(1).wait_for_endpoints(Duration::from_secs(9)));
        handle.change(Change::set(members));
        let mut call = tokio_test::task::spawn(set.clone().oneshot(1));
        assert!(call.poll().is_pending());
        drop(call);
    }
    handle.change(Change::set([1]));
    assert_eq!(set.clone().oneshot(1).await.unwrap(), 1, "the one place is free");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_anybody_sees_to_it_that_a_broken_one_is_made_anew() {
    let times = Arc::new(AtomicU32::new(0));
    let make =
        move |_: &u32| Server(if times.fetch_add(1, Relaxed) == 0 { BREAKS } else { 7 }, Arc::default());
    let value = Balance::new().wait_for_endpoints(Duration::from_secs(5));
    let set = BalanceService::new(value, make).typed().members([7]);
    assert!(set.clone().oneshot(1).await.is_err());
    assert_eq!(set.clone().oneshot(1).await.unwrap(), 7, "nobody else calls");
}

#[tokio::test(start_paused = true)]
async fn balancers_within_a_balancer_pass_on_what_they_cannot_take() {
    // Nobody; one who is broken; one with an open breaker, as who refuses and gives back.
    let refusing = service_fn(|req: u32| {
        bartizan_core::Unsent::give_back(req);
        ready(Err::<u32, BoxError>("refused".into()))
    });
    for nobody in [true, false] {
        let outer = BalanceService::new(Balance::new().seed(1), move |zone: &u32| {
            let inner = BalanceService::new(Balance::new().seed(1), move |who: &u32| match who {
                9 => tower::util::BoxCloneSyncService::new(refusing),
                _ => tower::util::BoxCloneSyncService::new(Server(*who, Arc::default())),
            });
            let members = match zone {
                1 => vec![1],
                _ if nobody => vec![],
                2 => vec![BREAKS],
                _ => vec![9],
            };
            inner.typed().members(members)
        });
        let outer = outer.typed().members([1, 2, 3]);
        for n in 0..50 {
            assert_eq!(outer.clone().oneshot(n).await.unwrap(), 1, "nobody {nobody}, call {n}");
        }
        assert!(outer.handle().snapshot().moved > 0);
    }
}

#[tokio::test(start_paused = true)]
async fn turns_go_on_while_the_set_changes() {
    let set = set(Balance::new().choice(Choice::round_robin())).members([1, 2]);
    let mut said = BTreeMap::<u32, u32>::new();
    for n in 0..100 {
        set.handle().update(Balance::new().choice(Choice::round_robin()));
        *said.entry(set.clone().oneshot(n).await.unwrap()).or_default() += 1;
    }
    assert_eq!(said, BTreeMap::from([(1, 50), (2, 50)]));
}

#[tokio::test(start_paused = true)]
async fn the_last_one_that_takes_calls_is_not_ejected() {
    let value = Balance::new().panic_threshold(0.0);
    let set = set(value).members([FAILS, BREAKS]);
    for n in 0..20 {
        assert_eq!(set.clone().oneshot(n).await.unwrap_err().to_string(), "ill", "call {n}");
    }
    assert!(set.handle().snapshot().endpoints[0].ejected_for.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_ring_with_one_member_or_none_allowed() {
    let unbound = Choice::RingHash(RingHash::new().bound(f64::INFINITY));
    let one = set(Balance::new().choice(unbound)).members([1]);
    assert_eq!(calls(&one, 10).await, BTreeMap::from([(1, 10)]));
    let all_pass = set(Balance::new().choice(unbound)).members([BREAKS, BREAKS + 100]);
    assert_eq!(calls(&all_pass, 10).await, BTreeMap::from([(BREAKS + 100, 10)]));
    let nobody = set(Balance::new().choice(unbound)).members([PENDING]);
    assert!(tokio_test::task::spawn(nobody.oneshot(1)).poll().is_pending());
}

#[test]
fn a_ring_moves_no_more_than_it_has_to() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let ring = Balance::new().choice(Choice::RingHash(RingHash::new().bound(f64::INFINITY)));
        let set =
            set(ring).hash(|req: &u32| u64::from(*req).wrapping_mul(0x9e37_79b9_7f4a_7c15)).members(0..20);
        let mut before = Vec::new();
        for n in 0..1000 {
            before.push(set.clone().oneshot(n).await.unwrap());
        }
        set.handle().change(Change::Remove(7));
        for (n, before) in (0..).zip(before) {
            let now = set.clone().oneshot(n).await.unwrap();
            assert!(now == before || before == 7, "{n} was at {before} and is at {now}");
        }
    });
}

/// A subscriber that looks at the balancer and changes it, at each of its events.
#[derive(Clone)]
struct Meddler(Arc<OnceLock<Handle<u32>>>, Arc<AtomicU32>);

impl tracing::Subscriber for Meddler {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        if event.metadata().target().starts_with("bartizan_balance") && self.1.fetch_add(1, Relaxed) < 100 {
            if let Some(handle) = self.0.get() {
                let snapshot = handle.snapshot();
                handle.change(Change::Insert(Member::new(snapshot.endpoints.len() as u32)));
                handle.drain(&1);
                for observed in bartizan_core::registry::handles() {
                    let _ = (observed.state(), observed.note());
                    observed.numbers(&mut |_, _| {});
                }
            }
        }
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_may_use_the_handle() {
    let meddler = Meddler(Arc::default(), Arc::default());
    let _guard = tracing::subscriber::set_default(meddler.clone());
    let set = set(Balance::new()).named("meddled").members([0, FAILS]);
    assert!(meddler.0.set(set.handle()).is_ok());
    for n in 0..50 {
        let _ = set.clone().oneshot(n).await;
        advance(Duration::from_secs(1)).await;
    }
    set.handle().change(Change::set([1, 2, BREAKS]));
    for n in 0..50 {
        let _ = set.clone().oneshot(n).await;
        advance(Duration::from_secs(1)).await;
    }
    assert!(meddler.1.load(Relaxed) > 3, "there were events");
}

#[test]
fn a_storm_of_threads_loses_no_count() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let named = format!("storm-{}", std::process::id());
    let set = set(Balance::new().max_in_flight(1000)).named(named).members(0..8);
    let (handle, done) = (set.handle(), Arc::new(AtomicBool::new(false)));
    let changes = {
        let (handle, done) = (handle.clone(), done.clone());
        std::thread::spawn(move || {
            let mut n = 0_u32;
            while !done.load(Relaxed) {
                n = n.wrapping_add(1);
                let key = n % 8;
                match n % 9 {
                    0 => handle.change(Change::set([
                        key,
                        HANGS,
                        PENDING,
                        FAILS,
                        BREAKS,
                        PANICS_LATER,
                        PANICS_READY,
                        key,
                    ])),
                    1 => handle.change(Change::set((0..8).map(Member::new))),
                    2 => drop(handle.eject(&key, Duration::from_micros(50))),
                    3 => drop(handle.drain(&key)),
                    4 => drop(handle.undrain(&key)),
                    5 => drop(handle.pardon(&key)),
                    6 => handle.update(
                        Balance::new().choice(Choice::weighted()).slow_start(Duration::from_micros(9)),
                    ),
                    7 => handle.update(Balance::new().max_in_flight(8).memory(Duration::ZERO)),
                    _ => drop(handle.snapshot()),
                }
            }
        })
    };
    let callers: Vec<_> = (0..8_u32)
        .map(|caller| {
            let (set, runtime) = (set.clone(), runtime.handle().clone());
            std::thread::spawn(move || {
                let _inside = runtime.enter();
                for n in 0..3000 {
                    let call = AssertUnwindSafe(|| {
                        let mut call = tokio_test::task::spawn(set.clone().oneshot(n));
                        let polled = call.poll();
                        // Every third leaves at once.
                        if n % 3 != caller % 3 && polled.is_pending() {
                            let _ = call.poll();
                        }
                    });
                    let _panics_as_told = catch_unwind(call);
                }
            })
        })
        .collect();
    let all_well = callers.into_iter().all(|caller| caller.join().is_ok());
    done.store(true, Relaxed);
    assert!(all_well && changes.join().is_ok());
    handle.update(Balance::new().max_in_flight(1));
    handle.change(Change::set(0..8));
    assert!((0..8).all(|key| handle.undrain(&key) && handle.pardon(&key)));
    assert_eq!(in_flight(&handle), 0);
    for n in 0..100 {
        assert!(runtime.block_on(set.clone().oneshot(n)).is_ok(), "the one place in flight is free");
    }
}

#[test]
fn a_set_that_changes_for_long_holds_on_to_nothing() {
    let alive = Arc::new(());
    let held = alive.clone();
    let make = move |_: &u32| {
        let held = held.clone();
        service_fn(move |(): ()| {
            let _held = &held;
            ready(Ok::<_, BoxError>(()))
        })
    };
    let set = BalanceService::new(Balance::new(), make).typed().named("churned");
    let handle = set.handle();
    let ours = || {
        let handles = bartizan_core::registry::handles();
        handles.iter().filter(|one| one.name().starts_with("churned/")).count()
    };
    for n in 0..100_000_u32 {
        handle.change(Change::set([n, n + 1, n + 2]));
    }
    assert_eq!((Arc::strong_count(&alive), ours()), (2 + 3, 3));
    handle.change(Change::Set(Vec::new()));
    assert_eq!((Arc::strong_count(&alive), ours()), (2, 0));
}
