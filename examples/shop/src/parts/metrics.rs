//! `/metrics`: every named layer of this process, its heartbeats and what it has used, as Prometheus reads it. Services that share a
//! process tell the same.

mod exposition;

use axum::response::IntoResponse;
use bartizan::metrics::{BUCKETS, publish};
use http::header::CONTENT_TYPE;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::sync::LazyLock;

/// What is told to whom, and by it how.
static PROMETHEUS: LazyLock<PrometheusHandle> = LazyLock::new(|| {
    let builder = PrometheusBuilder::new().with_recommended_naming(true);
    let builder = builder.set_buckets_for_metric(Matcher::Prefix("bartizan".into()), &BUCKETS);
    let recorder = builder.and_then(PrometheusBuilder::install_recorder);
    recorder.expect("there are buckets, and this is the only recorder")
});

/// The format of the answer.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the layers have counted until now.
pub async fn scrape() -> impl IntoResponse {
    let prometheus = &*PROMETHEUS;
    publish();
    prometheus.run_upkeep();
    ([(CONTENT_TYPE, TEXT)], prometheus.render() + &exposition::text())
}
