//! A table of results: rows for bare, peers, ours, target and verdict; a column for each quantity.

use serde::{Deserialize, Serialize};

/// One table, and what the report needs beside it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Board {
    pub(crate) title: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Row>,
    /// What a reader must know to judge the figures: the shape, the sizes, the reserves.
    pub(crate) notes: Vec<String>,
    /// What the curves show, and in what unit.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) over_time: String,
    /// Curves over time for the report, where a simulation has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) curves: Vec<Curve>,
}

/// One quantity.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Column {
    pub(crate) title: String,
    pub(crate) unit: Unit,
    /// Whether the report draws this column as bars.
    pub(crate) plotted: bool,
    /// Which figure is the better one; `None` where neither is.
    pub(crate) better: Option<Better>,
}

/// Which of two figures is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    Less,
    More,
}

/// How a column's numbers read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Unit {
    Nanoseconds,
    Allocations,
    Instructions,
    Bytes,
    Calls,
    Percent,
    Milliseconds,
    Seconds,
    /// How many times as much as something.
    Times,
}

/// One line of the table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) cells: Vec<Cell>,
}

/// What a row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Primitive,
    Bare,
    Peer,
    /// No rival: an oracle that nobody can build, or ours with a part left out.
    Aside,
    Ours,
    Floor,
    Target,
    Verdict,
}

/// What stands where a row and a column cross.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Cell {
    Number(f64),
    Limit(Limit),
    Text(String),
    Empty,
}

/// What a target asks of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

/// One line of a plot over time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

impl Limit {
    fn better(self) -> Better {
        match self {
            Self::AtMost(_) => Better::Less,
            Self::AtLeast(_) => Better::More,
        }
    }

    fn show(self, unit: Unit) -> String {
        match self {
            Self::AtMost(limit) => format!("≤ {}", unit.show(limit)),
            Self::AtLeast(limit) => format!("≥ {}", unit.show(limit)),
        }
    }
}

impl Better {
    /// Whether `one` is better than `other`.
    pub(crate) fn prefers(self, one: f64, other: f64) -> bool {
        match self {
            Self::Less => one < other,
            Self::More => one > other,
        }
    }
}

impl Unit {
    /// Of what is a price less is better; of the others their column says it, or its target.
    fn better(self) -> Option<Better> {
        let price = matches!(
            self,
            Self::Nanoseconds
                | Self::Allocations
                | Self::Instructions
                | Self::Bytes
                | Self::Milliseconds
                | Self::Seconds
        );
        price.then_some(Better::Less)
    }

    /// The unit as the head of a column names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nanoseconds => "ns",
            Self::Allocations => "allocs",
            Self::Instructions => "instr",
            Self::Bytes => "bytes",
            Self::Calls => "calls",
            Self::Percent => "%",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::Times => "×",
        }
    }

    fn show(self, number: f64) -> String {
        match self {
            _ if !number.is_finite() => NEVER.into(),
            Self::Nanoseconds | Self::Milliseconds => format!("{number:.1}"),
            Self::Percent if (99.5..100.0).contains(&number) => format!("{number:.2}"),
            Self::Percent => format!("{number:.1}"),
            Self::Seconds | Self::Times => format!("{number:.2}"),
            Self::Instructions | Self::Bytes => format!("{number:.0}"),
            Self::Allocations if number.fract() < 0.005 => format!("{number:.0}"),
            Self::Allocations => format!("{number:.2}"),
            Self::Calls if number.abs() < 1e3 => format!("{number:.1}"),
            Self::Calls if number.abs() < 1e6 => format!("{number:.0}"),
            Self::Calls => format!("{number:.2e}"),
        }
    }
}

impl Cell {
    /// The cell as text, in the unit of its column.
    pub(crate) fn show(&self, unit: Unit) -> String {
        match self {
            Self::Number(number) => unit.show(*number),
            Self::Limit(limit) => limit.show(unit),
            Self::Text(text) => text.clone(),
            Self::Empty => "-".into(),
        }
    }

    pub(crate) fn is_limit(&self) -> bool {
        matches!(self, Self::Limit(_))
    }

    /// Whether this is the verdict on a target that was missed.
    pub(crate) fn is_miss(&self) -> bool {
        matches!(self, Self::Text(text) if text.starts_with(MISSED))
    }

    /// The figure; one without end where the cell says `never`.
    pub(crate) fn figure(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) if text == NEVER => Some(f64::INFINITY),
            _ => None,
        }
    }
}

impl From<f64> for Cell {
    /// A number; one without end is text, which JSON can carry.
    fn from(number: f64) -> Self {
        if number.is_finite() { Self::Number(number) } else { Self::Text(NEVER.into()) }
    }
}

