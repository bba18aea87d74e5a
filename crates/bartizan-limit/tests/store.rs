//! A limit that several processes share, over a store of the test's own.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_core::{Context, Instant, Refused};
use bartizan_limit::{Ask, Asking, KeyedHandle, Limit, LimitLayer, Store, StoreError, Told, Verb};
use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

const MS: Duration = Duration::from_millis(1);
/// One token in 100 ms, five at most.
const TEN: Limit = Limit::per_second(10).burst(5);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mood {
    #[default]
    Well,
    /// It answers after so long.
    Slow(Duration),
    Silent,
    Broken,
}

/// Buckets in memory, which any number of layers share.
#[derive(Clone, Debug, Default)]
struct Memory(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    full: HashMap<(String, u128), Instant>,
    mood: Mood,
    asked: Vec<(String, u128, u32, Verb)>,
}

impl Memory {
    fn behave(&self, mood: Mood) {
        self.0.lock().unwrap().mood = mood;
    }

    /// How often it was asked since the last time that this was.
    fn asked(&self) -> usize {
        std::mem::take(&mut self.0.lock().unwrap().asked).len()
    }

    fn decide(&self, ask: Ask<'_>) -> Told {
        let mut inner = self.0.lock().unwrap();
        let now = Instant::now();
        let full = inner.full.entry((ask.name.to_owned(), ask.bucket)).or_insert(now);
        *full = (*full).max(now);
        let (after, empty) = (*full + ask.interval * ask.cost, now + ask.interval * ask.burst);
        let wait = after.saturating_duration_since(empty);
        match ask.verb {
            Verb::Take if wait.is_zero() => *full = after,
            Verb::Charge => *full = after.min(empty),
            Verb::Take | Verb::Peek => {}
        }
        Told { wait, debt: *full - now }
    }
}

impl Store for Memory {
    fn ask(&self, ask: Ask<'_>) -> Asking {
        let mood = {
            let mut inner = self.0.lock().unwrap();
            inner.asked.push((ask.name.to_owned(), ask.bucket, ask.cost, ask.verb));
            inner.mood
        };
        let told = if mood == Mood::Broken { Told::default() } else { self.decide(ask) };
        Box::pin(async move {
            match mood {
                Mood::Well => Ok(told),
                Mood::Slow(time) => {
                    tokio::time::sleep(time).await;
                    Ok(told)
                }
                Mood::Silent => pending().await,
                Mood::Broken => Err(StoreError::new("broken")),
            }
        })
    }
}

