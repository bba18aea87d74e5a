//! b1: balancing over hosts that differ, and change.

use std::time::Duration;

use clap::Args;

use super::{
    balancers::Balancer,
    crew,
    crowd::Scene,
    fleet::{Failing, Law, Work},
    mix::Mix,
};
use crate::{
    board::{Board, Cell, Column, Judgement, Role, Unit},
    options::{Common, positive},
    progress, stats,
};

/// Options of b1.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    mix: Mix,
    /// Mean service time at full speed, in milliseconds.
    #[arg(long, default_value_t = 40.0)]
    mean: f64,
    /// Its distribution.
    #[arg(long, value_enum, default_value_t = Law::Exponential)]
    law: Law,
    /// Clients that share the load, each with a balancer of its own.
    #[arg(long, default_value_t = 20, value_parser = positive)]
    clients: usize,
    /// Offered calls, as a share of the mean capacity.
    #[arg(long, default_value_t = 0.9)]
    load: f64,
    /// The other loads.
    #[arg(long, value_delimiter = ',', default_values_t = [0.6, 0.7, 0.8, 0.95])]
    loads: Vec<f64>,
    /// Percentages of answers that are failures.
    #[arg(long, value_delimiter = ',', default_values_t = [1.0, 5.0])]
    failing: Vec<f64>,
    /// The load at which they are.
    #[arg(long, default_value_t = 0.8)]
    failing_load: f64,
    /// Failures come at once, and not after the work is done.
    #[arg(long)]
    fail_at_once: bool,
    /// Seconds of calls that are measured.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Seconds before them.
    #[arg(long, default_value_t = 15)]
    warm_up: u64,
}

pub(crate) const TITLE: &str = "b1: balancing over hosts that differ and change";

/// What is asked of ours, as shares of tower's and of the oracle's 99th percentile.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Target {
    tower: f64,
    oracle: Option<f64>,
}

const MAIN: Target = Target { tower: 0.6, oracle: Some(1.35) };
const ONE_CLIENT: Target = Target { tower: 0.8, oracle: None };
const OTHER_LOADS: Target = Target { tower: 0.65, oracle: Some(1.5) };
/// How much higher independent failures may make the 99th percentile.
const MOST_BY_FAILURES: f64 = 1.15;

/// One of the shapes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Shape {
    load: f64,
    clients: usize,
    failing: f64,
}

/// Runs the experiment: a table for each load, one for a single client, and one for failures.
pub(crate) fn run(options: &Options) -> Vec<Board> {
    let shape = |load| Shape { load, clients: options.clients, failing: 0.0 };
    let mut judged = vec![(shape(options.load), MAIN)];
    if options.clients > 1 {
        judged.push((Shape { clients: 1, ..shape(options.load) }, ONE_CLIENT));
    }
    judged.extend(options.loads.iter().map(|&load| (shape(load), OTHER_LOADS)));
    let failing: Vec<Shape> = options
        .failing
        .iter()
        .map(|failing| Shape { failing: failing / 100.0, ..shape(options.failing_load) })
        .collect();

    let mut shapes: Vec<Shape> = judged.iter().map(|(shape, _)| *shape).collect();
    shapes.push(shape(options.failing_load));
    shapes.extend(&failing);
    let mut apart: Vec<Shape> = Vec::new();
    for shape in shapes {
        if !apart.contains(&shape) {
            apart.push(shape);
        }
    }
    let jobs: Vec<(Shape, Balancer, u64)> = apart
        .iter()
        .flat_map(|shape| Balancer::FIELD.iter().map(move |balancer| (*shape, *balancer)))
        .flat_map(|(shape, balancer)| options.common.seeds().map(move |seed| (shape, balancer, seed)))
        .collect();
    let bar = progress::bar(TITLE, jobs.len());
    let runs = crew::each(&jobs, &bar, |(shape, balancer, seed)| one(options, *shape, *balancer, *seed));
    bar.finish_and_clear();
    let means: Vec<[f64; 3]> = runs.chunks(options.common.runs() as usize).map(stats::means).collect();
    let figures = |shape: &Shape| {
        let place = apart.iter().position(|other| other == shape).expect("every shape was played");
        &means[place * Balancer::FIELD.len()..][..Balancer::FIELD.len()]
    };

    let mut boards: Vec<Board> =
        judged.iter().map(|(shape, target)| board(options, *shape, *target, figures(shape))).collect();
    if !failing.is_empty() {
        let without = figures(&shape(options.failing_load));
        let with: Vec<&[[f64; 3]]> = failing.iter().map(figures).collect();
        boards.push(failures(options, without, &with));
    }
    boards
}

