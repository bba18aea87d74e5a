//! The report of a load as a page: its figures are those of the JSON, from which it is drawn.

use super::plot::{Line, bars, lines};
use crate::parts::failure::Failure;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const STYLE: &str = "<style>:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:800px;margin:2em auto;padding:0 1em}\
svg{width:100%;margin:1em 0}svg text{font:12px system-ui,sans-serif;fill:currentColor}svg .title{font-size:15px;font-weight:600}\
svg .unit{font-size:12px;font-weight:400}.grid{stroke:currentColor;stroke-opacity:.15}.line{fill:none;stroke-width:2;stroke-linecap:round}\
table{border-collapse:collapse;margin:1em 0;font-variant-numeric:tabular-nums}th,td{padding:2px 10px;text-align:right;border-bottom:1px solid #8884}\
th:first-child{text-align:left}.wide{overflow-x:auto}</style>";

/// Makes the folder.
///
/// # Errors
///
/// When it cannot be made.
pub(super) fn prepare(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|why| failed(folder, &why))
}

/// Writes `report.html` and `report.json`.
///
/// # Errors
///
/// When they cannot be written.
pub(super) fn write(folder: &Path, told: &Value) -> Result<(), Failure> {
    let json = format!("{told:#}\n");
    let written = fs::write(folder.join("report.json"), json)
        .and_then(|()| fs::write(folder.join("report.html"), page(told)));
    written.map_err(|why| failed(folder, &why))
}

fn failed(folder: &Path, why: &std::io::Error) -> Failure {
    Failure::new(format!("the report cannot be written to {}: {why}.", folder.display()))
}

fn page(told: &Value) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>Load</title>{STYLE}<h1>Load</h1>"
    );
    let rates = told.get("ramp").or(told.get("steps")).unwrap_or(&told["rps"]);
    _ = write!(
        page,
        "<p>{} customers at {}, {} a second for {} s{}. {} came, {} of them were not sent for want of room; the load itself was late by {} ms at worst.</p>",
        told["customers"],
        safe(told["gateway"].as_str().unwrap_or_default()),
        safe(&rates.to_string()),
        told["lasted_seconds"],
        if told["ended_early"] == true { ", stopped early" } else { "" },
        told["arrivals"],
        told["not_sent"],
        told["worst_lag_ms"],
    );
    page.push_str(
        "<p>Nobody waits for the answer to somebody else, and latency counts from the moment at which a customer was to come: what stands still is seen in full.</p>",
    );
    totals(&mut page, told);
    plots(&mut page, told);
    over_time(&mut page, &told["over_time"]);
    page + "</html>\n"
}

/// A row for each group of journeys, and for each journey of it.
fn totals(page: &mut String, told: &Value) {
    let names = outcomes(&told["total"]);
    page.push_str("<div class=\"wide\"><table><tr><th>journey</th><th>sent</th><th>goodput</th>");
    names.iter().for_each(|name| cell(page, "th", &name.replace('_', " ")));
    page.push_str("<th>p50 ms</th><th>p99 ms</th><th>p99.9 ms</th></tr>");
    let journeys =
        ["orders", "browsing"].into_iter().flat_map(|group| told[group].as_object().into_iter().flatten());
    let journeys =
        journeys.filter(|(name, _)| *name != "all").map(|(name, figures)| (name.as_str(), figures));
    for (name, figures) in journeys.chain([("total", &told["total"])]) {
        page.push_str("<tr>");
        cell(page, "th", name);
        [&figures["sent"], &figures["goodput"]].into_iter().for_each(|it| number(page, it));
        names.iter().for_each(|name| number(page, &figures["outcomes"][name]));
        ["p50", "p99", "p99.9"].iter().for_each(|name| number(page, &figures["all_ms"][name]));
        page.push_str("</tr>");
    }
    page.push_str("</table></div>");
}

