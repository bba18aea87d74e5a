//! b6: few hosts, one of which is ill in one way after another.

use std::time::Duration;

use clap::Args;

use super::{
    balancers::Balancer,
    crew,
    crowd::Scene,
    fleet::{Failing, Fleet, Law, Mood, Work},
    stage::Stage,
};
use crate::{
    board::{Board, Cell, Column, Judgement, Role, Unit},
    options::{Common, positive},
    progress, stats,
};

/// Options of b6.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Servers, of which the first falls ill.
    #[arg(long, default_value_t = 5, value_parser = positive)]
    servers: usize,
    /// Requests that each works on at once.
    #[arg(long, default_value_t = 8, value_parser = positive)]
    slots: usize,
    /// Mean service time, in milliseconds.
    #[arg(long, default_value_t = 20.0)]
    mean: f64,
    /// Its distribution.
    #[arg(long, value_enum, default_value_t = Law::Exponential)]
    law: Law,
    /// Clients, each with a balancer of its own.
    #[arg(long, default_value_t = 10, value_parser = positive)]
    clients: usize,
    /// Calls per second of each.
    #[arg(long, value_delimiter = ',', default_values_t = [10.0, 50.0])]
    rates: Vec<f64>,
    /// Milliseconds after which a call has failed.
    #[arg(long, default_value_t = 1000)]
    timeout: u64,
    /// How many times as long a slow server takes.
    #[arg(long, default_value_t = 10.0)]
    slower: f64,
    /// Seconds for which the one is ill.
    #[arg(long, default_value_t = 60)]
    ill_seconds: u64,
    /// Seconds before, and between that and the moment when all fail.
    #[arg(long, default_value_t = 30)]
    well_seconds: u64,
    /// Seconds for which all fail.
    #[arg(long, default_value_t = 3)]
    down_seconds: u64,
    /// Seconds after it.
    #[arg(long, default_value_t = 20)]
    after_seconds: u64,
}

pub(crate) const TITLE: &str = "b6: one of few hosts is ill";

const MOST_SHARE: f64 = 5.0;
const MOST_ERRORS: f64 = 0.5;
const WITHIN: Duration = Duration::from_secs(3);
const RECOVERY: Duration = Duration::from_secs(1);

/// What the first host has.
#[derive(Clone, Copy, Debug)]
enum Illness {
    Hangs,
    Fails,
    Slow,
    Flaps,
}

impl Illness {
    const ALL: [Self; 4] = [Self::Hangs, Self::Fails, Self::Slow, Self::Flaps];

    fn name(self, options: &Options) -> String {
        match self {
            Self::Hangs => "black-holed".into(),
            Self::Fails => "failing at once".into(),
            Self::Slow => format!("{} × slower", options.slower),
            Self::Flaps => "failing at once every other second".into(),
        }
    }
}

/// Runs the experiment: a table for each rate and illness.
pub(crate) fn run(options: &Options) -> Vec<Board> {
    let shapes = options.rates.iter().flat_map(|rate| Illness::ALL.map(|illness| (*rate, illness)));
    let shapes: Vec<(f64, Illness)> = shapes.collect();
    let jobs: Vec<(f64, Illness, Balancer, u64)> = shapes
        .iter()
        .flat_map(|(rate, illness)| Balancer::AMONG_FAILURES.map(|balancer| (*rate, *illness, balancer)))
        .flat_map(|(rate, illness, balancer)| {
            options.common.seeds().map(move |seed| (rate, illness, balancer, seed))
        })
        .collect();
    let bar = progress::bar(TITLE, jobs.len());
    let runs = crew::each(&jobs, &bar, |(rate, illness, balancer, seed)| {
        one(options, *rate, *illness, *balancer, *seed)
    });
    bar.finish_and_clear();
    let means: Vec<[f64; 4]> = runs.chunks(options.common.runs() as usize).map(stats::means).collect();
    let boards = shapes.iter().zip(means.chunks(Balancer::AMONG_FAILURES.len()));
    boards.map(|((rate, illness), means)| board(options, *rate, *illness, means)).collect()
}