fn board(options: &Options, shape: Shape, target: Target, figures: &[[f64; 3]]) -> Board {
    let columns = [
        ("p50", Unit::Milliseconds),
        ("p99", Unit::Milliseconds),
        ("p99.9", Unit::Milliseconds),
        ("p99 / tower", Unit::Times),
        ("p99 / oracle", Unit::Times),
    ];
    let columns = columns.map(|(title, unit)| Column::new(title, unit).less().plotted());
    let clients = if shape.clients == 1 { "one client".into() } else { format!("{} clients", shape.clients) };
    let mut board = Board::new(format!("{TITLE}, load {}, {clients}", shape.load), columns.into());
    let p99 = |balancer| figures[Balancer::place(balancer)][1];
    for (balancer, [p50, p99_of, p999]) in Balancer::FIELD.iter().zip(figures) {
        let ratios = [p99_of / p99(Balancer::PeakEwma), p99_of / p99(Balancer::Oracle)];
        let cells = [*p50, *p99_of, *p999, ratios[0], ratios[1]];
        board.row(balancer.role(), balancer.name(), cells.map(Cell::from).into());
        if balancer.role() == Role::Ours {
            let tower = Judgement::at_most(target.tower, ratios[0], Unit::Times);
            let oracle = target.oracle.map(|limit| Judgement::at_most(limit, ratios[1], Unit::Times));
            board.judge(vec![None, None, None, Some(tower), oracle]);
        }
    }
    board.note(options.mix.note());
    board.note(options.note());
    board
}

fn failures(options: &Options, without: &[[f64; 3]], with: &[&[[f64; 3]]]) -> Board {
    let mut columns = vec![Column::new("p99 without", Unit::Milliseconds)];
    for failing in &options.failing {
        columns.push(Column::new(format!("p99 with {failing} %"), Unit::Milliseconds));
        columns.push(Column::new(format!("p99 with {failing} % / without"), Unit::Times).plotted());
    }
    let title =
        format!("{TITLE}, load {}, {} clients, independent failures", options.failing_load, options.clients);
    let mut board = Board::new(title, columns);
    for (place, balancer) in Balancer::FIELD.iter().enumerate() {
        let p99 = without[place][1];
        let mut cells = vec![Cell::from(p99)];
        let mut judgements = vec![None];
        for with in with {
            let (with, times) = (with[place][1], with[place][1] / p99);
            cells.extend([with, times].map(Cell::from));
            judgements.extend([None, Some(Judgement::at_most(MOST_BY_FAILURES, times, Unit::Times))]);
        }
        board.row(balancer.role(), balancer.name(), cells);
        if balancer.role() == Role::Ours {
            board.judge(judgements);
        }
    }
    let when = if options.fail_at_once { "at once" } else { "after the work was done" };
    board.note(format!("Failures are the requests' own and come {when}; p99 over all calls."));
    board.note(options.note());
    board
}

impl Options {
    fn note(&self) -> String {
        format!(
            "Service {:?}, mean {} ms; open-loop Poisson clients; {} s after {} s; means of {} runs, first seed {}.",
            self.law,
            self.mean,
            self.seconds,
            self.warm_up,
            self.common.runs(),
            self.common.seed,
        )
    }
}

fn one(options: &Options, shape: Shape, balancer: Balancer, seed: u64) -> [f64; 3] {
    let (mix, mean) = (options.mix, Duration::from_secs_f64(options.mean / 1e3));
    let warm = Duration::from_secs(options.warm_up);
    let until = warm + Duration::from_secs(options.seconds);
    let scene = Scene {
        seed,
        hosts: mix.servers,
        slots: mix.slots,
        work: Work { mean, law: options.law },
        failing: Failing { share: shape.failing, at_once: options.fail_at_once },
        timeout: None,
        clients: shape.clients,
        rate: shape.load * mix.capacity(mean),
        until,
    };
    let played = scene.play(balancer, move |stage, fleet, _| mix.begin(stage, fleet, seed));
    played.percentiles(warm, until, [0.5, 0.99, 0.999])
}
