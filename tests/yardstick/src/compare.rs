//! What a table says of ours beside the peers: where one is ahead, and how each target was met.

use std::{cmp::Ordering, fmt};

use crate::board::{Better, Board, NEVER, Role, Row, Unit};

/// A figure in which peers are ahead of one of our rows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Behind {
    pub(crate) figure: Figure,
    pub(crate) ours: String,
    /// Each peer that is ahead with its figure, the best first.
    pub(crate) ahead: Vec<String>,
}

/// A figure of ours beside the others'.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) figure: Figure,
    /// What stands there without any layer.
    pub(crate) bare: String,
    /// The best of the peers, and its figure.
    pub(crate) peer: String,
    pub(crate) ours: String,
}

/// A figure of which something is asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) standing: Standing,
    pub(crate) target: String,
    /// Why the target was missed, if it was.
    pub(crate) missed: Option<String>,
}

/// What was measured of ours.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Figure {
    pub(crate) label: String,
    pub(crate) unit: Unit,
    /// Which row of ours it is of, where that is not simply ours.
    which: Option<String>,
}

impl Figure {
    fn new(board: &Board, column: usize, row: &Row) -> Self {
        let which = row.name.split_once(", ").map(|(_, which)| which.to_owned());
        Self { label: board.label(column), unit: board.columns[column].unit, which }
    }

    /// What is said of the row, in parentheses.
    pub(crate) fn which(&self) -> String {
        self.which.as_ref().map_or_else(String::new, |which| format!(" ({which})"))
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.label, self.which())
    }
}

/// Every figure of the board in which a peer is ahead as far as is shown, whether a target asks for it or not.
pub(crate) fn behind(board: &Board) -> Vec<Behind> {
    let mut found = Vec::new();
    for ours in board.rows.iter().filter(|row| row.role == Role::Ours) {
        for (column, better) in
            (0..board.columns.len()).filter_map(|at| Some((at, board.columns[at].better?)))
        {
            let Some(figure) = ours.cells[column].figure() else { continue };
            let shown = show(board, ours, column);
            let mut ahead: Vec<(&Row, f64)> = peers(board, column)
                .filter(|(row, peer)| better.prefers(*peer, figure) && show(board, row, column) != shown)
                .collect();
            ahead.sort_by(|one, other| order(better, one.1, other.1));
            if !ahead.is_empty() {
                found.push(Behind {
                    figure: Figure::new(board, column, ours),
                    ours: with_unit(board, column, &shown),
                    ahead: ahead.into_iter().map(|(row, _)| named(board, row, column)).collect(),
                });
            }
        }
    }
    found
}

/// Every figure of the board of which a target asks something.
pub(crate) fn judged(board: &Board) -> Vec<Judged> {
    let mut found = Vec::new();
    let ours = |before: usize| board.rows[..before].iter().rfind(|row| row.role == Role::Ours);
    for (place, rows) in board.rows.windows(2).enumerate() {
        let [target, verdict] = rows else { continue };
        let (Role::Target, Some(ours)) = (target.role, ours(place)) else { continue };
        for column in (0..board.columns.len()).filter(|column| target.cells[*column].is_limit()) {
            found.push(Judged {
                standing: standing(board, column, ours),
                target: show(board, target, column),
                missed: verdict.cells[column].is_miss().then(|| show(board, verdict, column)),
            });
        }
    }
    found
}

/// Ours, the best of the peers, and what stands there without any layer, in the column that is labelled so. Of several
/// rows of ours it is the last, which is the one that comes as it is: a standard stack, an own back-off.
pub(crate) fn last_of_ours(board: &Board, label: &str) -> Option<Standing> {
    let column = (0..board.columns.len()).find(|column| board.label(*column) == label)?;
    let ours = board.rows.iter().rfind(|row| row.role == Role::Ours)?;
    Some(standing(board, column, ours))
}

