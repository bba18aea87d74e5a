//! What the registry sees of layers that shed and that throttle, and may do to them.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_core::registry::{UNKNOWN_SETTING, UNKNOWN_VERB};
use bartizan_core::{Context as Ambient, Instant, Priority, Refused};
use bartizan_shed::{Backlog, Mode, Shares, Shed, ShedLayer, Throttle, ThrottleLayer};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use seen::{Seen, find, settings, times};
use std::convert::Infallible;
use std::future::{Pending, pending, ready};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::{advance, sleep};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const LEVELS: [Priority; 3] = [Priority::CRITICAL, Priority::NORMAL, Priority::SHEDDABLE];

type Call = Pin<Box<dyn Future<Output = Result<(), BoxError>>>>;
type Hang = tower::util::ServiceFn<fn(()) -> Pending<Result<(), BoxError>>>;

/// Begins a call that will not be answered, or says why it was refused.
fn begin<L>(layer: &L) -> Result<Call, &'static str>
where
    L: Layer<Hang, Service: Service<(), Response = (), Error = BoxError, Future: 'static> + 'static>,
{
    let mut call: Call = Box::pin(layer.layer(service_fn((|()| pending()) as fn(()) -> _)).oneshot(()));
    look_again(&mut call).map(|()| call)
}

fn look_again(call: &mut Call) -> Result<(), &'static str> {
    match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => Ok(()),
        Poll::Ready(out) => Err(out.unwrap_err().downcast::<Refused>().unwrap().reason()),
    }
}

/// Never ready.
struct Never;

impl Service<()> for Never {
    type Response = ();
    type Error = BoxError;
    type Future = std::future::Ready<Result<(), BoxError>>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Pending
    }
    fn call(&mut self, (): ()) -> Self::Future {
        ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn every_number_of_a_fixed_limit_tells_something() {
    let mut seen = Seen::default();
    let layer = ShedLayer::new(Shed::fixed(1)).typed().named("limit");
    let _held = begin(&layer).unwrap();
    for level in LEVELS {
        let out = Ambient::new().with_priority(level).enter(|| begin(&layer));
        assert_eq!(out.err(), Some("over the limit"));
    }
    seen.look("limit");

    let layer = ShedLayer::new(Shed::fixed(1).mode(Mode::Shadow)).typed().named("in shadow");
    let _held: Vec<Call> = [Priority::NORMAL]
        .iter()
        .chain(&LEVELS)
        .map(|level| Ambient::new().with_priority(*level).enter(|| begin(&layer)).unwrap())
        .collect();
    seen.look("in shadow");
    assert_eq!(find("in shadow").note().as_deref(), Some("it would shed; in shadow, nothing is refused"));
    assert_eq!(layer.handle().snapshot().refused.total(), 0);

    let layer = ShedLayer::new(Shed::fixed(2)).typed().class(|(): &()| 0, Shares::new([0.5, 0.5]));
    let layer = layer.named("share");
    let _held = (begin(&layer).unwrap(), begin(&layer).unwrap());
    assert_eq!(begin(&layer).err(), Some("over its share"));
    seen.look("share");

    let layer = ShedLayer::new(Shed::fixed(2)).typed().named("not ready");
    layer.layer(Never).ready().await.unwrap().call(()).await.unwrap_err();
    seen.look("not ready");

    let backlog = Backlog::new(1).target(Duration::MAX).interval(Duration::MAX);
    let layer = ShedLayer::new(Shed::fixed(1)).typed().named("queue").backlog(backlog);
    let _held = begin(&layer).unwrap();
    let mut waits = begin(&layer).unwrap();
    assert_eq!(begin(&layer).err(), Some("queue full"));
    advance(500 * MS).await;
    seen.look("queue");
    assert_eq!(layer.handle().snapshot().queue_age, 500 * MS);
    advance(500 * MS).await;
    assert_eq!(look_again(&mut waits), Err("waited too long"));
    let hurried = Ambient::new().with_deadline(Instant::now() + 10 * MS);
    let mut waits = hurried.enter(|| begin(&layer)).unwrap();
    advance(20 * MS).await;
    assert_eq!(look_again(&mut waits), Err("would miss its deadline"));
    drop(begin(&layer).unwrap());
    seen.look("queue");
    let waited = times(&*find("queue"), "queue_seconds");
    assert_eq!((waited.count(), layer.handle().snapshot().queue_age), (3, Duration::ZERO));
    assert!(waited.quantile(1.0).unwrap() >= SECOND);

    let others = ["refused_wait", "refused_ceiling", "refused_cpu"];
    for name in others {
        assert_eq!(seen.0.remove(name), Some(0.0), "{name} is of an adaptive limit");
    }
    seen.assert_alive();
}

#[tokio::test(start_paused = true)]
async fn every_number_of_an_adaptive_limit_tells_something() {
    let mut seen = Seen::default();
    let layer = ShedLayer::new(Shed::new()).typed().named("adaptive");
    for _ in 0..100 {
        let work = |()| async {
            sleep(10 * MS).await;
            Ok::<_, BoxError>(())
        };
        layer.layer(service_fn(work)).oneshot(()).await.unwrap();
    }
    let mut held = Vec::new();
    let why = loop {
        match begin(&layer) {
            Ok(call) => held.push(call),
            Err(why) => break why,
        }
        assert!(held.len() < 100, "all are admitted");
    };
    assert_eq!(why, "predicted wait");
    seen.look("adaptive");
    drop(held);

    let layer = ShedLayer::new(Shed::new().ceiling(1.0, SECOND)).typed().named("ceiling");
    let mut held = Vec::new();
    let why = loop {
        match begin(&layer) {
            Ok(call) => held.push(call),
            Err(why) => break why,
        }
        assert!(held.len() < 100, "all are admitted");
        advance(1100 * MS).await;
    };
    assert_eq!(why, "over the ceiling");
    seen.look("ceiling");

    if cfg!(target_os = "linux") {
        let layer = ShedLayer::new(Shed::new().cpu(f64::MIN_POSITIVE)).typed().named("cpu");
        let hurry = Ambient::new().with_priority(Priority::SHEDDABLE);
        let mut looks = 0..100_000_u32;
        while hurry.enter(|| begin(&layer)).is_ok() {
            // Works until the machine has noticed.
            std::hint::black_box((0..100_000_u64).fold(0, |sum, n| sum ^ std::hint::black_box(n)));
            assert!(looks.next().is_some(), "this process uses no time");
            advance(250 * MS).await;
        }
        seen.look("cpu");
    } else {
        seen.0.remove("refused_cpu");
    }
    seen.0.retain(|name, _| {
        ["throughput", "service_seconds", "predicted_wait_seconds", "cpu"].contains(name)
            || ["refused_wait", "refused_ceiling", "refused_cpu"].contains(name)
    });
    assert!(seen.0.len() >= 5);
    seen.assert_alive();
}

#[tokio::test(start_paused = true)]
async fn every_number_of_a_throttle_tells_something() {
    let answer = |_: Request<()>| {
        let busy = Response::builder().status(503).body(Empty::<Bytes>::new()).unwrap();
        ready(Ok::<_, Infallible>(busy))
    };
    let fine = |_: Request<()>| ready(Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())));
    let mut seen = Seen::default();
    for (name, mode) in [("throttle", Mode::Normal), ("throttle in shadow", Mode::Shadow)] {
        let layer = ThrottleLayer::new(Throttle::new().seed(1).mode(mode)).named(name);
        layer.layer(service_fn(fine)).oneshot(Request::new(())).await.unwrap();
        for _ in 0..100 {
            layer.layer(service_fn(answer)).oneshot(Request::new(())).await.unwrap();
        }
        seen.look(name);
    }
    seen.assert_alive();
}

