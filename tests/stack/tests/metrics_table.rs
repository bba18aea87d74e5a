//! The table of metrics has a row for every number of every layer that there is, and none for a number that there is not.
#![allow(clippy::unwrap_used, reason = "what helps a test is one")]

use bartizan_balance::{Balance, BalanceLayer, Member};
use bartizan_breaker::{Breaker, BreakerLayer, Ratio};
use bartizan_core::registry::{self, Observed};
use bartizan_core::{Budget, Purse};
use bartizan_deadline::{Deadline, DeadlineLayer};
use bartizan_fallback::{Fallback, FallbackLayer, Stale, StaleLayer};
use bartizan_fault::{FaultLayer, Faults};
use bartizan_hedge::{Hedge, HedgeLayer};
use bartizan_limit::{Ask, Asking, Limit, LimitLayer, Store, StoreError};
use bartizan_meter::{Meter, MeterLayer};
use bartizan_metrics::{BUCKETS, Kind, LAYERS, LayerMetrics, publish};
use bartizan_policy::Policy;
use bartizan_retry::{Retry, RetryLayer};
use bartizan_shed::{Backlog, Shed, ShedLayer, Throttle, ThrottleLayer};
use bartizan_trace::{Trace, TraceLayer};
use http::Uri;
use metrics_exporter_prometheus::PrometheusBuilder;
use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tower::{BoxError, Layer, ServiceBuilder, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Broken;

impl Store for Broken {
    fn ask(&self, _: Ask<'_>) -> Asking {
        Box::pin(async { Err(StoreError::new("broken")) })
    }
}

/// Every kind of layer with a name, in each of the shapes in which it shows other numbers. They are gone with what is returned.
fn house() -> Vec<Box<dyn Any>> {
    let keyed = Breaker::new();
    let keyed = BreakerLayer::new(keyed).key(|head| head.uri.authority().cloned()).named("keyed");
    let balance = BalanceLayer::new(Balance::new())
        .named("one")
        .members([Member::new(Uri::from_static("http://127.0.0.1:1"))]);
    let limit = || LimitLayer::new(Limit::per_second(1));
    vec![
        Box::new(balance),
        Box::new(keyed),
        Box::new(Purse::new(Budget::new()).named("one")),
        Box::new(FallbackLayer::new(Fallback::new()).named("one")),
        Box::new(StaleLayer::new(Stale::new()).named("one")),
        Box::new(FaultLayer::new(Faults::new()).named("one")),
        Box::new(limit().named("one")),
        Box::new(limit().key(|head| head.uri.path().to_owned()).named("keyed")),
        Box::new(limit().named("stored").store(Broken)),
        Box::new(MeterLayer::new(Meter::new()).named("one")),
        Box::new(Policy::empty().named("one")),
        Box::new(RetryLayer::new(Retry::new()).named("one")),
        Box::new(ShedLayer::new(Shed::new().cpu(0.9)).named("one")),
        Box::new(ShedLayer::new(Shed::fixed(1)).named("fixed").backlog(Backlog::new(1))),
        Box::new(ThrottleLayer::new(Throttle::new()).named("one")),
        Box::new(TraceLayer::new(Trace::new()).named("one")),
    ]
}

/// Layers that show some of their numbers only when they have seen calls, and have seen enough.
async fn lived_in() -> Vec<Box<dyn Any>> {
    let ratio = Ratio::new(0.5);
    let breaker =
        BreakerLayer::new(Breaker::new().failure_ratio(ratio).slow_ratio(SECOND, ratio)).named("one");
    let deadline = DeadlineLayer::new(Deadline::new(SECOND).learn(true)).named("one");
    let hedge = HedgeLayer::new(Hedge::new()).named("one");
    let echo = service_fn(|n: u32| async move {
        tokio::task::yield_now().await;
        Ok::<_, BoxError>(n)
    });
    let stack = ServiceBuilder::new()
        .layer(deadline.clone().typed())
        .layer(hedge.clone().typed(|n: &u32| Some(*n)))
        .layer(breaker.clone().typed())
        .service(echo);
    for n in 0..200 {
        stack.clone().oneshot(n).await.unwrap();
    }
    breaker.handle().force_open_for(SECOND);
    // The second waits for the first.
    let waiting =
        LimitLayer::new(Limit::per_second(100).burst(1)).named("waiting").typed().waiting(SECOND, 1);
    let echo = waiting.layer(echo);
    for n in 0..2 {
        echo.clone().oneshot(n).await.unwrap();
    }
    vec![Box::new(breaker), Box::new(deadline), Box::new(hedge), Box::new(waiting)]
}

type Names = BTreeSet<(&'static str, &'static str)>;

/// The numbers and times that handles show, each with its layer.
fn shown(handles: &[Arc<dyn Observed>]) -> (Names, Names) {
    let (mut numbers, mut times) = (Names::new(), Names::new());
    for handle in handles.iter().filter(|handle| handle.layer() != "endpoint") {
        handle.numbers(&mut |number, _| _ = numbers.insert((handle.layer(), number)));
        handle.times(&mut |time, _| _ = times.insert((handle.layer(), time)));
    }
    (numbers, times)
}

/// The numbers that the table has a row for, or times.
fn rows(is_time: bool) -> Names {
    let of = |table: &'static LayerMetrics| {
        let metrics =
            table.metrics().iter().filter(move |metric| (metric.kind() == Kind::Histogram) == is_time);
        let numbers = metrics.flat_map(|metric| metric.numbers().map(|(number, _)| number));
        numbers.map(|number| (table.layer(), number))
    };
    LAYERS.iter().flat_map(of).collect()
}

