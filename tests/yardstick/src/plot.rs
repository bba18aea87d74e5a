//! Plots of a board as SVG: bars for the figures of a column, lines for curves over time.

use std::fmt::Write;

use crate::board::{Better, Board, Cell, Column, Limit, Role, Unit};

const WIDTH: f64 = 760.0;
/// Where the first bar begins, below the title and what is said of it.
const TOP: f64 = 54.0;
const LETTER: f64 = 7.2;
const GAP: f64 = 12.0;
const VALUES: f64 = 84.0;
const BAR: f64 = 24.0;
const HEIGHT: f64 = 250.0;
const MARGIN: f64 = 52.0;
/// The ground and the letters follow the reader's choice of light or dark; the hues are seen on both.
const STYLE: &str = "<style>text{fill:#24292f;font:13px system-ui,sans-serif}.title{font-weight:600}.faint{fill:#57606a}\
.ground{fill:#ffffff}.grid{stroke:#d0d7de}.target{stroke:#cf222e;stroke-dasharray:4 3}.t{fill:#cf222e}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.faint{fill:#9198a1}.ground{fill:#0d1117}.grid{stroke:#3d444d}\
.target{stroke:#ff7b72}.t{fill:#ff7b72}}</style>";
const BARE: &str = "#8c959f";
const PEER: &str = "#e08a2c";
const ASIDE: &str = "#b9a5d6";
const OURS: [&str; 2] = ["#2f81c7", "#17a398"];
/// So that as many peers can be told apart as an experiment has.
const PEERS: [&str; 6] = ["#e08a2c", "#d1495b", "#9a67c7", "#7d9d2f", "#b5792f", "#d66ba0"];

/// One plot of a board.
#[derive(Debug)]
pub(crate) struct Plot {
    /// What its file is called: no other plot of the board is called the same.
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) svg: String,
}

/// The plots of a board, in the order of its columns.
pub(crate) fn plots(board: &Board) -> Vec<Plot> {
    let bars = board.columns.iter().enumerate().filter(|(_, column)| column.plotted);
    let bars = bars.map(|(index, column)| (board.label(index), bars_of(board, index, column)));
    let lines = (!board.curves.is_empty()).then(|| (OVER_TIME.to_owned(), lines_of(board)));
    let mut plots: Vec<Plot> = Vec::new();
    for (title, svg) in bars.chain(lines) {
        let mut name = file_name(&title);
        while plots.iter().any(|plot| plot.name == name) {
            name += "-again";
        }
        plots.push(Plot { name, title, svg });
    }
    plots
}

/// What the plot of a board's curves is called.
const OVER_TIME: &str = "over time";