#[tokio::test(start_paused = true)]
async fn verbs_do_what_the_handle_does() {
    let layer = ShedLayer::new(Shed::fixed(1)).typed().named("verbs");
    let (seen, handle) = (find("verbs"), layer.handle());
    let _held = begin(&layer).unwrap();
    assert!(begin(&layer).is_err());
    for (verb, state, admits) in
        [("shadow", "shadow", true), ("disable", "disabled", true), ("resume", "shedding", false)]
    {
        assert!(seen.verbs().contains(&verb));
        assert_eq!((seen.act(verb), seen.state(), begin(&layer).is_ok()), (Ok(()), state, admits));
    }
    assert_eq!((seen.act("reset"), seen.state()), (Ok(()), "admitting"));
    assert_eq!((seen.act("half_open"), handle.value()), (Err(UNKNOWN_VERB), Shed::fixed(1)));

    let layer = ThrottleLayer::new(Throttle::new()).named("throttle verbs");
    let (seen, handle) = (find("throttle verbs"), layer.handle());
    for (verb, mode) in [("shadow", Mode::Shadow), ("disable", Mode::Disabled), ("resume", Mode::Normal)] {
        assert!(seen.verbs().contains(&verb));
        assert_eq!((seen.act(verb), handle.value().in_mode()), (Ok(()), mode));
    }
    assert_eq!((seen.act("reset"), seen.act("drain")), (Ok(()), Err(UNKNOWN_VERB)));
}

#[tokio::test(start_paused = true)]
async fn settings_are_those_that_the_limit_has() {
    let fixed = ShedLayer::new(Shed::fixed(1)).typed().named("fixed settings");
    let adaptive = Shed::new().ceiling(2.0, SECOND).cpu(0.9);
    let _adaptive = ShedLayer::new(adaptive).named("adaptive settings");
    let _throttle = ThrottleLayer::new(Throttle::new()).named("throttle settings");
    for (name, setting, value) in [
        ("fixed settings", "limit", 2.0),
        ("fixed settings", "retry_after_seconds", 0.0),
        ("adaptive settings", "critical", 0.75),
        ("adaptive settings", "normal", 0.5),
        ("adaptive settings", "sheddable", 0.25),
        ("adaptive settings", "assumed_deadline_seconds", 0.5),
        ("adaptive settings", "min_in_flight", 2.0),
        ("adaptive settings", "max_in_flight", 64.0),
        ("adaptive settings", "ceiling", 1.5),
        ("adaptive settings", "cpu", 0.75),
        ("adaptive settings", "retry_after_seconds", 4.0),
        ("throttle settings", "k", 1.5),
        ("throttle settings", "max_rejection", 0.5),
        ("throttle settings", "aggression", 2.0),
        ("throttle settings", "min_requests", 0.0),
        ("throttle settings", "window_seconds", 30.0),
    ] {
        let seen = find(name);
        let mut ought = settings(&*seen);
        assert!(seen.set(setting, -1.0).is_err() && seen.set(setting, f64::NAN).is_err());
        assert_eq!(settings(&*seen), ought, "what is wrong changes nothing");
        assert!(ought.insert(setting, value).is_some(), "{setting} of {name} is shown");
        assert_eq!((seen.set(setting, value), settings(&*seen)), (Ok(()), ought));
    }
    for (name, setting) in [
        ("fixed settings", "critical"),
        ("fixed settings", "cpu"),
        ("adaptive settings", "limit"),
        ("throttle settings", "limit"),
    ] {
        assert_eq!(find(name).set(setting, 0.5), Err(UNKNOWN_SETTING), "{setting} of {name}");
    }
    let _held = (begin(&fixed).unwrap(), begin(&fixed).unwrap());
    assert!(begin(&fixed).is_err(), "the limit is the new one");
}