fn board(options: &Options, rate: f64, illness: Illness, means: &[[f64; 4]]) -> Board {
    let columns = [
        ("its share after 3 s", Unit::Percent),
        ("errors", Unit::Percent),
        ("errors once all recovered", Unit::Calls),
        ("its share at the end", Unit::Percent),
    ];
    let columns = columns.map(|(title, unit)| Column::new(title, unit).plotted());
    let title = format!("{TITLE}: {}, {rate} requests/s per client", illness.name(options));
    let mut board = Board::new(title, columns.into());
    for (balancer, figures) in Balancer::AMONG_FAILURES.iter().zip(means) {
        board.row(balancer.role(), balancer.name(), figures.map(Cell::from).into());
        if balancer.role() == Role::Ours {
            board.judge(vec![
                Some(Judgement::at_most(MOST_SHARE, figures[0], Unit::Percent)),
                Some(Judgement::at_most(MOST_ERRORS, figures[1], Unit::Percent)),
                Some(Judgement::at_most(0.0, figures[2], Unit::Calls)),
                None,
            ]);
        }
    }
    board.note(format!(
        "{} servers of {} slots, service {:?}, mean {} ms, a call fails after {} ms; {} clients. The first is ill for {} s after {} s; {} s later all fail for {} s, and {} s follow. Share and errors while it is ill; errors from 1 s after all recovered; its share in the last half of what follows. Means of {} runs, first seed {}.",
        options.servers,
        options.slots,
        options.law,
        options.mean,
        options.timeout,
        options.clients,
        options.ill_seconds,
        options.well_seconds,
        options.well_seconds,
        options.down_seconds,
        options.after_seconds,
        options.common.runs(),
        options.common.seed,
    ));
    board
}

fn one(options: &Options, rate: f64, illness: Illness, balancer: Balancer, seed: u64) -> [f64; 4] {
    let seconds = Duration::from_secs;
    let begin = seconds(options.well_seconds);
    let end = begin + seconds(options.ill_seconds);
    let down = end + seconds(options.well_seconds);
    let up = down + seconds(options.down_seconds);
    let until = up + seconds(options.after_seconds);
    let scene = Scene {
        seed,
        hosts: options.servers,
        slots: options.slots,
        work: Work { mean: Duration::from_secs_f64(options.mean / 1e3), law: options.law },
        failing: Failing::default(),
        timeout: Some(Duration::from_millis(options.timeout)),
        clients: options.clients,
        rate: rate * options.clients as f64,
        until,
    };
    let (servers, slower) = (options.servers, options.slower);
    let played = scene.play(balancer, move |stage, fleet, _| {
        let at = |time, act: fn(&Fleet, f64, usize), speed: f64, host: usize| {
            let fleet = fleet.clone();
            stage.later(time, move || act(&fleet, speed, host));
        };
        let well = |fleet: &Fleet, speed: f64, host: usize| {
            fleet.set_mood(host, Mood::Well);
            fleet.set_speed(host, speed);
        };
        fall_ill(stage, fleet, illness, slower, [begin, end]);
        at(end, well, 1.0, 0);
        for host in 0..servers {
            at(down, |fleet, _, host| fleet.set_mood(host, Mood::Fails), 1.0, host);
            at(up, well, 1.0, host);
        }
    });
    let settled = begin + WITHIN;
    let share = |from, to| {
        let visits = |host| played.visits(host, from, to);
        100.0 * visits(0) / (0..options.servers).map(visits).sum::<f64>()
    };
    let errors = 100.0 * played.failed(begin, end) / played.within(begin, end).count() as f64;
    let last = up + seconds(options.after_seconds) / 2;
    [share(settled, end), errors, played.failed(up + RECOVERY, until), share(last, until)]
}

fn fall_ill(stage: &Stage, fleet: &Fleet, illness: Illness, slower: f64, [begin, end]: [Duration; 2]) {
    let turn = |time, act: fn(&Fleet, f64)| {
        let fleet = fleet.clone();
        stage.later(time, move || act(&fleet, slower));
    };
    match illness {
        Illness::Hangs => turn(begin, |fleet, _| fleet.set_mood(0, Mood::Hangs)),
        Illness::Fails => turn(begin, |fleet, _| fleet.set_mood(0, Mood::Fails)),
        Illness::Slow => turn(begin, |fleet, slower| fleet.set_speed(0, 1.0 / slower)),
        Illness::Flaps => {
            let mut time = begin;
            while time < end {
                turn(time, |fleet, _| fleet.set_mood(0, Mood::Fails));
                turn(time + Duration::from_secs(1), |fleet, _| fleet.set_mood(0, Mood::Well));
                time += Duration::from_secs(2);
            }
        }
    }
}
