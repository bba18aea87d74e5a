//! The page of all metrics, the alert rules and the dashboard are those that the table makes.

#[path = "../examples/pages/main.rs"]
mod pages;

use bartizan_metrics::{Kind, LAYERS, LayerMetrics};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

const HINT: &str = "write it anew: cargo run -p bartizan-metrics --example pages";

#[test]
fn they_are_the_ones_that_are_shipped() {
    for (name, text) in pages::files() {
        let shipped = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name));
        let shipped = shipped.unwrap_or_else(|error| panic!("{name}: {error}; {HINT}"));
        // What serializes JSON may sort its keys or not, by a feature that others ask for.
        let is_same = match name.ends_with(".json") {
            true => serde_json::from_str::<Value>(&shipped).ok() == Some(pages::dashboard::dashboard()),
            false => shipped == text,
        };
        assert!(is_same, "{name}: {HINT}");
    }
}

fn is_snake(word: &str) -> bool {
    let is_part =
        |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    word.starts_with(|c: char| c.is_ascii_lowercase()) && word.split('_').all(is_part)
}

#[test]
fn names_are_such_as_opentelemetry_has_them() {
    let mut names = BTreeSet::new();
    for (table, metric) in
        LAYERS.iter().flat_map(|table| table.metrics().iter().map(move |metric| (table, metric)))
    {
        let name = metric.name();
        assert!(names.insert(name), "{name} is there twice");
        let rest =
            name.strip_prefix(&format!("bartizan.{}.", table.layer())).unwrap_or_else(|| panic!("{name}"));
        assert!(is_snake(rest), "{name}");
        // What exports adds these.
        let last = name.rsplit(['.', '_']).next().unwrap_or_default();
        assert!(!["seconds", "bytes", "total", "count", "sum", "bucket", "ms"].contains(&last), "{name}");
        assert!(metric.meaning().ends_with('.'), "{name}: {}", metric.meaning());
    }
}

#[test]
fn labels_are_a_closed_set() {
    let known = ["cause", "kind", "outcome", "priority", "reason", "rule", "state"];
    for metric in LAYERS.iter().flat_map(LayerMetrics::metrics) {
        assert!(metric.label().is_none_or(|label| known.contains(&label)), "{}", metric.name());
        let values: Vec<_> = metric.numbers().filter_map(|(_, value)| value).collect();
        assert!(values.iter().all(|value| is_snake(value)), "{}: {values:?}", metric.name());
        assert_eq!(values.len(), values.iter().collect::<BTreeSet<_>>().len(), "{}", metric.name());
    }
}

#[test]
fn every_metric_is_in_the_dashboard() {
    let dashboard = pages::dashboard::dashboard().to_string();
    for metric in LAYERS.iter().flat_map(LayerMetrics::metrics) {
        let bucket = if metric.kind() == Kind::Histogram { "_bucket" } else { "" };
        assert!(dashboard.contains(&format!("{}{bucket}{{", metric.prometheus())), "{}", metric.name());
    }
}
