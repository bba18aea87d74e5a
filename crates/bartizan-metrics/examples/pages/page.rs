//! The page of all metrics.

use super::elsewhere::{SETS, Theirs};
use super::query::metric;
use bartizan_metrics::{BUCKETS, LAYERS, LayerMetrics, Metric};
use std::fmt::Write as _;

const HEAD: &str = "# All metrics

What every named layer tells the facade `metrics`, made of the table in `src/table.rs` by `cargo run -p bartizan-metrics --example pages`.

Names have dots, no unit and no `_total`: that is how OpenTelemetry writes them. What exports them to Prometheus adds both and has `_` for each dot;
with `PrometheusBuilder::with_recommended_naming(true)` the counter `bartizan.breaker.trips` is `bartizan_breaker_trips_total`, and the histogram
`bartizan.meter.duration` is `bartizan_meter_duration_seconds`. Where the conventions have a metric of their own, the last section says so: they go by
route or method, which a layer does not know.

Labels are a closed set. Each metric has the label `name`: what the layer was named, up to a slash, so that `stock/10.0.0.1:80` and
`stock/10.0.0.2:80` add up to `stock`. Of a kind of layer a thousand names have series of their own; all others are `other`. A metric that is told
by something has one label more, with the values that stand here. None has a key, an address, a path or a user.

Of several layers of one name, counters and most gauges add up; ratios and lengths of time show the largest, and the admitted share the smallest. A gauge
that there is nothing to say for yet has no series.

Endpoints of a balancer have no metrics of their own, as there is no end to their names; the balancer tells how many are in which state. A layer of
one's own that is in the registry has none either.

`bartizan.layers` is the number of named layers that are alive, endpoints among them, and has no labels.
";

pub(crate) fn page() -> String {
    let mut page = HEAD.to_owned();
    let [first, .., last] = BUCKETS;
    let _ = writeln!(
        page,
        "\nLengths of time are counted in buckets of which each is a quarter wider than the one before. `bartizan_metrics::BUCKETS`, from {first} s to {last} s, \
         are ends of them: with these bounds nothing is counted on the wrong side."
    );
    LAYERS.iter().for_each(|table| layer(&mut page, table));
    elsewhere(&mut page);
    page
}

fn layer(page: &mut String, table: &LayerMetrics) {
    let _ = writeln!(page, "\n## `{}`\n", table.layer());
    let states: Vec<String> = table.states().iter().map(|state| format!("`{state}`")).collect();
    let _ = writeln!(
        page,
        "`bartizan.{}.state`: how many layers of a name are in which `state`, of {}.\n",
        table.layer(),
        states.join(", ")
    );
    page.push_str("| metric | kind | unit | labels | says | elsewhere |\n|---|---|---|---|---|---|\n");
    for metric in table.metrics() {
        let _ = writeln!(
            page,
            "| `{}` | {} | `{}` | {} | {} | {} |",
            metric.name(),
            metric.kind(),
            metric.unit(),
            labels(metric),
            metric.meaning(),
            theirs(metric.name()),
        );
    }
}

fn labels(metric: &Metric) -> String {
    let values: Vec<String> =
        metric.numbers().filter_map(|(_, value)| Some(format!("`{}`", value?))).collect();
    metric.label().map_or_else(String::new, |label| format!("`{label}`: {}", values.join(", ")))
}

/// What other sets call it.
fn theirs(ours: &str) -> String {
    let of = |set: &'static str, metrics: &'static [Theirs]| {
        let same = metrics.iter().filter(|theirs| theirs.ours.contains(&ours));
        let names: Vec<String> = same.map(|theirs| format!("`{}`", theirs.name)).collect();
        (!names.is_empty()).then(|| format!("{set} {}", names.join(", ")))
    };
    SETS.iter().filter_map(|set| of(set.name, set.metrics)).collect::<Vec<_>>().join("; ")
}

fn elsewhere(page: &mut String) {
    page.push_str("\n## Elsewhere\n\nWhat other sets have, and which of ours says it.\n");
    for set in SETS {
        let _ = writeln!(page, "\n### {}\n\n{}.\n\n| theirs | ours |\n|---|---|", set.name, set.of);
        for theirs in set.metrics {
            let ours: Vec<String> = theirs.ours.iter().map(|ours| format!("`{}`", known(ours))).collect();
            let between = if ours.is_empty() || theirs.note.is_empty() { "" } else { "; " };
            let _ = writeln!(page, "| `{}` | {}{between}{} |", theirs.name, ours.join(", "), theirs.note);
        }
    }
}

/// A metric that there is.
fn known(name: &'static str) -> &'static str {
    let is_state = |table: &LayerMetrics| name == format!("bartizan.{}.state", table.layer());
    if LAYERS.iter().any(is_state) { name } else { metric(name).name() }
}
