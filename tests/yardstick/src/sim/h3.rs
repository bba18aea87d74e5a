//! h3: hedging where load is already high: what hedges cost must not make all slower.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use clap::Args;
use tower::service_fn;

use super::{
    call::Call,
    crew, dice,
    fifo::Fifo,
    hedges::Hedger,
    stage::{Stage, play},
};
use crate::{
    board::{Board, Cell as Shown, Column, Judgement, Role, Unit},
    ground::Fault,
    options::Common,
    ours::again::HedgeSettings,
    progress, stats,
};

/// Options of h3.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Servers, each with one worker and a queue of its own.
    #[arg(long, default_value_t = 20)]
    servers: usize,
    /// Mean of the exponential service time, in milliseconds.
    #[arg(long, default_value_t = 10.0)]
    mean: f64,
    /// Offered calls, as a share of the capacity.
    #[arg(long, default_value_t = 0.9)]
    load: f64,
    /// The same while the servers are slower.
    #[arg(long, default_value_t = 1.1)]
    brown_out: f64,
    /// Seconds for which they are.
    #[arg(long, default_value_t = 10)]
    brown_seconds: u64,
    /// Seconds of calls that are measured.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Seconds before them.
    #[arg(long, default_value_t = 10)]
    warm_up: u64,
    /// Clients that share the load, each with a layer of its own.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    clients: u64,
    /// Share of extra calls that ours aims at.
    #[arg(long, default_value_t = HedgeSettings::DEFAULT_EXTRA)]
    extra: f64,
    /// Copies beyond the first that ours sends at most.
    #[arg(long, default_value_t = HedgeSettings::DEFAULT_MAX_HEDGES)]
    max_hedges: u32,
}

pub(crate) const TITLE: &str = "h3: hedging under load";

/// One of the four shapes.
#[derive(Clone, Copy, Debug)]
struct Shape {
    brown_out: bool,
    cancels: bool,
}

impl Shape {
    const ALL: [Self; 4] = [
        Self { brown_out: false, cancels: true },
        Self { brown_out: false, cancels: false },
        Self { brown_out: true, cancels: true },
        Self { brown_out: true, cancels: false },
    ];

    fn title(self, options: &Options) -> String {
        let load = if self.brown_out {
            format!("a brown-out at {} × capacity", options.brown_out)
        } else {
            format!("load {}", options.load)
        };
        format!("{TITLE}, {load}, losers {}cancelled", if self.cancels { "" } else { "not " })
    }

    /// How much longer the 99th percentile may get.
    fn leeway(self) -> f64 {
        if self.cancels { 1.0 } else { 1.05 }
    }
}

const HEDGERS: [Hedger; 3] = [Hedger::None, Hedger::Tower(0.95), Hedger::Ours];
const MOST_EXTRA: f64 = 5.5;

/// Runs the experiment: a table for each shape.
pub(crate) fn run(options: &Options) -> Vec<Board> {
    let jobs: Vec<(Shape, Hedger, u64)> = Shape::ALL
        .iter()
        .flat_map(|shape| HEDGERS.iter().map(move |hedger| (*shape, *hedger)))
        .flat_map(|(shape, hedger)| options.common.seeds().map(move |seed| (shape, hedger, seed)))
        .collect();
    let bar = progress::bar(TITLE, jobs.len());
    let figures = crew::each(&jobs, &bar, |(shape, hedger, seed)| one(options, *shape, *hedger, *seed));
    bar.finish_and_clear();
    let runs = options.common.runs() as usize;
    let boards = Shape::ALL.iter().zip(figures.chunks(runs * HEDGERS.len()));
    boards.map(|(shape, figures)| board(options, *shape, figures)).collect()
}

fn board(options: &Options, shape: Shape, figures: &[[f64; 4]]) -> Board {
    let columns = [
        ("p50", Unit::Milliseconds),
        ("p99", Unit::Milliseconds),
        ("p99.9", Unit::Milliseconds),
        ("p99 / without", Unit::Times),
        ("extra", Unit::Percent),
    ];
    let columns = columns.map(|(title, unit)| Column::new(title, unit).plotted());
    let mut board = Board::new(shape.title(options), columns.into());
    let by_hedger: Vec<[f64; 4]> = figures.chunks(options.common.runs() as usize).map(stats::means).collect();
    let without = by_hedger[0][1];
    for (hedger, [p50, p99, p999, extra]) in HEDGERS.iter().zip(by_hedger) {
        let times = p99 / without;
        board.row(hedger.role(), hedger.name(), [p50, p99, p999, times, extra].map(Shown::from).into());
        if hedger.role() == Role::Ours {
            board.judge(vec![
                None,
                None,
                None,
                Some(Judgement::at_most(shape.leeway(), times, Unit::Times)),
                Some(Judgement::at_most(MOST_EXTRA, extra, Unit::Percent)),
            ]);
        }
    }
    board.note(format!(
        "{} servers of one worker, FIFO, exponential {} ms; a call goes to any of them and a copy to another. {} clients, {} s after {} s, mean of {} runs, first seed {}.",
        options.servers,
        options.mean,
        options.clients,
        options.seconds,
        options.warm_up,
        options.common.runs(),
        options.common.seed,
    ));
    if shape.brown_out {
        board.note(format!(
            "Load {}, and {} for {} s from a third on, as the servers are slower; all calls are measured.",
            options.load, options.brown_out, options.brown_seconds,
        ));
    }
    board
}