/// A process with a limit by the first word of a request.
fn process(
    limit: Limit,
    store: &Memory,
) -> impl Service<&'static str, Response = &'static str, Error = BoxError, Future: Send> + Clone {
    let key = |req: &&'static str| req.split(' ').next().unwrap();
    let layer = LimitLayer::new(limit).typed().key(key).named("api").store(store.clone());
    layer.layer(service_fn(|req: &'static str| async move { Ok::<_, BoxError>(req) }))
}

/// Asks, and says how long it is to wait.
async fn ask<S>(service: &S, req: &'static str) -> Result<(), Duration>
where
    S: Service<&'static str, Response = &'static str, Error = BoxError> + Clone,
{
    match service.clone().oneshot(req).await {
        Ok(said) => {
            assert_eq!(said, req);
            Ok(())
        }
        Err(error) => Err(error.downcast::<Refused>().unwrap().retry_after().unwrap()),
    }
}

#[tokio::test(start_paused = true)]
async fn processes_share_one_burst_and_one_rate() {
    let store = Memory::default();
    let (a, b) = (process(TEN, &store), process(TEN, &store));
    for service in [&a, &b, &a, &b, &a] {
        assert_eq!(ask(service, "ada").await, Ok(()));
    }
    assert_eq!(ask(&a, "ada").await, Err(100 * MS));
    assert_eq!(ask(&b, "ada").await, Err(100 * MS));
    assert_eq!(ask(&b, "bob").await, Ok(()), "keys are apart");

    tokio::time::advance(100 * MS - Duration::from_nanos(1)).await;
    assert_eq!(ask(&b, "ada").await, Err(Duration::from_nanos(1)));
    tokio::time::advance(Duration::from_nanos(1)).await;
    assert_eq!(ask(&b, "ada").await, Ok(()));
    assert_eq!(ask(&a, "ada").await, Err(100 * MS));
}

#[tokio::test(start_paused = true)]
async fn who_is_over_the_limit_costs_no_round_trip() {
    let store = Memory::default();
    let (a, b) = (process(TEN, &store), process(TEN, &store));
    for _ in 0..5 {
        assert_eq!(ask(&a, "ada").await, Ok(()));
    }
    assert_eq!(store.asked(), 5);
    // What the one has used up, the other has to be told once.
    for _ in 0..100 {
        assert_eq!(ask(&a, "ada").await, Err(100 * MS));
        assert_eq!(ask(&b, "ada").await, Err(100 * MS));
    }
    assert_eq!(store.asked(), 1);
    tokio::time::advance(100 * MS).await;
    assert_eq!(ask(&b, "ada").await, Ok(()));
    for _ in 0..100 {
        assert_eq!(ask(&a, "ada").await, Err(100 * MS));
    }
    assert_eq!(store.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_the_store_refuses_costs_nothing_here() {
    let store = Memory::default();
    let (a, b) = (process(TEN, &store), process(TEN, &store));
    for _ in 0..5 {
        assert_eq!(ask(&a, "ada").await, Ok(()));
    }
    // Five at once have tokens here, and none there.
    store.behave(Mood::Slow(MS));
    let ada = || ask(&b, "ada");
    let (one, two, three, four, five) = tokio::join!(ada(), ada(), ada(), ada(), ada());
    assert!([one, two, three, four, five].iter().all(Result::is_err));
    store.behave(Mood::Well);
    tokio::time::advance(500 * MS).await;
    for _ in 0..5 {
        assert_eq!(ask(&b, "ada").await, Ok(()), "as if it had never asked");
    }
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_each_process_limits_for_itself() {
    for mood in [Mood::Silent, Mood::Broken, Mood::Slow(21 * MS)] {
        let store = Memory::default();
        let (a, b) = (process(TEN, &store), process(TEN, &store));
        store.behave(mood);
        for service in [&a, &b] {
            let begun = Instant::now();
            for _ in 0..5 {
                assert_eq!(ask(service, "ada").await, Ok(()), "{mood:?}");
            }
            // Three have waited for the store, and then nobody has.
            let waited = if mood == Mood::Broken { Duration::ZERO } else { 60 * MS };
            assert_eq!(((Instant::now() - begun), store.asked()), (waited, 3), "{mood:?}");
            assert!(ask(service, "ada").await.is_err());
            assert_eq!(store.asked(), 0);
        }

        // Once a second one asks, for all of them; when there is an answer all do.
        tokio::time::advance(1000 * MS).await;
        assert_eq!(ask(&a, "ada").await, Ok(()));
        assert_eq!(ask(&a, "ada").await, Ok(()));
        assert_eq!(store.asked(), 1);
        store.behave(Mood::Well);
        tokio::time::advance(1000 * MS).await;
        for _ in 0..3 {
            assert_eq!(ask(&a, "cyd").await, Ok(()));
        }
        assert_eq!(store.asked(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn one_late_answer_is_no_outage() {
    let store = Memory::default();
    let a = process(TEN, &store);
    for _ in 0..10 {
        for mood in [Mood::Silent, Mood::Broken, Mood::Slow(19 * MS)] {
            store.behave(mood);
            let _ = ask(&a, "ada").await;
            tokio::time::advance(100 * MS).await;
        }
    }
    assert_eq!(store.asked(), 30);
}

#[tokio::test(start_paused = true)]
async fn who_has_little_time_waits_for_half_of_it() {
    let store = Memory::default();
    let a = process(TEN, &store);
    store.behave(Mood::Slow(6 * MS));
    for _ in 0..5 {
        let begun = Instant::now();
        let context = Context::new().with_deadline(begun + 10 * MS);
        assert_eq!(context.scope(ask(&a, "ada")).await, Ok(()), "what is known here decides");
        assert_eq!((Instant::now() - begun), 5 * MS);
    }
    assert_eq!(store.asked(), 5, "it is no failure of the store");
    let context = Context::new().with_deadline(Instant::now() + 14 * MS);
    tokio::time::advance(500 * MS).await;
    assert_eq!(context.scope(ask(&a, "ada")).await, Ok(()), "past its deadline nobody waits");
    assert_eq!(ask(&a, "bob").await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn who_leaves_while_the_store_is_asked_harms_nobody() {
    let store = Memory::default();
    let a = process(TEN, &store);
    store.behave(Mood::Silent);
    for _ in 0..5 {
        let left = tokio::time::timeout(MS, ask(&a, "ada")).await;
        assert!(left.is_err());
    }
    assert_eq!(store.asked(), 5, "it is no failure of the store");
    store.behave(Mood::Well);
    assert!(ask(&a, "ada").await.is_err(), "the tokens may have been taken");
    tokio::time::advance(500 * MS).await;
    assert_eq!(ask(&a, "ada").await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn costs_exemptions_and_switches_are_those_of_the_layer() {
    let store = Memory::default();
    let layer = LimitLayer::new(TEN).typed().cost(|cost: &u32| *cost).exempt(|cost: &u32| *cost == 9);
    let layer = layer.store(store.clone());
    let handle = layer.handle();
    let service = layer.layer(service_fn(|_: u32| async { Ok::<_, BoxError>(()) }));
    let ask = async |cost: u32| {
        let refused = service.clone().oneshot(cost).await.err()?;
        Some(refused.downcast::<Refused>().unwrap())
    };
    for free in [0, 9] {
        assert_eq!(ask(free).await, None);
    }
    assert_eq!(ask(6).await.unwrap().reason(), "costs more than the burst");
    assert_eq!(store.asked(), 0);
    assert_eq!(ask(3).await, None);
    assert_eq!(ask(3).await.unwrap().retry_after(), Some(100 * MS));
    assert_eq!(ask(2).await, None);

    handle.update(TEN.enabled(false));
    store.asked();
    assert_eq!((ask(5).await, store.asked()), (None, 0));
    // In the store nothing has come back, and here the limit begins with a full bucket.
    handle.update(TEN);
    assert_eq!((ask(1).await.unwrap().retry_after(), store.asked()), (Some(100 * MS), 1));

    handle.update(TEN.shadow(1.0));
    assert_eq!((ask(1).await, handle.snapshot().shadowed), (None, 1));
}

#[tokio::test(start_paused = true)]
async fn a_key_is_not_told_and_is_the_same_for_all() {
    let store = Memory::default();
    for _ in 0..2 {
        let failures = KeyedHandle::<str>::new(TEN).named("log-in").store(store.clone());
        failures.charge("ada@example.org", 1).await;
        failures.charge(&String::from("ada@example.org"), 1).await;
        failures.charge("bob@example.org", 1).await;
    }
    let asked: Vec<_> =
        store.0.lock().unwrap().asked.iter().map(|asked| (asked.0.clone(), asked.1)).collect();
    assert!(asked.iter().all(|(name, _)| name == "log-in"));
    let [ada, same, bob] = [0, 1, 2].map(|at| asked[at].1);
    assert_eq!(ada, same);
    assert_ne!(ada, bob);
    assert_eq!(asked[..3], asked[3..], "another process says the same");
}

#[tokio::test(start_paused = true)]
async fn a_handle_asks_and_charges_for_all_processes() {
    let store = Memory::default();
    let limits = || KeyedHandle::<str>::new(TEN).store(store.clone());
    let (a, b) = (limits(), limits());
    let wait = |said: Result<(), Refused>| said.map_err(|refused| refused.retry_after().unwrap());
    a.charge("ada", 2).await;
    assert_eq!(wait(b.peek("ada", 3).await), Ok(()));
    assert_eq!(wait(b.peek("ada", 4).await), Err(100 * MS));
    assert_eq!(wait(b.check("ada", 3).await), Ok(()));
    assert_eq!(wait(a.check("ada", 1).await), Err(100 * MS));
    a.charge("ada", u32::MAX).await;
    assert_eq!(wait(b.peek("ada", 5).await), Err(500 * MS));
    assert_eq!(a.here().remaining("ada"), 0);
    store.asked();
    for _ in 0..3 {
        assert!(a.peek("ada", 1).await.is_err() && b.check("ada", 1).await.is_err());
    }
    assert_eq!(store.asked(), 0);

    // Of nothing nobody has to be asked.
    assert_eq!((wait(a.check("ada", 0).await), wait(a.peek("ada", 0).await)), (Ok(()), Ok(())));
    a.charge("ada", 0).await;
    assert_eq!(store.asked(), 0);
    store.behave(Mood::Broken);
    for _ in 0..3 {
        assert_eq!(wait(a.peek("bob", 5).await), Ok(()));
    }
    assert!(a.is_alone() && !b.is_alone());
    a.charge("bob", 1).await;
    assert_eq!(a.here().remaining("bob"), 4);
}

#[tokio::test(start_paused = true)]
async fn keys_without_a_bucket_here_are_decided_by_the_store() {
    let store = Memory::default();
    let one = std::num::NonZeroUsize::MIN;
    let limits = KeyedHandle::<str>::new(TEN).max_keys(one).store(store.clone());
    assert!(limits.check("ada", 5).await.is_ok());
    // All others share a bucket here, which is soon empty; each has its own in the store.
    for key in ["bob", "cyd", "dan"] {
        assert!(limits.check(key, 5).await.is_ok(), "{key}");
        assert!(limits.check(key, 1).await.is_err(), "{key}");
        assert!(limits.peek(key, 1).await.is_err(), "{key}");
        assert_eq!(limits.check(key, 6).await.unwrap_err().reason(), "costs more than the burst");
    }
    // Without the store they have to make do with it.
    store.behave(Mood::Broken);
    assert!(limits.check("eve", 1).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_limit_is_told_with_the_next_question() {
    let store = Memory::default();
    let limits = KeyedHandle::<str>::new(TEN).store(store.clone());
    assert!(limits.check("ada", 5).await.is_ok());
    limits.here().update(Limit::per_second(1));
    tokio::time::advance(500 * MS).await;
    assert_eq!(limits.check("ada", 1).await.unwrap_err().retry_after(), Some(500 * MS));
    assert_eq!(limits.check("bob", 2).await.unwrap_err().reason(), "costs more than the burst");
}
