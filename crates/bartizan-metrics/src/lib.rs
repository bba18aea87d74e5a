//! Every named layer of a process as metrics, through the facade `metrics`.
//!
//! ```
//! use axum::{Router, routing::get};
//! use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let prometheus = PrometheusBuilder::new()
//!     .with_recommended_naming(true)
//!     .set_buckets_for_metric(Matcher::Prefix("bartizan".into()), &bartizan_metrics::BUCKETS)?
//!     .install_recorder()?;
//! let scrape = move || {
//!     bartizan_metrics::publish();
//!     std::future::ready(prometheus.render())
//! };
//! let app: Router = Router::new().route("/metrics", get(scrape));
//! # drop(app);
//! # Ok(())
//! # }
//! ```
//!
//! A layer with a name is in the [registry](bartizan_core::registry), and counts for its handle whether anybody looks or not. [`publish`] looks:
//! before each scrape, or every few seconds by [`every`]. On the way of a request nothing is added, and no layer knows of a recorder.
//!
//! What there is, with kind, unit, labels and meaning, stands on [one page](docs::metrics), made of the table [`LAYERS`]; so are the rules for
//! Prometheus in `docs/alerts.yml`, each with what to do, and the Grafana dashboard in `docs/dashboard.json`.
//!
//! # Labels
//!
//! Every metric has the label `name`, what the layer was named up to a slash; some have one more, of which the values are in the table. No key, address,
//! path, header or user is in any. Of a kind of layer, a thousand names have series of their own, and all further ones are `other`.
//!
//! # What is shared
//!
//! One state for the process, as the recorder and the registry are: what was told so far.

mod buckets;
mod group;
mod heard;
mod metric;
mod publish;
mod publisher;
mod table;

pub use buckets::BUCKETS;
pub use metric::{Kind, LayerMetrics, Many, Metric, Unit};
pub use publish::{describe, every, publish};
pub use table::LAYERS;

/// Pages that belong to no single item.
pub mod docs {
    #[doc = include_str!("../docs/metrics.md")]
    pub mod metrics {}
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
