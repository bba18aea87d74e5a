//! What the registry sees of breakers, and may do to them.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_breaker::{Breaker, BreakerLayer, Consecutive, Mode, Pause, Ratio, State};
use bartizan_core::registry::{UNKNOWN_SETTING, UNKNOWN_VERB};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use seen::{Seen, find, numbers, settings};
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::time::sleep;
use tower::{Layer, Service, ServiceExt, service_fn};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Never trips by itself, pauses for exactly 5 s and 10 s, recovers at once.
const CALM: Breaker = Breaker::new().without_evidence().pause(Pause::new().jitter(0.0)).ramp(Duration::ZERO);
const ROW: Breaker = CALM.consecutive(Consecutive::new(3));

/// A status, and after how long it is answered.
type Answer = (u16, Duration);

async fn answer(req: Request<Answer>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let (status, after) = *req.body();
    sleep(after).await;
    Ok(Response::builder().status(status).body(Empty::new()).unwrap())
}

async fn call<A, S>(layer: &BreakerLayer<A>, status: u16, after: Duration) -> u16
where
    BreakerLayer<A>: Layer<Inner, Service = S>,
    S: Service<Request<Answer>, Error = Infallible>,
    S::Response: Status,
{
    layer.layer(inner()).oneshot(Request::new((status, after))).await.unwrap().status()
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<Empty<Bytes>>, Infallible>> + Send>>;
type Inner = tower::util::ServiceFn<fn(Request<Answer>) -> Answering>;

fn inner() -> Inner {
    service_fn(|req| Box::pin(answer(req)))
}

trait Status {
    fn status(&self) -> u16;
}

impl<B> Status for Response<B> {
    fn status(&self) -> u16 {
        Self::status(self).as_u16()
    }
}

#[tokio::test(start_paused = true)]
async fn every_number_tells_something() {
    let mut seen = Seen::default();

    let layer = BreakerLayer::new(CALM.evidence(Default::default()).ramp(10 * SECOND)).named("evidence");
    assert_eq!(call(&layer, 500, 10 * MS).await, 500);
    seen.look("evidence");
    while layer.handle().state() == State::Closed {
        call(&layer, 500, 10 * MS).await;
    }
    assert_eq!(call(&layer, 200, MS).await, 503, "open");
    seen.look("evidence");
    sleep(5 * SECOND).await;
    let mut probe = pin!(call(&layer, 500, MS));
    assert!(probe.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(call(&layer, 200, MS).await, 503, "probing");
    probe.await;
    assert_eq!(call(&layer, 200, MS).await, 503, "open after a probe that failed");
    sleep(10 * SECOND).await;
    for status in [200, 200] {
        assert_eq!(call(&layer, status, MS).await, 200, "the last probe, and who comes after it");
    }
    sleep(SECOND).await;
    let mut crowd = Vec::new();
    for _ in 0..50 {
        crowd.push(call(&layer, 200, Duration::ZERO).await);
    }
    assert!(crowd.contains(&200) && crowd.contains(&503), "recovering: {crowd:?}");
    seen.look("evidence");
    layer.handle().force_open_for(SECOND);
    assert_eq!(call(&layer, 200, MS).await, 503, "forced");
    seen.look("evidence");

    for (name, breaker, status, after) in [
        ("row", ROW, 500, MS),
        ("failure ratio", CALM.failure_ratio(Ratio::new(0.5)), 500, MS),
        ("slow ratio", CALM.slow_ratio(100 * MS, Ratio::new(0.5)), 200, 100 * MS),
        ("throttled", CALM.failure_ratio(Ratio::new(0.5)), 429, MS),
        ("start", CALM.start_open(true), 200, MS),
        ("shadow", ROW.mode(Mode::Shadow), 500, MS),
    ] {
        let layer = BreakerLayer::new(breaker).named(name);
        for _ in 0..30 {
            call(&layer, status, after).await;
        }
        assert_eq!(layer.handle().state(), State::Open, "{name}");
        seen.look(name);
    }

    let layer = BreakerLayer::new(ROW).key(|head| head.uri.path().to_owned()).named("keyed");
    for _ in 0..3 {
        call(&layer, 500, MS).await;
    }
    seen.look("keyed");
    let dead: Vec<_> = seen.0.iter().filter(|(_, most)| **most <= 0.0).collect();
    assert!(dead.is_empty(), "{dead:?}");
}

#[tokio::test(start_paused = true)]
async fn sums_are_those_of_their_parts_and_those_evicted_count() {
    let one = std::num::NonZeroUsize::MIN;
    let layer = BreakerLayer::new(ROW).typed().key(|n: &i32| *n).max_keys(one).named("sums");
    let fails = |_| std::future::ready(Err::<i32, tower::BoxError>("no".into()));
    for n in [1, 1, 1, 1] {
        layer.layer(service_fn(fails)).oneshot(n).await.unwrap_err();
    }
    layer.handle().reset();
    let works = |n| std::future::ready(Ok::<i32, tower::BoxError>(n));
    for n in [2; 5] {
        assert_eq!(layer.layer(service_fn(works)).oneshot(n).await.unwrap(), 2);
    }
    assert!(layer.handle().get(&1).is_none(), "evicted");
    let numbers = numbers(&*find("sums"));
    let family = |what: &str| {
        let parts = numbers.iter().filter(|(name, _)| name.starts_with(&format!("{what}_")));
        (numbers[what], parts.map(|(_, number)| number).sum::<f64>())
    };
    assert_eq!((family("refused"), family("trips")), ((1.0, 1.0), (1.0, 1.0)));
    assert_eq!((numbers["successes"], numbers["failures"], numbers["keys"]), (5.0, 3.0, 1.0));
}

#[tokio::test(start_paused = true)]
async fn verbs_do_what_the_handle_does() {
    let layer = BreakerLayer::new(ROW).named("verbs");
    let (seen, handle) = (find("verbs"), layer.handle());
    let mode = || handle.snapshot().mode;
    for (verb, state, ought) in [
        ("shadow", "closed", Mode::Shadow),
        ("resume", "closed", Mode::Normal),
        ("disable", "disabled", Mode::Disabled),
        ("force_open", "forced open", Mode::ForcedOpen),
        ("reset", "closed", Mode::Normal),
    ] {
        assert!(seen.verbs().contains(&verb));
        assert_eq!((seen.act(verb), seen.state(), mode()), (Ok(()), state, ought), "{verb}");
    }
    let no = seen.act("half_open").unwrap_err();
    assert_eq!(no.to_string(), "half_open is for a circuit that is open");
    handle.force_open_for(SECOND);
    assert_eq!((seen.act("half_open"), seen.state()), (Ok(()), "half-open"));
    assert_eq!(seen.act("explode"), Err(UNKNOWN_VERB));

    let layer = BreakerLayer::new(ROW).typed().key(|n: &i32| *n).named("all keys");
    let (seen, handle) = (find("all keys"), layer.handle());
    let works = |n| std::future::ready(Ok::<i32, tower::BoxError>(n));
    let call = async |n| layer.layer(service_fn(works)).oneshot(n).await.is_ok();
    assert!(call(1).await);
    assert_eq!(seen.act("force_open"), Ok(()));
    assert!(!call(1).await && !call(2).await, "those that are there, and those to come");
    handle.update(ROW);
    assert!(!call(3).await, "the mode is none of the settings");
    assert_eq!((seen.act("reset"), seen.act("resume")), (Ok(()), Ok(())));
    assert!(call(1).await && call(2).await && call(4).await);
    assert!(!seen.verbs().contains(&"half_open"));
}

#[tokio::test(start_paused = true)]
async fn settings_are_those_of_the_rules_that_are_on() {
    let all =
        ROW.evidence(Default::default()).failure_ratio(Ratio::new(0.5)).slow_ratio(SECOND, Ratio::new(0.5));
    let layer = BreakerLayer::new(all).named("settings");
    let keyed = BreakerLayer::new(all).key(|head| head.uri.path().to_owned()).named("keyed settings");
    for (name, value) in [
        ("open_seconds", 2.5),
        ("max_open_seconds", 30.0),
        ("probes", 3.0),
        ("probe_lease_seconds", 1.0),
        ("ramp_seconds", 0.0),
        ("evidence_threshold", 20.0),
        ("failure_ratio", 0.25),
        ("slow_ratio", 0.75),
        ("slow_after_seconds", 0.5),
        ("consecutive", 9.0),
    ] {
        for seen in [find("settings"), find("keyed settings")] {
            let mut ought = settings(&*seen);
            assert!(seen.set(name, -1.0).is_err() && seen.set(name, f64::NAN).is_err());
            assert_eq!(settings(&*seen), ought, "what is wrong changes nothing");
            assert!(ought.insert(name, value).is_some(), "{name} is shown");
            assert_eq!((seen.set(name, value), settings(&*seen)), (Ok(()), ought));
        }
    }
    assert_eq!(layer.handle().value().most_probes(), 3);
    assert_eq!(
        (keyed.handle().value(), find("settings").set("burst", 1.0)),
        (layer.handle().value(), Err(UNKNOWN_SETTING))
    );
    let longer = find("settings").set("max_open_seconds", 1.0).unwrap_err();
    assert_eq!(longer.to_string(), "max_open_for must not be shorter than open_for");

    let listed = CALM.pause(Pause::new().list(&[SECOND]));
    let _layer = BreakerLayer::new(listed).named("listed");
    let seen = find("listed");
    assert_eq!(
        settings(&*seen).into_keys().collect::<Vec<_>>(),
        ["probe_lease_seconds", "probes", "ramp_seconds"]
    );
    assert_eq!(seen.set("open_seconds", 1.0), Err(UNKNOWN_SETTING));
}
