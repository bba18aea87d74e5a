//! b2: hosts that fail at once, and look idle.

use std::time::Duration;

use clap::Args;

use super::{
    balancers::Balancer,
    crew,
    crowd::Scene,
    fleet::{Failing, Law, Mood, Work},
    mix::Mix,
};
use crate::{
    board::{Board, Cell, Column, Judgement, Role, Unit},
    options::{Common, positive},
    progress, stats,
};

/// Options of b2.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    mix: Mix,
    /// Mean service times at full speed, in milliseconds: a column each.
    #[arg(long, value_delimiter = ',', default_values_t = [4.0, 40.0, 400.0, 2000.0])]
    means: Vec<f64>,
    /// Their distribution.
    #[arg(long, value_enum, default_value_t = Law::Exponential)]
    law: Law,
    /// Servers that fail.
    #[arg(long, default_value_t = 2)]
    bad: usize,
    /// Clients that share the load, each with a balancer of its own.
    #[arg(long, default_value_t = 20, value_parser = positive)]
    clients: usize,
    /// Offered calls, as a share of the mean capacity of all servers.
    #[arg(long, default_value_t = 0.8)]
    load: f64,
    /// Calls.
    #[arg(long, default_value_t = 24_000, value_parser = positive)]
    calls: usize,
    /// Share of the calls after which servers begin to fail.
    #[arg(long, default_value_t = 0.2)]
    after: f64,
}

pub(crate) const TITLE: &str = "b2: hosts that fail at once";

/// Failed calls that each client may spend on each bad server.
const MOST_EACH: f64 = 1.5;

/// Runs the experiment.
pub(crate) fn run(options: &Options) -> Vec<Board> {
    let jobs: Vec<(f64, Balancer, u64)> = options
        .means
        .iter()
        .flat_map(|mean| Balancer::AMONG_FAILURES.iter().map(move |balancer| (*mean, *balancer)))
        .flat_map(|(mean, balancer)| options.common.seeds().map(move |seed| (mean, balancer, seed)))
        .collect();
    let bar = progress::bar(TITLE, jobs.len());
    let failed = crew::each(&jobs, &bar, |(mean, balancer, seed)| one(options, *mean, *balancer, *seed));
    bar.finish_and_clear();
    let failed: Vec<f64> = failed.chunks(options.common.runs() as usize).map(stats::mean).collect();

    let columns =
        options.means.iter().map(|mean| Column::new(format!("failed, {mean} ms"), Unit::Calls).plotted());
    let mut board = Board::new(TITLE, columns.collect());
    let limit = MOST_EACH * (options.clients * options.bad) as f64;
    for (place, balancer) in Balancer::AMONG_FAILURES.iter().enumerate() {
        let figures: Vec<f64> =
            failed.chunks(Balancer::AMONG_FAILURES.len()).map(|mean| mean[place]).collect();
        board.row(balancer.role(), balancer.name(), figures.iter().copied().map(Cell::from).collect());
        if balancer.role() == Role::Ours {
            let judged = |failed: &f64| Some(Judgement::at_most(limit, *failed, Unit::Calls));
            board.judge(figures.iter().map(judged).collect());
        }
    }
    board.note(options.mix.note());
    board.note(format!(
        "{} of them, spread over fast and slow, fail every call at once after {:.0} % of {} calls; {} clients, load {}, service {:?}; means of {} runs, first seed {}.",
        options.bad,
        options.after * 100.0,
        options.calls,
        options.clients,
        options.load,
        options.law,
        options.common.runs(),
        options.common.seed,
    ));
    vec![board]
}

fn one(options: &Options, mean: f64, balancer: Balancer, seed: u64) -> f64 {
    let (mix, mean) = (options.mix, Duration::from_secs_f64(mean / 1e3));
    let rate = options.load * mix.capacity(mean);
    let until = Duration::from_secs_f64(options.calls as f64 / rate);
    let scene = Scene {
        seed,
        hosts: mix.servers,
        slots: mix.slots,
        work: Work { mean, law: options.law },
        failing: Failing::default(),
        timeout: None,
        clients: options.clients,
        rate,
        until,
    };
    let (bad, from) = (options.bad, until.mul_f64(options.after));
    let played = scene.play(balancer, move |stage, fleet, _| {
        mix.begin(stage, fleet, seed);
        let fleet = fleet.clone();
        let fail = move || {
            (0..bad).for_each(|chosen| fleet.set_mood(place(chosen, bad, mix.servers), Mood::Fails));
        };
        // Servers that fail from the first call on never were well.
        if from.is_zero() { fail() } else { stage.later(from, fail) }
    });
    played.failed(Duration::ZERO, until)
}

/// Which of so many servers is this one of the chosen, when they are spread evenly.
pub(crate) fn place(chosen: usize, of: usize, servers: usize) -> usize {
    (2 * chosen + 1) * servers / (2 * of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_are_spread() {
        assert_eq!((0..2).map(|chosen| place(chosen, 2, 20)).collect::<Vec<_>>(), [5, 15]);
        assert_eq!((0..3).map(|chosen| place(chosen, 3, 3)).collect::<Vec<_>>(), [0, 1, 2]);
    }
}
