//! Plots as SVG: lines over time, and bars.

use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 32.0;

/// How many lines a scale has at most.
const TICKS: f64 = 5.0;

/// Hues that the colour-blind tell apart, by Okabe and Ito; the dashes say the same.
const LOOKS: [(&str, &str); 8] = [
    ("#0072b2", "none"),
    ("#d55e00", "6 3"),
    ("#009e73", "2 3"),
    ("#cc79a7", "10 3 2 3"),
    ("#e69f00", "4 4"),
    ("#56b4e9", "1 4"),
    ("#8c6d31", "12 4"),
    ("#767676", "8 2 2 2"),
];

/// Seconds, and what there was then; nothing where there was none.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<(f64, Option<f64>)>,
}

/// Lines over time, on one scale that begins with 0.
pub(super) fn lines(title: &str, unit: &str, lines: &[Line]) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let most = points().filter_map(|(_, y)| *y).fold(0.0, f64::max);
    let ends = points().map(|(x, _)| *x).fold(1.0, f64::max);
    let (y_step, x_step) = (step(most), step(ends));
    let top = y_step * (most / y_step).ceil().max(1.0);
    let x_of = |x: f64| LEFT + x / ends * (WIDTH - LEFT - RIGHT);
    let y_of = |y: f64| HEIGHT - BOTTOM - y / top * (HEIGHT - TOP - BOTTOM);
    let mut svg = begin(title, unit);
    for nth in 0..=(top / y_step).round() as u32 {
        let (value, y) = (y_step * f64::from(nth), y_of(y_step * f64::from(nth)));
        _ = write!(svg, r#"<path class="grid" d="M{LEFT} {y:.1}H{:.1}"/>"#, WIDTH - RIGHT);
        text(&mut svg, LEFT - 6.0, y + 4.0, "end", &short(value));
    }
    for nth in 0..=(ends / x_step) as u32 {
        let at = x_step * f64::from(nth);
        text(&mut svg, x_of(at), HEIGHT - BOTTOM + 18.0, "middle", &format!("{} s", short(at)));
    }
    let mut name_at = LEFT;
    for (line, (hue, dash)) in lines.iter().zip(LOOKS.iter().cycle()) {
        _ = write!(svg, r#"<path class="line" stroke="{hue}" stroke-dasharray="{dash}" d=""#);
        let mut goes_on = false;
        for (x, y) in &line.points {
            let Some(y) = y else {
                goes_on = false;
                continue;
            };
            let (x, y) = (x_of(*x), y_of(*y));
            // A point that stands alone is a dot.
            _ = if goes_on { write!(svg, "L{x:.1} {y:.1}") } else { write!(svg, "M{x:.1} {y:.1}h.1") };
            goes_on = true;
        }
        let y = TOP - 16.0;
        _ = write!(
            svg,
            r#""/><path class="line" stroke="{hue}" stroke-dasharray="{dash}" d="M{name_at} {y}h24"/>"#
        );
        text(&mut svg, name_at + 30.0, y + 4.0, "start", &line.name);
        name_at += 52.0 + 8.0 * line.name.len() as f64;
    }
    svg + "</svg>"
}

/// A bar for each name.
pub(super) fn bars(title: &str, unit: &str, bars: &[(String, u64)]) -> String {
    let most = bars.iter().map(|(_, count)| *count).max().unwrap_or_default().max(1) as f64;
    let each = (WIDTH - LEFT - RIGHT) / bars.len().max(1) as f64;
    let floor = HEIGHT - BOTTOM;
    let mut svg = begin(title, unit);
    for (nth, (name, count)) in bars.iter().enumerate() {
        let (x, height) = (LEFT + each * nth as f64, *count as f64 / most * (floor - TOP));
        let (hue, _) = LOOKS[0];
        let (top, width, middle) = (floor - height, each - 4.0, x + each / 2.0);
        _ = write!(
            svg,
            r#"<rect fill="{hue}" x="{:.1}" y="{top:.1}" width="{width:.1}" height="{height:.1}"/>"#,
            x + 2.0
        );
        text(&mut svg, middle, top - 4.0, "middle", &count.to_string());
        text(&mut svg, middle, floor + 18.0, "middle", name);
    }
    svg + "</svg>"
}

fn begin(title: &str, unit: &str) -> String {
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">"#
    );
    _ = write!(
        svg,
        r#"<text class="title" x="{LEFT}" y="20">{title}<tspan class="unit" dx="8">{unit}</tspan></text>"#
    );
    svg
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, what: &str) {
    _ = write!(svg, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{what}</text>"#);
}

/// 1, 2 or 5 of a power of ten, so that a scale up to `most` has few lines.
fn step(most: f64) -> f64 {
    let rough = (most / TICKS).max(1e-3);
    let power = 10_f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|digit| digit * power).find(|step| *step >= rough).unwrap_or(10.0 * power)
}

/// Without digits that say nothing.
fn short(value: f64) -> String {
    format!("{}", (value * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_has_few_and_round_lines() {
        for (most, is) in [(0.0, 0.001), (1.0, 0.2), (7.0, 2.0), (49.0, 10.0), (51.0, 20.0), (6400.0, 2000.0)]
        {
            assert!((step(most) - is).abs() < 1e-9, "{most}: {}", step(most));
        }
    }

    #[test]
    fn a_line_is_broken_where_there_was_nothing() {
        let points = vec![(0.0, Some(0.0)), (5.0, Some(50.0)), (6.0, None), (10.0, Some(100.0))];
        let svg = lines("Rate", "a second", &[Line { name: "asked".into(), points }]);
        // From the floor on the left to the middle, and a dot in the upper right corner.
        assert!(svg.contains(r#"d="M64.0 228.0h.1L404.0 142.0M744.0 56.0h.1""#), "{svg}");
        assert!(
            svg.contains(">100</text>") && svg.contains(">asked</text>") && svg.contains(">10 s</text>"),
            "{svg}"
        );
    }

    #[test]
    fn bars_are_as_high_as_their_counts() {
        let svg =
            bars("Latency", "of all", &[("≤ 1 ms".into(), 50), ("≤ 2 ms".into(), 100), ("≤ 5 ms".into(), 0)]);
        let heights: Vec<_> =
            svg.split("height=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(heights, ["86.0", "172.0", "0.0"]);
        assert!(lines("None", "", &[]).ends_with("</svg>") && bars("None", "", &[]).ends_with("</svg>"));
    }
}