/// The title in small letters and hyphens. A ratio keeps its stroke as a word, so that it is not called as its part.
fn file_name(title: &str) -> String {
    let title = title.replace('/', " by ");
    let words = title.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

/// Figures beyond this many times each other are drawn on a logarithmic scale.
const LOG_FROM: f64 = 50.0;

/// How long a figure is, as a share of the longest.
struct Scale {
    least: f64,
    most: f64,
    logarithmic: bool,
}

impl Scale {
    fn new(figures: impl Iterator<Item = f64> + Clone, unit: Unit) -> Self {
        let most = figures.clone().fold(f64::MIN_POSITIVE, f64::max);
        let least = figures.filter(|figure| *figure > 0.0).fold(most, f64::min);
        Self { least, most, logarithmic: unit != Unit::Percent && most / least > LOG_FROM }
    }

    fn share(&self, figure: f64) -> f64 {
        if figure <= 0.0 {
            0.0
        } else if self.logarithmic {
            ((figure / self.least).max(1.0).ln() + 0.5) / ((self.most / self.least).ln() + 0.5)
        } else {
            figure / self.most
        }
    }
}

fn bars_of(board: &Board, index: usize, column: &Column) -> String {
    let drawn = |role| matches!(role, Role::Bare | Role::Peer | Role::Aside | Role::Ours);
    let rows = board.rows.iter().filter(|row| drawn(row.role));
    let bars: Vec<(&str, Role, f64)> =
        rows.filter_map(|row| Some((row.name.as_str(), row.role, row.cells[index].figure()?))).collect();
    // Where a floor stands, the target is for what lies above *bare*, and has no place on this scale.
    let timed = board.rows.iter().any(|row| row.role == Role::Floor);
    let mut limits: Vec<f64> = Vec::new();
    for row in board.rows.iter().filter(|_| !timed) {
        if let Cell::Limit(Limit::AtMost(limit) | Limit::AtLeast(limit)) = row.cells[index]
            && limit > 0.0
            && !limits.contains(&limit)
        {
            limits.push(limit);
        }
    }
    // A service that answers at once would squeeze all that is around it.
    let compared = bars.iter().filter(|bar| bar.1 != Role::Bare || !timed).map(|bar| bar.2);
    let scale =
        Scale::new(compared.chain(limits.iter().copied()).filter(|figure| figure.is_finite()), column.unit);

    let longest = bars.iter().map(|bar| bar.0.chars().count()).max().unwrap_or_default();
    let names = (longest as f64).mul_add(LETTER, 2.0 * GAP).min(WIDTH / 2.0);
    let length = |figure: f64| scale.share(figure) * (WIDTH - names - VALUES);
    let foot = BAR.mul_add(bars.len() as f64, TOP);
    let mut svg = open(
        foot + if limits.is_empty() { GAP } else { BAR },
        &format!("{} [{}]", board.label(index), column.unit.name()),
    );
    let better = match column.better {
        Some(Better::Less) => Some("less is better"),
        Some(Better::More) => Some("more is better"),
        None => None,
    };
    let scaled = scale.logarithmic.then_some("logarithmic scale");
    let said: Vec<&str> = [Some(&*board.title), better, scaled].into_iter().flatten().collect();
    text(&mut svg, (GAP, 42.0), "start", "faint", &said.join(", "));
    for limit in limits {
        let at = names + length(limit);
        put(
            &mut svg,
            format_args!(
                r#"<line class="target" x1="{at:.1}" y1="{:.1}" x2="{at:.1}" y2="{foot:.1}"/>"#,
                TOP - 4.0
            ),
        );
        let value = Cell::Number(limit).show(column.unit);
        text(&mut svg, (at, foot + 14.0), "middle", "t", &format!("target {value}"));
    }
    let mut ours = OURS.iter().cycle();
    for (position, (name, role, figure)) in bars.into_iter().enumerate() {
        let top = BAR.mul_add(position as f64, TOP);
        let colour = match role {
            Role::Ours => ours.next().unwrap_or(&OURS[0]),
            Role::Bare => BARE,
            Role::Aside => ASIDE,
            _ => PEER,
        };
        text(&mut svg, (names - 8.0, top + 14.0), "end", "", name);
        let width = if figure.is_finite() { length(figure) } else { 0.0 };
        put(
            &mut svg,
            format_args!(
                r#"<rect x="{names:.1}" y="{top:.1}" width="{width:.1}" height="{}" rx="2" fill="{colour}"/>"#,
                BAR - 6.0
            ),
        );
        let value = Cell::from(figure).show(column.unit);
        text(&mut svg, (names + width + 6.0, top + 14.0), "start", "", &value);
    }
    svg + "</svg>\n"
}

fn lines_of(board: &Board) -> String {
    let points = || board.curves.iter().flat_map(|curve| &curve.points);
    let right = points().map(|point| point.0).fold(1.0, f64::max);
    let highest = points().map(|point| point.1).fold(1.0, f64::max);
    let step = tidy(highest / 5.0);
    let top = (highest / step).ceil() * step;
    let (above, below) = (TOP, TOP + HEIGHT);
    let across = |x: f64| MARGIN + x / right * (WIDTH - MARGIN - 2.0 * GAP);
    let up = |y: f64| below - y / top * (below - above);

    let lines = board.curves.len().div_ceil(2);
    let mut svg = open(BAR.mul_add(lines as f64 + 1.0, below + GAP), &board.over_time);
    text(&mut svg, (GAP, 42.0), "start", "faint", &board.title);
    for y in (0_u8..).map(|tick| step * f64::from(tick)).take_while(|y| *y <= top) {
        put(
            &mut svg,
            format_args!(
                r#"<line class="grid" x1="{MARGIN}" y1="{0:.1}" x2="{1:.1}" y2="{0:.1}"/>"#,
                up(y),
                across(right)
            ),
        );
        text(&mut svg, (MARGIN - 6.0, up(y) + 4.0), "end", "faint", &format!("{y}"));
    }
    let second = tidy(right / 6.0);
    for tick in (0_u8..).map(|tick| second * f64::from(tick)).take_while(|at| *at <= right) {
        let label = if tick > 0.0 { format!("{} s", (tick * 100.0).round() / 100.0) } else { "0".into() };
        text(&mut svg, (across(tick), below + 18.0), "middle", "faint", &label);
    }
    let role = |name: &str| board.rows.iter().find(|row| row.name == name).map(|row| row.role);
    let (mut ours, mut peers) = (OURS.iter().cycle(), PEERS.iter().cycle());
    let mut strokes: Vec<(usize, &str, f64)> = board
        .curves
        .iter()
        .enumerate()
        .map(|(index, curve)| match role(&curve.name) {
            Some(Role::Ours) => (index, *ours.next().unwrap_or(&OURS[0]), 2.5),
            Some(Role::Bare) => (index, BARE, 1.5),
            _ => (index, *peers.next().unwrap_or(&PEER), 1.5),
        })
        .collect();
    for (position, (index, colour, _)) in strokes.iter().enumerate() {
        let x = MARGIN + if position % 2 == 0 { 0.0 } else { WIDTH / 2.0 };
        let y = BAR.mul_add((position / 2) as f64 + 1.0, below + BAR);
        put(
            &mut svg,
            format_args!(r#"<rect x="{x:.1}" y="{:.1}" width="16" height="4" fill="{colour}"/>"#, y - 7.0),
        );
        text(&mut svg, (x + 24.0, y - 1.0), "start", "", &board.curves[*index].name);
    }
    // Ours are drawn last, and so above the others.
    strokes.sort_by(|one, other| one.2.total_cmp(&other.2));
    for (index, colour, width) in strokes {
        let points = &board.curves[index].points;
        let path: Vec<String> =
            points.iter().map(|(x, y)| format!("{:.1},{:.1}", across(*x), up(*y))).collect();
        put(
            &mut svg,
            format_args!(
                r#"<polyline fill="none" stroke="{colour}" stroke-width="{width}" points="{}"/>"#,
                path.join(" ")
            ),
        );
    }
    svg + "</svg>\n"
}

/// The least of 1, 2, 2.5 and 5 times a power of ten that is not below `figure`.
fn tidy(figure: f64) -> f64 {
    let power = 10_f64.powf(figure.log10().floor());
    let tidy = [1.0, 2.0, 2.5, 5.0].map(|times| times * power).into_iter().find(|tidy| *tidy >= figure);
    tidy.unwrap_or(10.0 * power)
}

fn open(height: f64, title: &str) -> String {
    let mut svg = String::new();
    put(
        &mut svg,
        format_args!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">"#
        ),
    );
    put(&mut svg, format_args!("<title>{}</title>{STYLE}", escaped(title)));
    put(&mut svg, format_args!(r#"<rect class="ground" width="100%" height="100%" rx="6"/>"#));
    text(&mut svg, (GAP, 24.0), "start", "title", title);
    svg
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, class: &str, words: &str) {
    let words = escaped(words);
    let class = if class.is_empty() { String::new() } else { format!(r#" class="{class}""#) };
    put(svg, format_args!(r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}"{class}>{words}</text>"#));
}

fn escaped(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;")
}

fn put(svg: &mut String, element: std::fmt::Arguments<'_>) {
    writeln!(svg, "{element}").expect("a string takes all that is written");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::Judgement;

    fn board() -> Board {
        let columns =
            vec![Column::new("to trip, 100 %", Unit::Calls).plotted(), Column::new("other", Unit::Calls)];
        let mut board = Board::new("c0", columns);
        board.row(Role::Bare, "a < b", vec![f64::INFINITY.into()]);
        board.row(Role::Peer, "peer & co", vec![Cell::Number(1000.0)]);
        board.row(Role::Ours, "ours", vec![Cell::Number(5.0)]);
        board.judge(vec![Some(Judgement::at_most(6.0, 5.0, Unit::Calls))]);
        board
    }

    #[test]
    fn a_plotted_column_becomes_bars() {
        let plots = plots(&board());
        assert_eq!(plots.len(), 1);
        let Plot { name, svg, .. } = &plots[0];
        assert_eq!(name, "to-trip-100");
        assert!(svg.contains("peer &amp; co") && svg.contains("less is better, logarithmic scale"));
        assert_eq!(svg.matches("<rect").count(), 4, "the ground and three bars, of which one has no length");
        assert!(svg.contains(">never<") && svg.contains(">target 6.0<"));
        assert!(svg.ends_with("</svg>\n"));
    }

    #[test]
    fn no_plot_takes_the_file_of_another() {
        let titles = ["p99 steady", "p99 / steady", "p99, steady"];
        let columns = titles.map(|title| Column::new(title, Unit::Times).plotted());
        let board = Board::new("b0", columns.into());
        let names: Vec<String> = plots(&board).into_iter().map(|plot| plot.name).collect();
        assert_eq!(names, ["p99-steady", "p99-by-steady", "p99-steady-again"]);
    }

    #[test]
    fn curves_become_lines() {
        let mut board = board();
        board.curve("served [per second]", "ours", vec![(0.0, 0.0), (10.0, 5.0)]);
        let plots = plots(&board);
        assert_eq!(plots[1].name, "over-time");
        assert!(plots[1].svg.contains(r#"points="52.0,304.0 736.0,54.0""#), "{}", plots[1].svg);
        assert!(plots[1].svg.contains(OURS[0]));
    }

    #[test]
    fn ticks_are_tidy() {
        assert_eq!([203.0, 250.0, 0.9, 1.0, 26.0].map(tidy), [250.0, 250.0, 1.0, 1.0, 50.0]);
    }
}
