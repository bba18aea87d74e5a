//! What the registry sees of limits, and may do to them.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_core::Refused;
use bartizan_core::registry::{UNKNOWN_SETTING, UNKNOWN_VERB};
use bartizan_limit::{Ask, Asking, KeyedHandle, Limit, LimitLayer, Store, StoreError};
use seen::{Seen, find, settings, times};
use std::future::{Ready, ready};
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::advance;
use tower::util::ServiceFn;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

type Call = Pin<Box<dyn Future<Output = Result<u32, BoxError>>>>;
type Works = ServiceFn<fn(u32) -> Ready<Result<u32, BoxError>>>;

/// Begins a call, and looks at it once.
fn begin<L>(layer: &L, n: u32) -> (Call, Poll<Result<u32, &'static str>>)
where
    L: Layer<Works, Service: Service<u32, Response = u32, Error = BoxError, Future: 'static> + 'static>,
{
    let mut call: Call = Box::pin(layer.layer(service_fn((|n| ready(Ok(n))) as fn(u32) -> _)).oneshot(n));
    let seen = look_again(&mut call);
    (call, seen)
}

fn look_again(call: &mut Call) -> Poll<Result<u32, &'static str>> {
    let seen = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    seen.map_err(|error| error.downcast::<Refused>().unwrap().reason())
}

#[derive(Debug)]
struct Broken;

impl Store for Broken {
    fn ask(&self, _: Ask<'_>) -> Asking {
        Box::pin(ready(Err(StoreError::new("broken"))))
    }
}

#[tokio::test(start_paused = true)]
async fn every_number_tells_something() {
    let mut seen = Seen::default();
    let layer = LimitLayer::new(Limit::per_second(5).burst(1)).typed().named("line").waiting(SECOND, 1);
    seen.look("line");
    assert_eq!(begin(&layer, 0).1, Poll::Ready(Ok(0)));
    let (mut waits, pending) = begin(&layer, 1);
    assert!(pending.is_pending());
    assert_eq!(begin(&layer, 2).1, Poll::Ready(Err("too many waiting")));
    seen.look("line");
    advance(200 * MS).await;
    assert_eq!(look_again(&mut waits), Poll::Ready(Ok(1)));
    drop((waits, begin(&layer, 3)));
    let waited = times(&*find("line"), "queue_seconds");
    assert_eq!((waited.count(), layer.handle().snapshot().waiting), (2, 0));
    assert!(waited.quantile(1.0).unwrap() >= 200 * MS && waited.quantile(0.5).unwrap() < MS);

    let layer = LimitLayer::new(Limit::per_second(1)).typed().named("hurry").waiting(MS, 1);
    assert_eq!([0, 1].map(|n| begin(&layer, n).1)[1], Poll::Ready(Err("would wait too long")));
    layer.handle().check(2).unwrap_err();
    seen.look("hurry");
    let refusals = layer.handle().snapshot().refusals;
    assert_eq!((refusals.total(), refusals.too_long, refusals.costly), (2, 1, 1));

    let layer = LimitLayer::new(Limit::per_second(1).shadow(1.0)).typed().named("shadow");
    assert_eq!([0, 1].map(|n| begin(&layer, n).1), [Poll::Ready(Ok(0)), Poll::Ready(Ok(1))]);
    seen.look("shadow");

    let keyed = KeyedHandle::<u32>::new(Limit::per_second(1)).max_keys(NonZeroUsize::MIN).named("keyed");
    assert_eq!([1, 1, 2].map(|key| keyed.check(&key, 1).is_ok()), [true, false, true]);
    seen.look("keyed");
    assert_eq!(find("keyed").state(), "crowded");

    let stored = KeyedHandle::<u32>::new(Limit::per_second(9)).named("stored").store(Broken);
    for key in 0..3 {
        stored.check(&key, 1).await.unwrap();
    }
    seen.look("stored");
    seen.assert_alive();
}

#[tokio::test(start_paused = true)]
async fn verbs_do_what_the_handle_does() {
    let layer = LimitLayer::new(Limit::per_second(2)).typed().named("verbs");
    let (seen, handle) = (find("verbs"), layer.handle());
    for (verb, state, left) in
        [("drain", "spent", 0), ("reset", "open", 2), ("disable", "off", 2), ("enable", "open", 2)]
    {
        assert!(seen.verbs().contains(&verb));
        assert_eq!((seen.act(verb), seen.state()), (Ok(()), state), "{verb}");
        assert_eq!(handle.snapshot().remaining, left, "{verb}");
    }
    assert_eq!(seen.act("force_open"), Err(UNKNOWN_VERB));

    let keyed = KeyedHandle::<u32>::new(Limit::per_second(1)).named("all keys");
    let seen = find("all keys");
    assert_eq!([1, 1].map(|key| keyed.check(&key, 1).is_ok()), [true, false]);
    assert_eq!((seen.act("reset"), keyed.remaining(&1)), (Ok(()), 1));
    assert_eq!((seen.act("disable"), seen.state()), (Ok(()), "off"));
    assert!([1, 1, 1].iter().all(|key| keyed.check(key, 1).is_ok()));
    assert_eq!((seen.act("enable"), seen.state()), (Ok(()), "open"));
    assert_eq!(seen.act("drain"), Err(UNKNOWN_VERB), "of one key alone");
}

#[tokio::test(start_paused = true)]
async fn settings_change_the_limit_and_keep_the_rest_of_it() {
    let limit = Limit::per_second(5).burst(7).seed(1);
    let layer = LimitLayer::new(limit).typed().named("settings");
    let keyed = KeyedHandle::<u32>::new(limit).named("keyed settings");
    for (name, value) in [("per_second", 0.5), ("burst", 3.0), ("shadow", 0.25)] {
        for seen in [find("settings"), find("keyed settings")] {
            let mut ought = settings(&*seen);
            assert!(seen.set(name, -1.0).is_err() && seen.set(name, f64::NAN).is_err());
            assert_eq!(settings(&*seen), ought, "what is wrong changes nothing");
            assert!(ought.insert(name, value).is_some(), "{name} is shown");
            assert_eq!((seen.set(name, value), settings(&*seen)), (Ok(()), ought));
        }
    }
    let ought = Limit::per(1, 2 * SECOND).burst(3).shadow(0.25).seed(1);
    assert_eq!([layer.handle().snapshot().limit, keyed.snapshot().limit], [ought; 2]);
    assert_eq!(find("settings").set("probes", 1.0), Err(UNKNOWN_SETTING));
}