#[tokio::test]
async fn each_state_is_in_the_table() {
    let _house = (house(), lived_in().await);
    for handle in registry::handles() {
        let table = LAYERS.iter().find(|table| table.layer() == handle.layer());
        let is_known = table.is_none_or(|table| table.states().contains(&handle.state()));
        assert!(is_known, "{} is {}", handle.layer(), handle.state());
    }
    let layers: BTreeSet<_> = registry::handles().iter().map(|handle| handle.layer()).collect();
    assert!(LAYERS.iter().all(|table| layers.contains(table.layer())));
}

#[tokio::test]
async fn each_number_has_a_row_and_each_row_a_number() {
    let _house = (house(), lived_in().await);
    let (numbers, times) = shown(&registry::handles());
    let left_out: Names = LAYERS
        .iter()
        .flat_map(|table| table.left_out().iter().map(|number| (table.layer(), *number)))
        .collect();
    let told: Names = rows(false).union(&left_out).copied().collect();
    let missing: Vec<_> = numbers.difference(&told).chain(times.difference(&rows(true))).copied().collect();
    let (no_number, no_time) = (told.difference(&numbers), rows(true));
    let dead: Vec<_> = no_number.chain(no_time.difference(&times)).copied().collect();
    assert!(
        missing.is_empty() && dead.is_empty(),
        "without a row: {missing:#?}\nwithout a number: {dead:#?}"
    );
}

#[tokio::test]
async fn each_metric_is_told_under_the_name_that_rules_and_dashboard_have() {
    let _house = (house(), lived_in().await);
    let builder = PrometheusBuilder::new().with_recommended_naming(true);
    let recorder = builder.set_buckets(&BUCKETS).unwrap().build_recorder();
    metrics::with_local_recorder(&recorder, publish);
    let page = recorder.handle().render();
    for table in LAYERS {
        let metrics =
            table.metrics().iter().map(|metric| format!("{} {}", metric.prometheus(), metric.kind()));
        for metric in metrics.chain([format!("bartizan_{}_state gauge", table.layer())]) {
            assert!(page.contains(&format!("# TYPE {metric}\n")), "{metric} is not in\n{page}");
        }
    }
    // What an endpoint is called is in no label.
    assert!(!page.contains("127.0.0.1"), "{page}");
    assert_eq!(
        page.lines().filter(|line| line.starts_with("# HELP")).count(),
        page.matches("# TYPE").count()
    );
}
