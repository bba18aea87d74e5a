//! What the layers that admit tell `tracing`: each change of state, mode or settings once, and never a key.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_breaker::{Breaker, BreakerLayer, Consecutive, Mode};
use bartizan_deadline::DeadlineLayer;
use bartizan_limit::{KeyedHandle, Limit, LimitLayer};
use bartizan_shed::{Backlog, Shed, ShedLayer, Throttle, ThrottleLayer};
use std::fmt::{Debug, Write};
use std::future::{pending, ready};
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;
use tower::{BoxError, Layer, ServiceExt, service_fn};
use tracing::field::{Field, Visit};
use tracing::subscriber::{DefaultGuard, set_default};
use tracing::{Event, Level};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{self, SubscriberExt};

const SECOND: Duration = Duration::from_secs(1);
const SECRET: &str = "hunter2";

/// All that is told on this thread, a line each.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let name = if field.name() == "message" { "" } else { &format!("{field}=") };
        write!(self.0, " {name}{value:?}").unwrap();
    }
}

impl<S: tracing::Subscriber> layer::Layer<S> for Told {
    fn on_event(&self, event: &Event<'_>, _: layer::Context<'_, S>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        assert!(!line.0.contains(SECRET), "{}", line.0);
        if *event.metadata().level() < Level::TRACE {
            self.0.lock().unwrap().push(line.0);
        }
    }
}

impl Told {
    fn listen() -> (Self, DefaultGuard) {
        let told = Self::default();
        let guard = set_default(Registry::default().with(told.clone()));
        (told, guard)
    }

    /// The lines since this was asked last.
    fn lines(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_breaker_with_keys() {
    let (told, _guard) = Told::listen();
    let value = Breaker::new().without_evidence().consecutive(Consecutive::new(2)).seed(1);
    let layer = BreakerLayer::new(value).typed().key(|key: &&'static str| *key).named("tenants");
    let handle = layer.handle();
    let fails = |_| ready(Err::<(), BoxError>("no".into()));
    for key in ["first", SECRET, SECRET, SECRET] {
        layer.layer(service_fn(fails)).oneshot(key).await.unwrap_err();
    }
    let [tripped] = <[String; 1]>::try_from(told.lines()).unwrap();
    for part in ["WARN circuit changed", "tenants", "circuit=1 ", "\"open\"", "failures in a row"] {
        assert!(tripped.contains(part), "{part} is not in {tripped}");
    }
    assert_eq!(handle.all()[1].0, SECRET, "by its number it is found");

    handle.set_mode(Mode::Shadow);
    handle.set_mode(Mode::Shadow);
    assert_eq!(told.lines(), ["INFO breaker changed its mode name=\"tenants\" mode=shadow"]);
    let shorter = value.open_for(SECOND);
    handle.update(shorter);
    handle.update(shorter);
    let [settings] = <[String; 1]>::try_from(told.lines()).unwrap();
    assert!(
        settings.contains("breaker has new settings") && settings.contains("open 1 s to 60 s"),
        "{settings}"
    );
    handle.get(&SECRET).unwrap().disable();
    let [disabled] = <[String; 1]>::try_from(told.lines()).unwrap();
    assert!(disabled.contains("from=\"open\" to=\"disabled\""), "{disabled}");
}

#[tokio::test(start_paused = true)]
async fn of_a_queue_that_is_full_and_of_new_settings() {
    let (told, _guard) = Told::listen();
    let layer = ShedLayer::new(Shed::fixed(1).seed(1)).typed().fair_by(|key: &&'static str| *key);
    let layer = layer.named("gateway").backlog(Backlog::new(1));
    let handle = layer.handle();
    let hang = |_| pending::<Result<(), BoxError>>();
    let mut calls = [(); 3].map(|()| Box::pin(layer.layer(service_fn(hang)).oneshot(SECRET)));
    let mut cx = Context::from_waker(Waker::noop());
    let polled = calls.each_mut().map(|call| call.as_mut().poll(&mut cx).is_pending());
    assert_eq!(polled, [true, true, false]);
    assert_eq!(told.lines(), ["WARN shedding begins name=\"gateway\" in_flight=1 why=\"queue full\""]);
    drop(calls);
    tokio::time::advance(60 * SECOND).await;
    assert!(!handle.snapshot().saturated);
    assert_eq!(told.lines(), ["INFO shedding ends name=\"gateway\" in_flight=0"]);

    handle.shadow();
    handle.shadow();
    handle.update(handle.value().seed(1));
    let settings = "settings=shadow, at most 1 in flight, seed 1";
    assert_eq!(told.lines(), [format!("INFO shed has new settings name=\"gateway\" mode=shadow {settings}")]);

    let handle = ThrottleLayer::new(Throttle::new()).named("payment").handle();
    handle.disable();
    handle.disable();
    assert_eq!(told.lines(), ["INFO throttle has new settings name=\"payment\" mode=off settings=off"]);
}

#[tokio::test(start_paused = true)]
async fn of_limits_and_deadlines() {
    let (told, _guard) = Told::listen();
    let limits = KeyedHandle::<str>::new(Limit::per_second(1)).named("addresses");
    let limits = limits.max_keys(NonZeroUsize::new(8).unwrap());
    let secrets: Vec<String> = (0..20).map(|n| format!("{SECRET} {n}")).collect();
    secrets.iter().for_each(|key| _ = limits.check(key.as_str(), 1));
    assert_eq!(
        told.lines(),
        ["WARN new keys of a limit find no room, and share one bucket name=\"addresses\" keys=8"]
    );
    tokio::time::advance(9 * SECOND).await;
    assert_eq!((limits.keys(), limits.keys()), (0, 0));
    assert_eq!(told.lines(), ["INFO new keys of a limit find room again name=\"addresses\" keys=0"]);
    limits.update(Limit::per_second(2));
    limits.update(Limit::per_second(2));
    assert_eq!(
        told.lines(),
        ["INFO limit has new settings name=\"addresses\" settings=2 per second, burst 2"]
    );
    let handle = LimitLayer::new(Limit::per_second(1)).named("all").handle();
    handle.disable();
    handle.check(9).unwrap();
    assert_eq!(told.lines(), ["INFO limit has new settings name=\"all\" settings=off"]);

    let layer = DeadlineLayer::new(SECOND).typed().named("checkout");
    let handle = layer.handle();
    handle.disable();
    handle.enable();
    let switched =
        |state| format!("INFO switched by its handle layer=\"deadline\" name=\"checkout\" state=\"{state}\"");
    assert_eq!(told.lines(), [switched("disabled"), switched("enabled")]);
    handle.update(2 * SECOND);
    handle.update(2 * SECOND);
    let [settings] = <[String; 1]>::try_from(told.lines()).unwrap();
    assert!(settings.contains("deadline has new settings"), "{settings}");
    let call = pin!(layer.layer(service_fn(|()| pending::<Result<(), BoxError>>())).oneshot(()));
    call.await.unwrap_err();
    assert!(told.lines().is_empty(), "a call that is ended is no event");
}