impl From<Option<f64>> for Cell {
    fn from(number: Option<f64>) -> Self {
        number.map_or(Self::Empty, Self::from)
    }
}

impl Column {
    pub(crate) fn new(title: impl Into<String>, unit: Unit) -> Self {
        Self { title: title.into(), unit, plotted: false, better: unit.better() }
    }

    /// The same where more of it is better, and no target says so.
    pub(crate) fn more(mut self) -> Self {
        self.better = Some(Better::More);
        self
    }

    /// The same where less of it is better, and no target says so.
    pub(crate) fn less(mut self) -> Self {
        self.better = Some(Better::Less);
        self
    }

    pub(crate) fn plotted(mut self) -> Self {
        self.plotted = true;
        self
    }
}

impl Board {
    pub(crate) fn new(title: impl Into<String>, columns: Vec<Column>) -> Self {
        Self { title: title.into(), columns, ..Self::default() }
    }

    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Adds a curve to the plot of what `over_time` says.
    pub(crate) fn curve(&mut self, over_time: &str, name: impl Into<String>, points: Vec<(f64, f64)>) {
        self.over_time = over_time.into();
        let points = points.into_iter().map(|(at, figure)| (at, (figure * 10.0).round() / 10.0)).collect();
        self.curves.push(Curve { name: name.into(), points });
    }

    /// Adds a row; cells that are not given stay empty.
    pub(crate) fn row(&mut self, role: Role, name: impl Into<String>, mut cells: Vec<Cell>) {
        cells.resize(self.columns.len(), Cell::Empty);
        self.rows.push(Row { name: name.into(), role, cells });
    }

    /// Adds the rows *target* and *verdict*: for each column what was asked, and whether it was met. `None` where nothing is asked.
    pub(crate) fn judge(&mut self, judgements: Vec<Option<Judgement>>) {
        for (column, judgement) in self.columns.iter_mut().zip(&judgements) {
            if let Some(judgement) = judgement {
                column.better = Some(judgement.target.better());
            }
        }
        let (targets, verdicts) = judgements
            .into_iter()
            .map(|judgement| match judgement {
                Some(Judgement { target, verdict }) => {
                    let verdict = match verdict {
                        Ok(()) => "met".into(),
                        Err(why) => format!("{MISSED}: {why}"),
                    };
                    (Cell::Limit(target), Cell::Text(verdict))
                }
                None => (Cell::Empty, Cell::Empty),
            })
            .unzip();
        self.row(Role::Target, "target", targets);
        self.row(Role::Verdict, "verdict", verdicts);
    }

    /// Whether any verdict says that a target was missed.
    pub(crate) fn missed(&self) -> bool {
        self.rows.iter().filter(|row| row.role == Role::Verdict).flat_map(|row| &row.cells).any(Cell::is_miss)
    }

    /// What the column shows, readable without its neighbours: a title `group: figure` names the group of those that
    /// follow, and one without a title is the one before in another unit.
    pub(crate) fn label(&self, column: usize) -> String {
        let Column { title, unit, .. } = &self.columns[column];
        if title.is_empty() {
            let before = self.columns[..column].iter().rfind(|before| !before.title.is_empty());
            return format!("{}, {}", before.map_or("", |before| &before.title), unit.name());
        }
        let group = self.columns[..column].iter().rev().find_map(|before| before.title.split_once(GROUP));
        match group {
            Some((group, _)) if !title.contains(GROUP) => format!("{group}{GROUP}{title}"),
            _ => title.clone(),
        }
    }

    /// The table as text for a terminal.
    pub(crate) fn print(&self) -> String {
        let mut lines =
            vec![self.head(|column| column.title.clone()), self.head(|column| column.unit.name().into())];
        lines.extend(self.rows.iter().map(|row| self.line(row)));
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..=self.columns.len()).map(width).collect();

        let mut text = format!("{}\n", self.title);
        for line in &lines {
            let (name, cells) = line.split_first().expect("each line begins with a name");
            text += &format!("  {name:<width$}", width = widths[0]);
            for (cell, width) in cells.iter().zip(&widths[1..]) {
                text += &format!("  {cell:>width$}");
            }
            text += "\n";
        }
        for note in &self.notes {
            text += &format!("  {note}\n");
        }
        text
    }

    /// The table as Markdown.
    pub(crate) fn markdown(&self) -> String {
        let bar = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut text = bar(self.head(|column| format!("{} [{}]", column.title, column.unit.name())));
        text +=
            &bar(std::iter::once("---".into()).chain(self.columns.iter().map(|_| "---:".into())).collect());
        for row in &self.rows {
            text += &bar(self.line(row));
        }
        for note in &self.notes {
            text += &format!("\n{note}\n");
        }
        text
    }

    fn head(&self, show: impl Fn(&Column) -> String) -> Vec<String> {
        std::iter::once(String::new()).chain(self.columns.iter().map(show)).collect()
    }

    fn line(&self, row: &Row) -> Vec<String> {
        let cells = row.cells.iter().zip(&self.columns).map(|(cell, column)| cell.show(column.unit));
        std::iter::once(row.name.clone()).chain(cells).collect()
    }
}

