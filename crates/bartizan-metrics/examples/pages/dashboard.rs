//! A dashboard for Grafana: what matters first, and then a row for each kind of layer with a panel for each metric.

use super::query::metric;
use bartizan_metrics::{Kind, LAYERS, LayerMetrics, Many, Metric, Unit};
use serde_json::{Value, json};

/// Metrics that stand in the panel of another, as the one is a part or a bound of the other.
const WITH: &[(&str, &[&str])] = &[
    ("bartizan.balance.endpoints", &["bartizan.balance.usable"]),
    ("bartizan.breaker.keys", &["bartizan.breaker.keys_open", "bartizan.breaker.max_keys"]),
    ("bartizan.budget.tokens", &["bartizan.budget.cap"]),
    ("bartizan.hedge.tokens", &["bartizan.hedge.cap"]),
    ("bartizan.limit.keys", &["bartizan.limit.max_keys"]),
    ("bartizan.limit.remaining", &["bartizan.limit.burst"]),
    ("bartizan.retry.tokens", &["bartizan.retry.cap"]),
    ("bartizan.shed.in_flight", &["bartizan.shed.limit"]),
    ("bartizan.shed.queued", &["bartizan.shed.queue_places"]),
];

/// What is shown first.
const FIRST: &[(&str, &[&str])] = &[
    ("Calls per second", &["bartizan.meter.calls"]),
    ("How long calls take", &["bartizan.meter.duration"]),
    ("In flight", &["bartizan.meter.in_flight"]),
    (
        "Refused per second",
        &[
            "bartizan.breaker.refusals",
            "bartizan.shed.refusals",
            "bartizan.limit.refusals",
            "bartizan.deadline.refusals",
            "bartizan.balance.refusals",
            "bartizan.throttle.refusals",
        ],
    ),
    ("Attempts and copies per second", &["bartizan.retry.attempts", "bartizan.hedge.hedges"]),
    ("Answered in place of a failure", &["bartizan.fallback.failures", "bartizan.stale.served"]),
];

const WIDTH: u64 = 8;
const HEIGHT: u64 = 8;
const COLUMNS: u64 = 24;

