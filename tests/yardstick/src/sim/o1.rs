//! o1: a service that is asked for more than it can do, or gets slow.

use clap::Args;

use super::{
    crew,
    doors::Shedder,
    overload::{Phase, Run, Shape, Tally},
};
use crate::{
    board::{Board, Cell, Column, Judgement, Role, Unit},
    options::Common,
    progress, stats,
};

/// Options of o1.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    shape: Shape,
    /// Requests that the service works on at once; each number has a table.
    #[arg(long, value_delimiter = ',', default_values_t = [4, 16, 128])]
    workers: Vec<usize>,
    /// Seconds for which it is disturbed; each number has a table.
    #[arg(long, value_delimiter = ',', default_values_t = [30.0, 120.0])]
    seconds: Vec<f64>,
    /// Seconds before that.
    #[arg(long, default_value_t = 20.0)]
    before: f64,
    /// Offered requests before it is asked for too much, as a share of the capacity.
    #[arg(long, default_value_t = 0.7)]
    base: f64,
    /// Offered requests when it is.
    #[arg(long, value_delimiter = ',', default_values_t = [1.5, 3.0])]
    overloads: Vec<f64>,
    /// How many times longer a request takes where the service gets slow.
    #[arg(long, default_value_t = 2.5)]
    slower: f64,
    /// Offered requests there, and where nothing is wrong.
    #[arg(long, default_value_t = 0.9)]
    steady: f64,
    /// What tower's fixed limit admits for each worker.
    #[arg(long, default_value_t = 2.0)]
    per_worker: f64,
}

pub(crate) const TITLE: &str = "o1: goodput under overload";

impl Options {
    /// What is done to the service, by name; the last is nothing.
    fn cells(&self, seconds: f64) -> Vec<(String, [Phase; 2])> {
        let offered = |&load: &f64| {
            let phases = [Phase::new(self.before, self.base), Phase::new(seconds, load)];
            (format!("offered {load} ×"), phases)
        };
        let steady = |slower| {
            [Phase::new(self.before, self.steady), Phase { slower, ..Phase::new(seconds, self.steady) }]
        };
        let mut cells: Vec<_> = self.overloads.iter().map(offered).collect();
        cells.push((format!("service × {}", self.slower), steady(self.slower)));
        cells.push((format!("steady {}", self.steady), steady(1.0)));
        cells
    }

    fn shedders(&self) -> impl ExactSizeIterator<Item = Shedder> + use<> {
        let mut shedders = Shedder::all(self.per_worker).to_vec();
        shedders.push(Shedder::Standard);
        shedders.into_iter()
    }
}

/// Runs the experiment: a table for each number of workers and each length.
pub(crate) fn run(options: &Options) -> Vec<Board> {
    let pairs =
        options.workers.iter().flat_map(|&workers| options.seconds.iter().map(move |&s| (workers, s)));
    let settings: Vec<(usize, f64)> = pairs.collect();
    let cells = options.cells(0.0).len();
    let mut jobs = Vec::new();
    for &(workers, seconds) in &settings {
        for shedder in options.shedders() {
            for (_, phases) in options.cells(seconds) {
                jobs.extend(options.common.seeds().map(|seed| (workers, shedder, phases, seed)));
            }
        }
    }
    let bar = progress::bar(TITLE, jobs.len());
    let tallies = crew::each(&jobs, &bar, |(workers, shedder, phases, seed)| {
        let run = Run { shape: options.shape, workers: *workers, phases, critical: None, seed: *seed };
        shedder.play(&run).tallies[1]
    });
    bar.finish_and_clear();
    let each = options.common.runs() as usize * cells * options.shedders().len();
    let boards = settings.iter().zip(tallies.chunks(each));
    boards.map(|(&(workers, seconds), tallies)| board(options, workers, seconds, tallies)).collect()
}

/// Goodput in each cell, the worst of them, and what was refused in the last, in percent.
fn figures(options: &Options, tallies: &[Tally]) -> Vec<f64> {
    let cells = tallies.chunks(options.common.runs() as usize);
    let mean =
        |cell: &[Tally], figure: fn(&Tally) -> f64| stats::mean(&cell.iter().map(figure).collect::<Vec<_>>());
    let mut figures: Vec<f64> = cells.clone().map(|cell| mean(cell, Tally::goodput)).collect();
    figures.push(figures.iter().copied().fold(f64::INFINITY, f64::min));
    let refused = cells.last().map(|cell| mean(cell, |tally| 100.0 * tally.refused / tally.offered));
    figures.extend(refused);
    figures
}

fn board(options: &Options, workers: usize, seconds: f64, tallies: &[Tally]) -> Board {
    let cells = options.cells(seconds);
    let mut columns: Vec<Column> =
        cells.iter().map(|(name, _)| Column::new(name, Unit::Percent).more()).collect();
    columns.push(Column::new("worst", Unit::Percent).plotted());
    columns.push(Column::new(format!("refused at {}", options.steady), Unit::Percent));
    let mut board = Board::new(format!("{TITLE}, {workers} workers, {seconds} s"), columns);
    let mut bare = 0.0;
    for (shedder, tallies) in
        options.shedders().zip(tallies.chunks(options.common.runs() as usize * cells.len()))
    {
        let figures = figures(options, tallies);
        let [.., steady, worst, refused] = figures[..] else { continue };
        board.row(shedder.role(), shedder.name(), figures.iter().map(|&figure| Cell::from(figure)).collect());
        match shedder.role() {
            Role::Bare => bare = steady,
            Role::Ours => {
                let many = workers >= 16;
                let mut judgements = vec![None; cells.len() - 1];
                judgements.push(many.then(|| Judgement::at_least(bare - NOISE, steady, Unit::Percent)));
                judgements.push(Some(Judgement::at_least(
                    if many { 94.0 } else { 90.0 },
                    worst,
                    Unit::Percent,
                )));
                judgements.push(Some(Judgement::at_most(
                    if many { 1.0 } else { 6.5 },
                    refused,
                    Unit::Percent,
                )));
                board.judge(judgements);
            }
            _ => {}
        }
    }
    let Shape { service, law, deadline, refusal } = options.shape;
    board.note(format!(
        "Percent of the ideal goodput, which is all that is offered or all that the workers can do, in the {seconds} s after {} s at {} or {}. Service {law:?} {service} ms, deadline {deadline} ms, a refusal costs {refusal} ms; mean of {} runs, first seed {}.",
        options.before,
        options.base,
        options.steady,
        options.common.runs(),
        options.common.seed,
    ));
    board.note("The standard stack of a server is told the deadline by the request's header; all else is as it is by default.");
    board.note("Where nothing is wrong, ours may not serve less than no shedding does, but for a hundredth of a percent.");
    board
}

/// Percent of goodput that are no difference.
const NOISE: f64 = 0.01;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_cell_counts() {
        let options = Options {
            common: Common::QUICK,
            shape: Shape::USUAL,
            workers: vec![16],
            seconds: vec![5.0],
            before: 5.0,
            base: 0.7,
            overloads: vec![3.0],
            slower: 2.5,
            steady: 0.9,
            per_worker: 2.0,
        };
        let boards = run(&options);
        let [board] = &boards[..] else { panic!("one table") };
        let row = |role| board.rows.iter().find(|row| row.role == role).expect("there is one");
        let worst = |role| match row(role).cells[3] {
            Cell::Number(worst) => worst,
            _ => panic!("a number"),
        };
        assert!(worst(Role::Bare) < 20.0);
        assert!(worst(Role::Ours) > 80.0);
        assert_eq!(row(Role::Ours).cells.len(), 5);
    }
}
