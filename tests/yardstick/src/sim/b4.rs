//! b4: a rolling restart.

use std::{cell::RefCell, rc::Rc, time::Duration};

use clap::Args;

use super::{
    balancers::Balancer,
    crew,
    crowd::{Crowd, Scene},
    fleet::{Failing, Fleet, Law, Work},
    stage::Stage,
};
use crate::{
    board::{Board, Cell, Column, Judgement, Role, Unit},
    options::{Common, positive},
    progress, stats,
};

/// Options of b4.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Numbers of servers: a table each.
    #[arg(long, value_delimiter = ',', default_values_t = [20, 100])]
    servers: Vec<usize>,
    /// Requests that each works on at once.
    #[arg(long, default_value_t = 4, value_parser = positive)]
    slots: usize,
    /// Mean service time, in milliseconds.
    #[arg(long, default_value_t = 40.0)]
    mean: f64,
    /// Its distribution.
    #[arg(long, value_enum, default_value_t = Law::Exponential)]
    law: Law,
    /// Clients that share the load, each with a balancer of its own.
    #[arg(long, default_value_t = 20, value_parser = positive)]
    clients: usize,
    /// Offered calls, as a share of the capacity of warm servers.
    #[arg(long, default_value_t = 0.7)]
    load: f64,
    /// Seconds after which the next server leaves, and one joins.
    #[arg(long, default_value_t = 2.0)]
    every: f64,
    /// Speed of a server that has just joined.
    #[arg(long, default_value_t = 0.25)]
    cold: f64,
    /// Seconds for which it is so slow.
    #[arg(long, default_value_t = 5.0)]
    cold_seconds: f64,
    /// Seconds of calls that are measured.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Seconds before them.
    #[arg(long, default_value_t = 10)]
    warm_up: u64,
}

pub(crate) const TITLE: &str = "b4: a rolling restart";

/// How much higher than in the steady state the 99th percentile may be.
const MOST_TIMES: f64 = 1.1;

/// Runs the experiment: a table for each fleet.
pub(crate) fn run(options: &Options) -> Vec<Board> {
    let jobs: Vec<(usize, Balancer, bool, u64)> = options
        .servers
        .iter()
        .flat_map(|servers| Balancer::FIELD.iter().map(move |balancer| (*servers, *balancer)))
        .flat_map(|(servers, balancer)| [false, true].map(|restarts| (servers, balancer, restarts)))
        .flat_map(|(servers, balancer, restarts)| {
            options.common.seeds().map(move |seed| (servers, balancer, restarts, seed))
        })
        .collect();
    let bar = progress::bar(TITLE, jobs.len());
    let runs = crew::each(&jobs, &bar, |(servers, balancer, restarts, seed)| {
        one(options, *servers, *balancer, *restarts, *seed)
    });
    bar.finish_and_clear();
    let means: Vec<[f64; 2]> = runs.chunks(options.common.runs() as usize).map(stats::means).collect();
    let fleets = options.servers.iter().zip(means.chunks(2 * Balancer::FIELD.len()));
    fleets.map(|(servers, means)| board(options, *servers, means)).collect()
}

fn board(options: &Options, servers: usize, means: &[[f64; 2]]) -> Board {
    let columns = [
        ("p99 steady", Unit::Milliseconds),
        ("p99", Unit::Milliseconds),
        ("p99 / steady", Unit::Times),
        ("to drained hosts", Unit::Calls),
    ];
    let columns = columns.map(|(title, unit)| Column::new(title, unit).plotted());
    let mut board = Board::new(format!("{TITLE} of {servers} servers"), columns.into());
    for (balancer, figures) in Balancer::FIELD.iter().zip(means.chunks(2)) {
        let ([steady, _], [p99, late]) = (figures[0], figures[1]);
        board.row(balancer.role(), balancer.name(), [steady, p99, p99 / steady, late].map(Cell::from).into());
        if balancer.role() == Role::Ours {
            board.judge(vec![
                None,
                None,
                Some(Judgement::at_most(MOST_TIMES, p99 / steady, Unit::Times)),
                Some(Judgement::at_most(0.0, late, Unit::Calls)),
            ]);
        }
    }
    board.note(format!(
        "Each {} s a server is drained, and gone a second later, and one joins at speed {} for {} s. Steady: the same calls without that. {} slots, service {:?}, mean {} ms; {} clients, load {}, {} s after {} s; means of {} runs, first seed {}.",
        options.every,
        options.cold,
        options.cold_seconds,
        options.slots,
        options.law,
        options.mean,
        options.clients,
        options.load,
        options.seconds,
        options.warm_up,
        options.common.runs(),
        options.common.seed,
    ));
    board
}

/// Hosts that were drained, and when.
type Drained = Rc<RefCell<Vec<(usize, Duration)>>>;

fn one(options: &Options, servers: usize, balancer: Balancer, restarts: bool, seed: u64) -> [f64; 2] {
    let mean = Duration::from_secs_f64(options.mean / 1e3);
    let warm = Duration::from_secs(options.warm_up);
    let until = warm + Duration::from_secs(options.seconds);
    let scene = Scene {
        seed,
        hosts: servers,
        slots: options.slots,
        work: Work { mean, law: options.law },
        failing: Failing::default(),
        timeout: None,
        clients: options.clients,
        rate: options.load * (servers * options.slots) as f64 / mean.as_secs_f64(),
        until,
    };
    let drained = Drained::default();
    let restart = Restart {
        every: Duration::from_secs_f64(options.every),
        cold: options.cold,
        cold_for: Duration::from_secs_f64(options.cold_seconds),
        drained: drained.clone(),
    };
    let played = scene.play(balancer, move |stage, fleet, crowd| {
        if restarts {
            restart.next(stage.clone(), fleet.clone(), crowd.clone(), warm, 0);
        }
    });
    let [p99] = played.percentiles(warm, until, [0.99]);
    let drained = drained.borrow();
    let late = drained.iter().map(|&(host, at)| played.visits(host, at, Duration::MAX)).sum();
    [p99, late]
}

/// Replaces one server after another.
#[derive(Clone)]
struct Restart {
    every: Duration,
    cold: f64,
    cold_for: Duration,
    drained: Drained,
}

impl Restart {
    /// How long a server is known after it was drained.
    const GRACE: Duration = Duration::from_secs(1);

    fn next(self, stage: Stage, fleet: Fleet, crowd: Crowd, wait: Duration, leaves: usize) {
        stage.clone().later(wait, move || {
            crowd.tell(|client| client.drained(leaves));
            self.drained.borrow_mut().push((leaves, stage.now()));
            let left = crowd.clone();
            stage.later(Self::GRACE, move || left.tell(|client| client.left(leaves)));

            let joins = fleet.join(self.cold);
            crowd.tell(|client| client.joined(joins));
            let warms = fleet.clone();
            stage.later(self.cold_for, move || warms.set_speed(joins, 1.0));
            let every = self.every;
            self.next(stage, fleet, crowd, every, leaves + 1);
        });
    }
}
