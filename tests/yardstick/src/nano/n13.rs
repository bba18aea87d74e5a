//! n13: loopback: an axum server and a reqwest client, with and without both standard stacks.

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::{
    board::{Board, Column, Judgement, Role, Unit},
    loopback::{self, Shape, Side},
    options::{Common, positive},
    progress,
    stats::{median, percentile},
};

/// Options of n13.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Requests in flight.
    #[arg(long, default_value_t = 16, value_parser = positive)]
    concurrency: usize,
    /// Seconds of each half of a pair.
    #[arg(long, default_value_t = 0.2)]
    seconds: f64,
    /// Pairs of each run; a run more is as many pairs more.
    #[arg(long, default_value_t = 5, value_parser = positive)]
    pairs: usize,
    /// Bytes of the answer.
    #[arg(long, default_value_t = 256)]
    answer: usize,
    /// Measures one of the two protocols alone.
    #[arg(long)]
    protocol: Option<Protocol>,
}

/// How client and server speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    Http1,
    H2,
}

pub(crate) const TITLE: &str = "n13: loopback, with both standard stacks";

/// Of the bare throughput so much must be left, and its 99th percentile may grow so much.
const THROUGHPUT: f64 = 0.97;
const P99: f64 = 1.1;

/// What one half of a pair gave.
#[derive(Clone, Copy, Debug)]
struct Half {
    per_second: f64,
    p99: f64,
}

/// Runs the experiment.
pub(crate) fn run(options: &Options) -> Vec<Board> {
    let protocols = [Protocol::Http1, Protocol::H2];
    let chosen: Vec<_> =
        protocols.into_iter().filter(|it| options.protocol.is_none_or(|only| only == *it)).collect();
    let pairs = options.pairs * options.common.runs() as usize;
    let bar = progress::bar(TITLE, pairs * chosen.len());
    let boards = chosen
        .into_iter()
        .map(|protocol| {
            let shape = Shape {
                h2: protocol == Protocol::H2,
                concurrency: options.concurrency,
                answer: options.answer,
            };
            let half = Duration::from_secs_f64(options.seconds);
            let mut dice = fastrand::Rng::with_seed(options.common.seed);
            let measured = loopback::run(shape, |ground| {
                let mut measure = |side| {
                    let mut latencies = ground.load(side, half);
                    let per_second = latencies.len() as f64 / half.as_secs_f64();
                    Half { per_second, p99: percentile(&mut latencies, 0.99) }
                };
                // Connections, pools and what the layers learn first.
                let _warm = [Side::Bare, Side::Ours, Side::Bare, Side::Ours].map(&mut measure);
                let pair = |_| {
                    bar.inc(1);
                    // A coin decides who is first, so that nobody always follows on the other.
                    if dice.bool() {
                        let bare = measure(Side::Bare);
                        [bare, measure(Side::Ours)]
                    } else {
                        let ours = measure(Side::Ours);
                        [measure(Side::Bare), ours]
                    }
                };
                (0..pairs).map(pair).collect::<Vec<_>>()
            });
            board(options, protocol, &measured)
        })
        .collect();
    bar.finish_and_clear();
    boards
}

fn board(options: &Options, protocol: Protocol, pairs: &[[Half; 2]]) -> Board {
    let name = match protocol {
        Protocol::Http1 => "HTTP/1",
        Protocol::H2 => "HTTP/2",
    };
    let columns = vec![
        Column::new("requests a second", Unit::Calls).more().plotted(),
        Column::new("p99", Unit::Milliseconds),
        Column::new("throughput of bare", Unit::Percent),
        Column::new("p99 of bare", Unit::Times),
    ];
    let mut board = Board::new(format!("{TITLE}, {name}"), columns);
    let middle = |read: &dyn Fn(&[Half; 2]) -> f64| median(&mut pairs.iter().map(read).collect::<Vec<_>>());
    for (row, role, side) in [("bare", Role::Bare, 0), ("ours", Role::Ours, 1)] {
        let mut cells = vec![middle(&|pair| pair[side].per_second), middle(&|pair| pair[side].p99)];
        if side == 1 {
            cells.push(100.0 * middle(&|[bare, ours]| ours.per_second / bare.per_second));
            cells.push(middle(&|[bare, ours]| ours.p99 / bare.p99));
        }
        board.row(role, row, cells.into_iter().map(Into::into).collect());
    }
    let throughput = 100.0 * middle(&|[bare, ours]| ours.per_second / bare.per_second);
    let p99 = middle(&|[bare, ours]| ours.p99 / bare.p99);
    board.judge(vec![
        None,
        None,
        Some(Judgement::at_least(100.0 * THROUGHPUT, throughput, Unit::Percent)),
        Some(Judgement::at_most(P99, p99, Unit::Times)),
    ]);
    board.note(format!(
        "Medians of {} pairs of {} s each, in a random order; {} requests in flight, answers of {} bytes, both ends in this process.",
        pairs.len(),
        options.seconds,
        options.concurrency,
        options.answer,
    ));
    board.note(
        "Around the client: ClientLayer::default(), one host. Before the handler: ServerLayer::default().",
    );
    board
}
