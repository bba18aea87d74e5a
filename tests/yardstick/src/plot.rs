//! Plots of a board as SVG: bars for the figures of a column, lines for curves over time.

use std::fmt::Write;

use crate::board::{Board, Cell, Column, Curve, Role, Unit};

const WIDTH: f64 = 760.0;
const NAMES: f64 = 190.0;
const VALUES: f64 = 90.0;
const BAR: f64 = 22.0;
const HEIGHT: f64 = 300.0;
const MARGIN: f64 = 46.0;
const COLOURS: [&str; 6] = ["#9aa0a6", "#b07aa1", "#f28e2b", "#59a14f", "#e15759", "#1f6fb2"];

/// The plots of a board, in the order of its columns, each with a name for its file.
pub(crate) fn plots(board: &Board) -> Vec<(String, String)> {
    let bars = board.columns.iter().enumerate().filter(|(_, column)| column.plotted);
    let bars = bars.map(|(index, column)| (file_name(&column.title), bars_of(board, index, column)));
    let lines = (!board.curves.is_empty()).then(|| ("over-time".to_owned(), lines_of(board)));
    bars.chain(lines).collect()
}

fn file_name(title: &str) -> String {
    let words = title.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

/// Figures beyond this many times each other are drawn on a logarithmic scale.
const LOG_FROM: f64 = 50.0;

fn bars_of(board: &Board, index: usize, column: &Column) -> String {
    let drawn = |role| matches!(role, Role::Bare | Role::Peer | Role::Ours);
    let bars: Vec<(&str, Role, f64)> = board
        .rows
        .iter()
        .filter(|row| drawn(row.role))
        .filter_map(|row| match row.cells[index] {
            Cell::Number(figure) => Some((row.name.as_str(), row.role, figure)),
            _ => None,
        })
        .collect();
    let most = bars.iter().map(|bar| bar.2).fold(f64::MIN_POSITIVE, f64::max);
    let least = bars.iter().map(|bar| bar.2).filter(|figure| *figure > 0.0).fold(most, f64::min);
    let logarithmic = column.unit != Unit::Percent && most / least > LOG_FROM;
    let length = |figure: f64| {
        let share = if logarithmic {
            ((figure / least).max(1.0).ln() + 0.5) / ((most / least).ln() + 0.5)
        } else {
            figure / most
        };
        share * (WIDTH - NAMES - VALUES)
    };

    let scale = if logarithmic { ", logarithmic" } else { "" };
    let title = format!("{} [{}{scale}]", column.title, column.unit.name());
    let mut svg = open(MARGIN + BAR * bars.len() as f64, &title);
    for (position, (name, role, figure)) in bars.iter().enumerate() {
        let top = 34.0 + BAR * position as f64;
        let colour = match role {
            Role::Ours => COLOURS[5],
            Role::Bare => COLOURS[0],
            _ => COLOURS[2],
        };
        let value = Cell::Number(*figure).show(column.unit);
        text(&mut svg, NAMES - 8.0, top + 15.0, "end", name);
        let width = length(*figure);
        put(
            &mut svg,
            format_args!(
                r#"<rect x="{NAMES}" y="{top}" width="{width:.1}" height="{}" fill="{colour}"/>"#,
                BAR - 5.0
            ),
        );
        text(&mut svg, NAMES + width + 6.0, top + 15.0, "start", &value);
    }
    svg + "</svg>\n"
}

fn lines_of(board: &Board) -> String {
    let points = || board.curves.iter().flat_map(|curve| &curve.points);
    let right = points().map(|point| point.0).fold(1.0, f64::max);
    let top = points().map(|point| point.1).fold(1.0, f64::max);
    let across = |x: f64| MARGIN + x / right * (WIDTH - 2.0 * MARGIN);
    let up = |y: f64| HEIGHT - MARGIN - y / top * (HEIGHT - 2.0 * MARGIN);

    let legend = BAR * board.curves.len() as f64;
    let mut svg = open(HEIGHT + legend, "served per second, first seed");
    for (y, label) in [(0.0, "0".into()), (top, format!("{top:.0}"))] {
        put(
            &mut svg,
            format_args!(
                r##"<line x1="{MARGIN}" y1="{0:.1}" x2="{1:.1}" y2="{0:.1}" stroke="#cccccc"/>"##,
                up(y),
                WIDTH - MARGIN
            ),
        );
        text(&mut svg, MARGIN - 4.0, up(y) + 4.0, "end", &label);
    }
    text(&mut svg, WIDTH - MARGIN, HEIGHT - MARGIN + 18.0, "end", &format!("{right:.0} s"));
    for (index, Curve { name, points }) in board.curves.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let path: Vec<String> =
            points.iter().map(|(x, y)| format!("{:.1},{:.1}", across(*x), up(*y))).collect();
        put(
            &mut svg,
            format_args!(r#"<polyline fill="none" stroke="{colour}" points="{}"/>"#, path.join(" ")),
        );
        let line = HEIGHT + BAR * index as f64;
        put(
            &mut svg,
            format_args!(
                r#"<rect x="{MARGIN}" y="{:.1}" width="14" height="4" fill="{colour}"/>"#,
                line - 5.0
            ),
        );
        text(&mut svg, MARGIN + 22.0, line, "start", name);
    }
    svg + "</svg>\n"
}

fn open(height: f64, title: &str) -> String {
    let mut svg = String::new();
    put(
        &mut svg,
        format_args!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">"#
        ),
    );
    put(&mut svg, format_args!(r#"<rect width="100%" height="100%" fill="white"/>"#));
    text(&mut svg, WIDTH / 2.0, 20.0, "middle", title);
    svg
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    put(svg, format_args!(r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{words}</text>"#));
}

fn put(svg: &mut String, element: std::fmt::Arguments<'_>) {
    writeln!(svg, "{element}").expect("a string takes all that is written");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board() -> Board {
        let columns =
            vec![Column::new("to trip, 100 %", Unit::Calls).plotted(), Column::new("other", Unit::Calls)];
        let mut board = Board::new("c0", columns);
        board.row(Role::Bare, "a < b", vec![Cell::Text("never".into())]);
        board.row(Role::Peer, "peer & co", vec![Cell::Number(1000.0)]);
        board.row(Role::Ours, "ours", vec![Cell::Number(5.0)]);
        board.row(Role::Target, "target", vec![Cell::text("≤ 6")]);
        board
    }

    #[test]
    fn a_plotted_column_becomes_bars() {
        let plots = plots(&board());
        assert_eq!(plots.len(), 1);
        let (name, svg) = &plots[0];
        assert_eq!(name, "to-trip-100");
        assert!(svg.contains("peer &amp; co") && svg.contains("logarithmic"));
        assert_eq!(svg.matches("<rect").count(), 3, "the ground and two bars");
        assert!(svg.ends_with("</svg>\n"));
    }

    #[test]
    fn curves_become_lines() {
        let mut board = board();
        board.curves.push(Curve { name: "ours".into(), points: vec![(0.0, 0.0), (10.0, 5.0)] });
        let plots = plots(&board);
        assert!(plots[1].1.contains(r#"points="46.0,254.0 714.0,46.0""#));
    }
}
