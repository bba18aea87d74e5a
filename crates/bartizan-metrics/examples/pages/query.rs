use bartizan_metrics::{Kind, LAYERS, LayerMetrics, Metric};

/// The metric of a name.
pub(crate) fn metric(name: &str) -> &'static Metric {
    let mut all = LAYERS.iter().flat_map(LayerMetrics::metrics);
    all.find(|metric| metric.name() == name).unwrap_or_else(|| panic!("{name} is in no table"))
}

/// The series of a metric in Prometheus, of these values of its label if any are named, of which each must be in the table.
pub(crate) fn series(name: &str, values: &[&str]) -> String {
    let metric = metric(name);
    for value in values {
        let is_known = metric.numbers().any(|(_, known)| known == Some(value));
        assert!(is_known, "{name} is never {value}");
    }
    format!("{}{}", metric.prometheus(), selector(metric.label().unwrap_or_default(), values))
}

/// The gauge of a layer's states, of those that are named.
pub(crate) fn state(layer: &str, states: &[&str]) -> String {
    let table = LAYERS.iter().find(|table| table.layer() == layer);
    let table = table.unwrap_or_else(|| panic!("{layer} is no layer"));
    for state in states {
        assert!(table.states().contains(state), "{layer} is never {state}");
    }
    format!("bartizan_{layer}_state{}", selector("state", states))
}

fn selector(label: &str, values: &[&str]) -> String {
    match values {
        [] => String::new(),
        [one] => format!(r#"{{{label}="{one}"}}"#),
        many => format!(r#"{{{label}=~"{}"}}"#, many.join("|")),
    }
}

/// How much more of it comes in a second, over all values of its own label.
pub(crate) fn rate(name: &str, values: &[&str], over: &str) -> String {
    assert_eq!(metric(name).kind(), Kind::Counter, "{name}");
    let rate = format!("rate({}[{over}])", series(name, values));
    match metric(name).label() {
        Some(label) if values.len() != 1 => format!("sum without ({label}) ({rate})"),
        _ => rate,
    }
}

/// The length of time that so large a share stays below.
pub(crate) fn quantile(quantile: f64, name: &str, over: &str) -> String {
    assert_eq!(metric(name).kind(), Kind::Histogram, "{name}");
    format!("histogram_quantile({quantile}, rate({}_bucket[{over}]))", metric(name).prometheus())
}
