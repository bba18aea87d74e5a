//! b3: hosts that become slow for a while.

use std::time::Duration;

use clap::Args;

use super::{
    b2::place,
    balancers::Balancer,
    crew,
    crowd::Scene,
    fleet::{Failing, Law, Work},
};
use crate::{
    board::{Board, Cell, Column, Judgement, Role, Unit},
    options::{Common, positive},
    progress, stats,
};

/// Options of b3.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Servers.
    #[arg(long, default_value_t = 20, value_parser = positive)]
    servers: usize,
    /// Requests that each works on at once.
    #[arg(long, default_value_t = 4, value_parser = positive)]
    slots: usize,
    /// Mean service time, in milliseconds.
    #[arg(long, default_value_t = 40.0)]
    mean: f64,
    /// Its distribution.
    #[arg(long, value_enum, default_value_t = Law::Exponential)]
    law: Law,
    /// Servers that become slow, of each twenty.
    #[arg(long, default_value_t = 2)]
    slow: usize,
    /// How many times as long they then take.
    #[arg(long, default_value_t = 10.0)]
    slower: f64,
    /// Seconds for which they do.
    #[arg(long, default_value_t = 8)]
    slow_seconds: u64,
    /// Clients that share the load, each with a balancer of its own.
    #[arg(long, default_value_t = 20, value_parser = positive)]
    clients: usize,
    /// Offered calls, as a share of the capacity when no server is slow.
    #[arg(long, default_value_t = 0.7)]
    load: f64,
    /// The other numbers of servers.
    #[arg(long, value_delimiter = ',', default_values_t = [10, 100])]
    other_servers: Vec<usize>,
    /// The other numbers of clients.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 5])]
    other_clients: Vec<usize>,
    /// The other loads.
    #[arg(long, value_delimiter = ',', default_values_t = [0.5, 0.85])]
    other_loads: Vec<f64>,
    /// Seconds of calls that are measured; servers become slow after a fifth of them.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Seconds before them.
    #[arg(long, default_value_t = 10)]
    warm_up: u64,
}

pub(crate) const TITLE: &str = "b3: hosts that become slow";

const MOST: f64 = 550.0;
const MOST_ELSEWHERE: f64 = 650.0;

/// One of the shapes.
#[derive(Clone, Copy, Debug)]
struct Shape {
    servers: usize,
    clients: usize,
    load: f64,
}

/// Runs the experiment: a table for the shape itself, and one for its neighbours.
pub(crate) fn run(options: &Options) -> Vec<Board> {
    let main = Shape { servers: options.servers, clients: options.clients, load: options.load };
    let mut shapes = vec![main];
    shapes.extend(options.other_servers.iter().map(|&servers| Shape { servers, ..main }));
    shapes.extend(options.other_clients.iter().map(|&clients| Shape { clients, ..main }));
    shapes.extend(options.other_loads.iter().map(|&load| Shape { load, ..main }));
    let jobs: Vec<(Shape, Balancer, u64)> = shapes
        .iter()
        .flat_map(|shape| Balancer::FIELD.iter().map(move |balancer| (*shape, *balancer)))
        .flat_map(|(shape, balancer)| options.common.seeds().map(move |seed| (shape, balancer, seed)))
        .collect();
    let bar = progress::bar(TITLE, jobs.len());
    let runs = crew::each(&jobs, &bar, |(shape, balancer, seed)| one(options, *shape, *balancer, *seed));
    bar.finish_and_clear();
    let means: Vec<[f64; 3]> = runs.chunks(options.common.runs() as usize).map(stats::means).collect();
    let (first, others) = means.split_at(Balancer::FIELD.len());

    let columns = ["p50", "p99", "p99.9"].map(|title| Column::new(title, Unit::Milliseconds).plotted());
    let mut board = Board::new(TITLE, columns.into());
    for (balancer, figures) in Balancer::FIELD.iter().zip(first) {
        board.row(balancer.role(), balancer.name(), figures.map(Cell::from).into());
        if balancer.role() == Role::Ours {
            board.judge(vec![None, None, Some(Judgement::at_most(MOST, figures[2], Unit::Milliseconds))]);
        }
    }
    board.note(options.note(main));
    let mut boards = vec![board];
    if shapes.len() > 1 {
        boards.push(neighbours(options, &shapes[1..], others));
    }
    boards
}

fn neighbours(options: &Options, shapes: &[Shape], means: &[[f64; 3]]) -> Board {
    let main = Shape { servers: options.servers, clients: options.clients, load: options.load };
    let title = |shape: &Shape| {
        if shape.servers != main.servers {
            format!("{} servers", shape.servers)
        } else if shape.clients != main.clients {
            format!("{} clients", shape.clients)
        } else {
            format!("load {}", shape.load)
        }
    };
    let columns = shapes.iter().map(|shape| Column::new(title(shape), Unit::Milliseconds).plotted());
    let mut board = Board::new(format!("{TITLE}, p99.9 of its neighbours"), columns.collect());
    for (place, balancer) in Balancer::FIELD.iter().enumerate() {
        let figures: Vec<f64> = means.chunks(Balancer::FIELD.len()).map(|shape| shape[place][2]).collect();
        board.row(balancer.role(), balancer.name(), figures.iter().copied().map(Cell::from).collect());
        if balancer.role() == Role::Ours {
            let judged = |figure: &f64| Some(Judgement::at_most(MOST_ELSEWHERE, *figure, Unit::Milliseconds));
            board.judge(figures.iter().map(judged).collect());
        }
    }
    board.note("Each differs from the first table in what its column says.");
    board
}

impl Options {
    /// Servers of so many that become slow: one at least.
    fn slow_of(&self, servers: usize) -> usize {
        (servers * self.slow / 20).max(1)
    }

    fn note(&self, shape: Shape) -> String {
        format!(
            "{} equal servers of {} slots, {} of which take {} × as long for {} s; service {:?}, mean {} ms; {} clients, load {}, {} s after {} s; means of {} runs, first seed {}.",
            shape.servers,
            self.slots,
            self.slow_of(shape.servers),
            self.slower,
            self.slow_seconds,
            self.law,
            self.mean,
            shape.clients,
            shape.load,
            self.seconds,
            self.warm_up,
            self.common.runs(),
            self.common.seed,
        )
    }
}

fn one(options: &Options, shape: Shape, balancer: Balancer, seed: u64) -> [f64; 3] {
    let mean = Duration::from_secs_f64(options.mean / 1e3);
    let warm = Duration::from_secs(options.warm_up);
    let until = warm + Duration::from_secs(options.seconds);
    let scene = Scene {
        seed,
        hosts: shape.servers,
        slots: options.slots,
        work: Work { mean, law: options.law },
        failing: Failing::default(),
        timeout: None,
        clients: shape.clients,
        rate: shape.load * (shape.servers * options.slots) as f64 / mean.as_secs_f64(),
        until,
    };
    let slow = options.slow_of(shape.servers);
    let begin = warm + Duration::from_secs(options.seconds) / 5;
    let turns = [(begin, 1.0 / options.slower), (begin + Duration::from_secs(options.slow_seconds), 1.0)];
    let played = scene.play(balancer, move |stage, fleet, _| {
        for (time, speed) in turns {
            let fleet = fleet.clone();
            let turn = move || {
                (0..slow).for_each(|chosen| fleet.set_speed(place(chosen, slow, shape.servers), speed));
            };
            stage.later(time, turn);
        }
    });
    played.percentiles(warm, until, [0.5, 0.99, 0.999])
}