fn standing(board: &Board, column: usize, ours: &Row) -> Standing {
    let bare = board.rows.iter().find(|row| row.role == Role::Bare);
    let best = board.columns[column]
        .better
        .and_then(|better| peers(board, column).min_by(|one, other| order(better, one.1, other.1)));
    Standing {
        figure: Figure::new(board, column, ours),
        bare: bare.map_or_else(String::new, |bare| show(board, bare, column)),
        peer: best.map_or_else(|| "-".into(), |(row, _)| named(board, row, column)),
        ours: with_unit(board, column, &show(board, ours, column)),
    }
}

/// The peers that have a figure in a column.
fn peers(board: &Board, column: usize) -> impl Iterator<Item = (&Row, f64)> {
    let peers = board.rows.iter().filter(|row| row.role == Role::Peer);
    peers.filter_map(move |row| Some((row, row.cells[column].figure()?)))
}

/// The better one first.
fn order(better: Better, one: f64, other: f64) -> Ordering {
    match better {
        Better::Less => one.total_cmp(&other),
        Better::More => other.total_cmp(&one),
    }
}

fn named(board: &Board, row: &Row, column: usize) -> String {
    format!("{} {}", row.name, show(board, row, column))
}

fn show(board: &Board, row: &Row, column: usize) -> String {
    row.cells[column].show(board.columns[column].unit)
}

fn with_unit(board: &Board, column: usize, shown: &str) -> String {
    if shown == NEVER { shown.into() } else { format!("{shown} {}", board.columns[column].unit.name()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::{Cell, Column, Judgement, Unit};

    fn board() -> Board {
        let columns = vec![
            Column::new("p99", Unit::Milliseconds),
            Column::new("served", Unit::Percent),
            Column::new("share", Unit::Percent),
        ];
        let mut board = Board::new("x1: an example", columns);
        let row = |figures: [f64; 3]| figures.map(Cell::from).to_vec();
        board.row(Role::Bare, "nothing", row([9.0, 1.0, 0.0]));
        board.row(Role::Peer, "slow", row([8.0, 99.0, 1.0]));
        board.row(Role::Peer, "swift", row([4.0, 90.0, 2.0]));
        board.row(Role::Peer, "as good", row([4.96, 90.0, 2.0]));
        board.row(Role::Aside, "oracle", row([1.0, 100.0, 3.0]));
        board.row(Role::Ours, "ours, plain", row([5.0, 98.0, 4.0]));
        board.judge(vec![
            Some(Judgement::at_most(4.5, 5.0, Unit::Milliseconds)),
            Some(Judgement::at_least(95.0, 98.0, Unit::Percent)),
        ]);
        board
    }

    #[test]
    fn who_is_ahead_is_told_the_best_first() {
        let found = behind(&board());
        let told: Vec<(String, &str, Vec<&str>)> = found
            .iter()
            .map(|one| (one.figure.to_string(), &*one.ours, one.ahead.iter().map(String::as_str).collect()))
            .collect();
        assert_eq!(
            told,
            [
                ("p99 (plain)".into(), "5.0 ms", vec!["swift 4.0"]),
                ("served (plain)".into(), "98.0 %", vec!["slow 99.0"]),
            ],
            "an oracle is no peer, what shows the same is not ahead, and what has no better has nobody ahead"
        );
    }

    #[test]
    fn targets_stand_beside_the_best_peer() {
        let found = judged(&board());
        let told: Vec<[&str; 5]> = found
            .iter()
            .map(|Judged { standing: one, target, .. }| {
                [&*one.figure.label, &*one.bare, &*one.peer, &*one.ours, target]
            })
            .collect();
        assert_eq!(
            told,
            [
                ["p99", "9.0", "swift 4.0", "5.0 ms", "≤ 4.5"],
                ["served", "1.0", "slow 99.0", "98.0 %", "≥ 95.0"],
            ]
        );
        assert_eq!(last_of_ours(&board(), "p99").as_ref(), Some(&found[0].standing));
        assert_eq!(last_of_ours(&board(), "p98"), None);
        let missed: Vec<Option<&str>> = found.iter().map(|one| one.missed.as_deref()).collect();
        assert_eq!(missed, [Some("missed: 5.0"), None]);
    }
}
