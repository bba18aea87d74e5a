//! Our client stack with names and a meter, while Prometheus asks for its metrics.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use bartizan_breaker::{Breaker, BreakerLayer};
use bartizan_deadline::DeadlineLayer;
use bartizan_fallback::{Fallback, FallbackLayer};
use bartizan_hedge::HedgeLayer;
use bartizan_meter::{Meter, MeterLayer};
use bartizan_retry::RetryLayer;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    ground::{BoxError, Echo},
    ours::{
        again::{HedgeSettings, RetrySettings},
        balance::{BalanceSettings, balance},
    },
};

const NAME: &str = "n10";

/// Meter, fallback, deadline, retry, hedge and balancer, and around each endpoint a breaker and the time-out of an attempt, all with names.
pub(crate) fn stack(
    settings: BalanceSettings,
    endpoints: usize,
    timeout: Duration,
) -> impl Service<u64, Response = u64, Error = BoxError> {
    let each = move |endpoint: usize| {
        let name = format!("{NAME}/{endpoint}");
        let attempt = DeadlineLayer::new(timeout).named(name.clone()).typed().layer(Echo);
        BreakerLayer::new(Breaker::new()).named(name).typed().layer(attempt)
    };
    let copy = |request: &u64| Some(*request);
    let balanced = balance(settings, endpoints, each).named(NAME);
    let hedged = HedgeLayer::new(HedgeSettings::new()).named(NAME).typed(copy).layer(balanced);
    let retried = RetryLayer::new(RetrySettings::new()).named(NAME).typed(copy).layer(hedged);
    let bounded = DeadlineLayer::new(timeout).named(NAME).typed().layer(retried);
    let fallback = FallbackLayer::new(Fallback::new()).named(NAME).typed(|_: &u64| true).with(|_| Ok(7));
    MeterLayer::new(Meter::new()).named(NAME).typed().layer(fallback.layer(bounded))
}

/// A thread that publishes and reads all metrics again and again, until this is dropped.
pub(crate) struct Scrapes {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// How long it waits between two: far less than any Prometheus.
const PAUSE: Duration = Duration::from_millis(10);

impl Scrapes {
    /// Installs the recorder, unless it is, and begins.
    pub(crate) fn begin() -> Self {
        static PROMETHEUS: OnceLock<PrometheusHandle> = OnceLock::new();
        let prometheus = PROMETHEUS.get_or_init(|| {
            PrometheusBuilder::new()
                .with_recommended_naming(true)
                .set_buckets_for_metric(Matcher::Prefix("bartizan".into()), &bartizan_metrics::BUCKETS)
                .and_then(PrometheusBuilder::install_recorder)
                .expect("nobody else installs one")
        });
        let over = Arc::new(AtomicBool::new(false));
        let is_over = over.clone();
        let thread = thread::spawn(move || {
            while !is_over.load(Relaxed) {
                bartizan_metrics::publish();
                std::hint::black_box(prometheus.render());
                thread::park_timeout(PAUSE);
            }
        });
        Self { over, thread: Some(thread) }
    }
}

impl Drop for Scrapes {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It says itself why it panicked, if it did.
            _ = thread.join();
        }
    }
}