pub(crate) fn dashboard() -> Value {
    let (mut panels, mut at) = (Vec::new(), 0);
    let first = FIRST.iter().map(|(title, names)| {
        let metrics: Vec<_> = names.iter().map(|name| metric(name)).collect();
        panel(title, "", &metrics)
    });
    at = place(&mut panels, first.chain([states("breaker")]).collect(), at);
    for table in LAYERS {
        let mut inside = Vec::new();
        place(&mut inside, of_layer(table), at + 1);
        panels.push(json!({
            "type": "row",
            "title": table.layer(),
            "collapsed": true,
            "gridPos": { "x": 0, "y": at, "w": COLUMNS, "h": 1 },
            "panels": inside,
        }));
        at += 1;
    }
    panels.iter_mut().enumerate().for_each(|(id, panel)| panel["id"] = json!(1000 * (id + 1)));
    json!({
        "title": "Bartizan",
        "uid": "bartizan",
        "description": "What every named layer tells, made of the table of metrics.",
        "tags": ["bartizan"],
        "schemaVersion": 39,
        "version": 1,
        "editable": true,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": { "from": "now-30m", "to": "now" },
        "templating": { "list": [
            { "name": "source", "label": "Source", "type": "datasource", "query": "prometheus" },
            variable("job", "Job", "label_values(bartizan_layers, job)"),
            variable("name", "Name", r#"label_values({__name__=~"bartizan_.+_state", job=~"$job"}, name)"#),
        ] },
        "panels": panels,
    })
}

fn variable(name: &str, label: &str, query: &str) -> Value {
    json!({
        "name": name, "label": label, "type": "query", "query": query, "refresh": 2, "sort": 1,
        "multi": true, "includeAll": true, "allValue": ".*", "current": { "text": "All", "value": "$__all" },
        "datasource": source(),
    })
}

fn source() -> Value {
    json!({ "type": "prometheus", "uid": "${source}" })
}

/// Puts panels side by side, from a height on, and returns the height behind them.
fn place(into: &mut Vec<Value>, panels: Vec<Value>, mut y: u64) -> u64 {
    let mut x = 0;
    for (id, mut panel) in panels.into_iter().enumerate() {
        if x + WIDTH > COLUMNS {
            (x, y) = (0, y + HEIGHT);
        }
        panel["gridPos"] = json!({ "x": x, "y": y, "w": WIDTH, "h": HEIGHT });
        panel["id"] = json!(1 + id as u64 + 100 * y);
        x += WIDTH;
        into.push(panel);
    }
    y + HEIGHT
}

fn of_layer(table: &'static LayerMetrics) -> Vec<Value> {
    let is_guest = |name: &str| WITH.iter().any(|(_, guests)| guests.contains(&name));
    let mut panels = vec![states(table.layer())];
    for host in table.metrics().iter().filter(|metric| !is_guest(metric.name())) {
        let guests = WITH.iter().filter(|(name, _)| *name == host.name()).flat_map(|(_, guests)| *guests);
        let metrics: Vec<_> = [host].into_iter().chain(guests.map(|name| metric(name))).collect();
        let says: Vec<_> = metrics.iter().map(|metric| metric.meaning()).collect();
        panels.push(panel(&title(host), &says.join(" "), &metrics));
    }
    panels
}

/// What comes behind the layer in a metric's name.
fn title(metric: &Metric) -> String {
    let words = metric.name().splitn(3, '.').nth(2).unwrap_or_default().replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn states(layer: &str) -> Value {
    let query = format!("sum by (name, state) (bartizan_{layer}_state{{{}}}) > 0", chosen());
    json!({
        "type": "state-timeline",
        "title": format!("State: {layer}"),
        "description": "Which states layers of a name are in, and how many.",
        "datasource": source(),
        "targets": [target('A', &query, "{{name}}: {{state}}")],
        "fieldConfig": { "defaults": { "color": { "mode": "palette-classic" }, "custom": { "fillOpacity": 70 } }, "overrides": [] },
        "options": { "showValue": "never", "mergeValues": true, "legend": { "showLegend": false } },
    })
}

fn panel(title: &str, says: &str, metrics: &[&Metric]) -> Value {
    let mut targets = Vec::new();
    for metric in metrics {
        // One that is alone need not be told from others.
        let own = if metrics.len() > 1 {
            format!(" {}", metric.name().trim_start_matches("bartizan."))
        } else {
            String::new()
        };
        for (query, legend) in queries(metric) {
            let letter = char::from(b'A' + u8::try_from(targets.len()).unwrap_or_default());
            targets.push(target(letter, &query, &format!("{{{{name}}}}{own}{legend}")));
        }
    }
    json!({
        "type": "timeseries",
        "title": title,
        "description": says,
        "datasource": source(),
        "targets": targets,
        "fieldConfig": {
            "defaults": { "unit": unit(metrics[0]), "min": 0, "custom": { "fillOpacity": 8, "showPoints": "never", "lineWidth": 1 } },
            "overrides": [],
        },
        "options": { "tooltip": { "mode": "multi", "sort": "desc" }, "legend": { "displayMode": "list", "placement": "bottom" } },
    })
}

fn target(letter: char, query: &str, legend: &str) -> Value {
    json!({ "refId": letter.to_string(), "expr": query, "legendFormat": legend, "datasource": source() })
}

/// What of the series is looked at.
fn chosen() -> &'static str {
    r#"job=~"$job", name=~"$name""#
}

/// The queries of a metric, each with what its legend says behind the name.
fn queries(metric: &Metric) -> Vec<(String, String)> {
    let (name, chosen) = (metric.prometheus(), chosen());
    let by = metric.label().map_or_else(|| "name".to_owned(), |label| format!("name, {label}"));
    let legend = metric.label().map_or_else(String::new, |label| format!(" {{{{{label}}}}}"));
    match metric.kind() {
        Kind::Counter => {
            vec![(format!("sum by ({by}) (rate({name}{{{chosen}}}[$__rate_interval]))"), legend)]
        }
        Kind::Gauge(many) => {
            let many = match many {
                Many::Sum => "sum",
                Many::Most => "max",
                Many::Least => "min",
            };
            vec![(format!("{many} by ({by}) ({name}{{{chosen}}})"), legend)]
        }
        Kind::Histogram => [0.5, 0.95, 0.99]
            .map(|quantile| {
                let rate = format!("sum by (name, le) (rate({name}_bucket{{{chosen}}}[$__rate_interval]))");
                (format!("histogram_quantile({quantile}, {rate})"), format!(" p{}", quantile * 100.0))
            })
            .into(),
    }
}

fn unit(metric: &Metric) -> &'static str {
    match (metric.unit(), metric.kind()) {
        (Unit::Seconds, _) => "s",
        (Unit::Bytes, _) => "bytes",
        (Unit::Of(_), Kind::Counter) => "ops",
        (Unit::Of(_) | Unit::Ratio, _) => "short",
    }
}
