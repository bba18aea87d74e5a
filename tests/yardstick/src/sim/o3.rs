//! o3: what matters while three times as much is asked for as can be done.

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

/// Options of o3.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    shape: Shape,
    /// Requests that the service works on at once; each number has a table.
    #[arg(long, value_delimiter = ',', default_values_t = [4, 16, 128])]
    workers: Vec<usize>,
    /// Offered requests, as a share of the capacity.
    #[arg(long, default_value_t = 3.0)]
    load: f64,
    /// Seconds for which so much is offered.
    #[arg(long, default_value_t = 120.0)]
    seconds: f64,
    /// Seconds before that.
    #[arg(long, default_value_t = 20.0)]
    before: f64,
    /// Offered requests before.
    #[arg(long, default_value_t = 0.7)]
    base: f64,
    /// Share of critical requests; the others are sheddable.
    #[arg(long, default_value_t = 0.2)]
    critical: f64,
    /// What tower's fixed limit admits for each worker.
    #[arg(long, default_value_t = 2.0)]
    per_worker: f64,
}

pub(crate) const TITLE: &str = "o3: priorities under overload";

/// Runs the experiment: a table for each number of workers.
pub(crate) fn run(options: &Options) -> Vec<Board> {
    let shedders = Shedder::all(options.per_worker);
    let mut jobs = Vec::new();
    for &workers in &options.workers {
        for shedder in shedders {
            jobs.extend(options.common.seeds().map(|seed| (workers, shedder, seed)));
        }
    }
    let phases = [Phase::new(options.before, options.base), Phase::new(options.seconds, options.load)];
    let bar = progress::bar(TITLE, jobs.len());
    let tallies = crew::each(&jobs, &bar, |&(workers, shedder, seed)| {
        let critical = Some(options.critical);
        let run = Run { shape: options.shape, workers, phases: &phases, critical, seed };
        shedder.play(&run).tallies[1]
    });
    bar.finish_and_clear();
    let boards = options.workers.iter().zip(tallies.chunks(options.common.runs() as usize * shedders.len()));
    boards.map(|(&workers, tallies)| board(options, workers, tallies)).collect()
}

/// Percent of the critical requests that were served in time, of the others, and of the ideal goodput.
fn figures(tally: &Tally) -> [f64; 3] {
    let others = tally.offered - tally.critical;
    [
        100.0 * tally.critical_served / tally.critical,
        100.0 * (tally.served - tally.critical_served) / others,
        tally.goodput(),
    ]
}

fn board(options: &Options, workers: usize, tallies: &[Tally]) -> Board {
    let columns = ["critical served", "others served", "goodput"];
    let columns = columns.map(|title| Column::new(title, Unit::Percent).more().plotted());
    let mut board = Board::new(format!("{TITLE}, {workers} workers"), columns.into());
    let runs = options.common.runs() as usize;
    for (shedder, tallies) in Shedder::all(options.per_worker).iter().zip(tallies.chunks(runs)) {
        let means = stats::means(&tallies.iter().map(figures).collect::<Vec<_>>());
        board.row(shedder.role(), shedder.name(), means.map(Cell::from).into());
        if shedder.role() == Role::Ours {
            let [critical, _, goodput] = means;
            let least = if workers >= 16 { 99.8 } else { 99.4 };
            board.judge(vec![
                Some(Judgement::at_least(least, critical, Unit::Percent)),
                None,
                Some(Judgement::at_least(97.0, goodput, Unit::Percent)),
            ]);
        }
    }
    let Shape { service, law, deadline, refusal } = options.shape;
    board.note(format!(
        "{} × the capacity for {} s after {} s at {}, {} % of it critical, the others sheddable. Service {law:?} {service} ms, deadline {deadline} ms, a refusal costs {refusal} ms; mean of {runs} runs, first seed {}.",
        options.load,
        options.seconds,
        options.before,
        options.base,
        100.0 * options.critical,
        options.common.seed,
    ));
    board.note("The fixed limit and the published rules know no priorities.");
    board
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_critical_counts_apart() {
        let tally = Tally {
            offered: 100.0,
            critical: 20.0,
            critical_served: 19.0,
            served: 35.0,
            refused: 65.0,
            ideal: 50.0,
        };
        assert_eq!(figures(&tally), [95.0, 20.0, 70.0]);
    }
}