fn plots(page: &mut String, told: &Value) {
    let points = told["over_time"].as_array().map(Vec::as_slice).unwrap_or_default();
    let line = |name: &str, of: &dyn Fn(&Value) -> Option<f64>| Line {
        name: name.replace('_', " "),
        points: points.iter().map(|point| (point["at_s"].as_f64().unwrap_or_default(), of(point))).collect(),
    };
    let column = |name: &str, key: &str| line(name, &|point| point[key].as_f64());
    let rates = [column("asked", "asked"), column("served", "served"), column("goodput", "goodput")];
    page.push_str(&lines("Asked, served and good", "a second", &rates));
    let latencies = [column("p50", "p50_ms"), column("p99", "p99_ms"), column("p99.9", "p99.9_ms")];
    page.push_str(&lines("Latency", "ms, of those who left", &latencies));
    let ended = |name: &String| line(name, &|point| point["outcomes"][name].as_f64());
    let outcomes: Vec<_> = outcomes(&told["total"])
        .iter()
        .filter(|name| told["total"]["outcomes"][name] != 0)
        .map(ended)
        .collect();
    page.push_str(&lines("Outcomes", "in each span", &outcomes));
    let bar = |bar: &Value| {
        (
            format!("≤ {}", bar["to_ms"]).trim_end_matches(".0").to_owned(),
            bar["count"].as_u64().unwrap_or_default(),
        )
    };
    let spread: Vec<_> = told["latency_histogram"].as_array().into_iter().flatten().map(bar).collect();
    page.push_str(&bars("How long it took", "ms", &spread));
}

/// All that the lines are drawn from.
fn over_time(page: &mut String, points: &Value) {
    let points = points.as_array().map(Vec::as_slice).unwrap_or_default();
    let Some(first) = points.first() else { return };
    let names = outcomes(first);
    let columns = ["at_s", "asked", "sent", "served", "goodput", "p50_ms", "p99_ms", "p99.9_ms"];
    page.push_str("<details><summary>Figures over time</summary><div class=\"wide\"><table><tr>");
    columns.iter().for_each(|name| cell(page, "th", &name.replace('_', " ")));
    names.iter().for_each(|name| cell(page, "th", &name.replace('_', " ")));
    page.push_str("</tr>");
    for point in points {
        page.push_str("<tr>");
        columns.iter().for_each(|name| number(page, &point[*name]));
        names.iter().for_each(|name| number(page, &point["outcomes"][name]));
        page.push_str("</tr>");
    }
    page.push_str("</table></div></details>");
}

/// The names of the outcomes, in their order.
fn outcomes(figures: &Value) -> Vec<String> {
    figures["outcomes"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

fn cell(page: &mut String, tag: &str, text: &str) {
    _ = write!(page, "<{tag}>{}</{tag}>", safe(text));
}

/// As the JSON has it; a dash where it has none.
fn number(page: &mut String, number: &Value) {
    let text = if number.is_null() { "–".to_owned() } else { number.to_string() };
    cell(page, "td", &text);
}

/// Text that is no markup.
fn safe(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told() -> Value {
        let figures = json!({
            "sent": 21, "goodput": 10.5, "outcomes": { "ok": 20, "timeout": 1 },
            "all_ms": { "p50": 1.25, "p99": 3001.5, "p99.9": 3002.5 },
        });
        json!({
            "gateway": "http://127.0.0.1:1/<b>", "customers": 8, "rps": 9, "ramp": [3, 15], "lasted_seconds": 2.0,
            "ended_early": false, "arrivals": 22, "not_sent": 1, "worst_lag_ms": 0.5,
            "orders": { "place": figures, "all": figures }, "browsing": { "list": figures }, "total": figures,
            "latency_histogram": [{ "to_ms": 2.0, "count": 17 }],
            "over_time": [
                { "at_s": 0.0, "asked": 7.0, "served": 6.0, "outcomes": { "ok": 5, "timeout": 1 }, "p50_ms": 1.5 },
                { "at_s": 1.0, "asked": 8.0, "served": 9.0, "outcomes": { "ok": 4, "timeout": 0 }, "p50_ms": null },
            ],
        })
    }

    #[test]
    fn every_figure_of_the_json_is_on_the_page() {
        let page = page(&told());
        for row in [
            "<th>place</th><td>21</td><td>10.5</td><td>20</td><td>1</td><td>1.25</td><td>3001.5</td><td>3002.5</td>",
            "<th>total</th><td>21</td>",
            "<td>0.0</td><td>7.0</td><td>–</td><td>6.0</td><td>–</td><td>1.5</td><td>–</td><td>–</td><td>5</td><td>1</td>",
            "<td>1.0</td><td>8.0</td>",
        ] {
            assert!(page.contains(row), "{row}: {page}");
        }
        for text in
            [">17</text>", ">≤ 2</text>", "[3,15] a second for 2.0 s", "22 came, 1 of them", "by 0.5 ms"]
        {
            assert!(page.contains(text), "{text}: {page}");
        }
        assert!(!page.contains("<b>") && !page.contains("<th>all</th>"), "{page}");
        assert_eq!(page.matches("<svg").count(), 4);
    }
}