/// What a column asks of ours, and whether it got it; the error says why not.
#[derive(Clone, Debug)]
pub(crate) struct Judgement {
    pub(crate) target: Limit,
    pub(crate) verdict: Result<(), String>,
}

impl Judgement {
    /// Asks for `figure` to be at most `limit`.
    pub(crate) fn at_most(limit: f64, figure: f64, unit: Unit) -> Self {
        Self::when(figure <= limit, Limit::AtMost(limit), unit.show(figure))
    }

    /// Asks for `figure` to be at least `limit`.
    pub(crate) fn at_least(limit: f64, figure: f64, unit: Unit) -> Self {
        Self::when(figure >= limit, Limit::AtLeast(limit), unit.show(figure))
    }

    fn when(met: bool, target: Limit, figure: String) -> Self {
        Self { target, verdict: if met { Ok(()) } else { Err(figure) } }
    }
}

const MISSED: &str = "missed";
/// What a figure without end is called.
pub(crate) const NEVER: &str = "never";
/// What stands between the name of a group of columns and the figure.
const GROUP: &str = ": ";

#[cfg(test)]
mod tests {
    use super::*;

    fn board(figure: f64) -> Board {
        let columns =
            vec![Column::new("closed", Unit::Nanoseconds), Column::new("closed", Unit::Allocations)];
        let mut board = Board::new("n0: an example", columns);
        board.row(Role::Bare, "bare", vec![Cell::Number(1.25)]);
        board.row(Role::Ours, "ours", vec![Cell::Number(figure), Cell::Number(0.0)]);
        board.judge(vec![Some(Judgement::at_most(31.5, figure, Unit::Nanoseconds))]);
        board
    }

    #[test]
    fn prints_rows_under_their_columns() {
        let expected = "\
n0: an example
           closed  closed
               ns  allocs
  bare        1.2       -
  ours       20.0       0
  target   ≤ 31.5       -
  verdict     met       -
";
        assert_eq!(board(20.0).print(), expected);
    }

    #[test]
    fn a_missed_target_shows() {
        assert!(!board(31.5).missed());
        let missed = board(31.6);
        assert!(missed.missed());
        assert!(missed.print().contains("missed: 31.6"));
    }

    #[test]
    fn survives_json() {
        let sent = board(20.0);
        let json = serde_json::to_string(&sent).expect("a board is plain data");
        let received: Board = serde_json::from_str(&json).expect("what was written can be read");
        assert_eq!(received.print(), sent.print());
    }

    #[test]
    fn markdown_has_a_head_and_a_rule() {
        let text = board(20.0).markdown();
        assert!(text.starts_with(
            "|  | closed [ns] | closed [allocs] |\n| --- | ---: | ---: |\n| bare | 1.2 | - |\n"
        ));
    }

    #[test]
    fn a_target_says_which_figure_is_better() {
        let mut board =
            Board::new("c0", vec![Column::new("served", Unit::Percent), Column::new("", Unit::Bytes)]);
        assert_eq!(board.columns[0].better, None);
        board.judge(vec![Some(Judgement::at_least(95.0, 99.0, Unit::Percent))]);
        assert_eq!(board.columns[0].better, Some(Better::More));
        assert_eq!(board.columns[1].better, Some(Better::Less));
    }

    #[test]
    fn a_label_reads_alone() {
        let titles = ["p50", "", "20 hosts: intervals", "at worst", "100 hosts: intervals", "at worst"];
        let board = Board::new("c0", titles.map(|title| Column::new(title, Unit::Calls)).into());
        let labels: Vec<String> = (0..titles.len()).map(|column| board.label(column)).collect();
        assert_eq!(
            labels,
            [
                "p50",
                "p50, calls",
                "20 hosts: intervals",
                "20 hosts: at worst",
                "100 hosts: intervals",
                "100 hosts: at worst"
            ]
        );
    }

    #[test]
    fn infinite_means_never() {
        assert_eq!(Cell::from(f64::INFINITY).show(Unit::Calls), "never");
        assert!(Judgement::at_least(1e6, f64::INFINITY, Unit::Calls).verdict.is_ok());
    }
}