/// What the clients and the servers share.
#[derive(Default)]
struct Log {
    latencies: RefCell<Vec<f64>>,
    calls: Cell<u64>,
    extra: Cell<u64>,
}

fn one(options: &Options, shape: Shape, hedger: Hedger, seed: u64) -> [f64; 4] {
    let options = *options;
    play(1, move |stage| async move {
        let mean = Duration::from_secs_f64(options.mean / 1e3);
        let servers: Rc<[Fifo]> = (0..options.servers).map(|_| Fifo::new(&stage, 1, shape.cancels)).collect();
        let log = Rc::new(Log::default());
        let warm = Duration::from_secs(options.warm_up);
        let (counted, on, fleet) = (log.clone(), stage.clone(), servers.clone());
        let service = service_fn(move |call: Call| {
            let copy = call.copy();
            counted.extra.set(counted.extra.get() + u64::from(copy > 0 && on.now() >= warm));
            let mut dice = dice::of(seed, call.number(), copy);
            let work = dice::exponential(&mut dice, mean);
            let served = fleet[call.server(fleet.len(), &mut dice)].serve(work);
            async move {
                served.await;
                Ok::<(), Fault>(())
            }
        });
        if shape.brown_out {
            let begin = warm + Duration::from_secs(options.seconds) / 3;
            let slower = options.load / options.brown_out;
            for (time, speed) in [(begin, slower), (begin + Duration::from_secs(options.brown_seconds), 1.0)]
            {
                let servers = servers.clone();
                stage.later(time, move || servers.iter().for_each(|server| server.set_speed(speed)));
            }
        }
        for client in 0..options.clients {
            let caller = hedger.around(service.clone(), &stage, settings(&options, seed + client));
            stage.enter(calls(options, stage.clone(), client, caller, seed, log.clone()));
        }
        // Whoever calls last has this long for an answer.
        stage.sleep(warm + Duration::from_secs(options.seconds) + PATIENCE).await;
        let mut latencies = log.latencies.borrow_mut();
        let unanswered = log.calls.get() as usize - latencies.len();
        latencies.extend(std::iter::repeat_n(PATIENCE.as_secs_f64() * 1e3, unanswered));
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| stats::percentile(&mut latencies, share));
        [p50, p99, p999, 100.0 * log.extra.get() as f64 / log.calls.get() as f64]
    })
}

const PATIENCE: Duration = Duration::from_secs(60);

/// The defaults, but for what is asked for.
fn settings(options: &Options, seed: u64) -> HedgeSettings {
    let settings = HedgeSettings::new().extra(options.extra).max_hedges(options.max_hedges);
    let budget = settings.own_budget().seed(seed);
    settings.seed(seed).budget(budget)
}

/// One client's calls, and how long they take.
async fn calls(
    options: Options,
    stage: Stage,
    client: u64,
    mut caller: super::call::Caller,
    seed: u64,
    log: Rc<Log>,
) {
    let rate = options.servers as f64 * 1e3 / options.mean * options.load / options.clients as f64;
    let gap = Duration::from_secs_f64(1.0 / rate);
    let warm = Duration::from_secs(options.warm_up);
    let mut dice = dice::of(seed, u64::MAX, client);
    for number in 0.. {
        stage.sleep(dice::exponential(&mut dice, gap)).await;
        let began = stage.now();
        if began >= warm + Duration::from_secs(options.seconds) {
            return;
        }
        let measured = began >= warm;
        log.calls.set(log.calls.get() + u64::from(measured));
        let answer = caller(Call::new(client << 40 | number));
        let (log, stage, on) = (log.clone(), stage.clone(), stage.clone());
        on.enter(async move {
            let good = answer.await;
            if good && measured {
                log.latencies.borrow_mut().push((stage.now() - began).as_secs_f64() * 1e3);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Options = Options {
        common: Common::QUICK,
        servers: 20,
        mean: 10.0,
        load: 0.5,
        brown_out: 1.1,
        brown_seconds: 3,
        seconds: 20,
        warm_up: 5,
        clients: 1,
        extra: HedgeSettings::DEFAULT_EXTRA,
        max_hedges: HedgeSettings::DEFAULT_MAX_HEDGES,
    };

    #[test]
    fn queues_are_as_long_as_theory_says() {
        // The time in an M/M/1 system is exponential with the mean 1 / (μ − λ).
        let [p50, p99, ..] = one(&SHAPE, Shape::ALL[0], Hedger::None, 1);
        assert!((p50 / (20.0 * 0.5_f64.ln().abs()) - 1.0).abs() < 0.1, "{p50}");
        assert!((p99 / (20.0 * 0.01_f64.ln().abs()) - 1.0).abs() < 0.15, "{p99}");
    }

    #[test]
    fn hedges_without_a_budget_make_a_loaded_service_slower() {
        let loaded = Options { load: 0.9, ..SHAPE };
        let [_, without, ..] = one(&loaded, Shape::ALL[1], Hedger::None, 1);
        let [_, p99, _, extra] = one(&loaded, Shape::ALL[1], Hedger::Tower(0.95), 1);
        assert!(extra > 5.0, "{extra}");
        assert!(p99 > without, "{p99} {without}");
    }

    #[test]
    fn a_brown_out_shows() {
        let [_, steady, ..] = one(&SHAPE, Shape::ALL[0], Hedger::None, 1);
        let [_, browned, ..] = one(&SHAPE, Shape::ALL[2], Hedger::None, 1);
        assert!(browned > 3.0 * steady, "{browned} {steady}");
    }
}
