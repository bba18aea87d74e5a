//! n14: what a breaker, an endpoint of a balancer and a key of a rate limit weigh.

use std::mem::size_of;

use clap::Args;

use crate::{
    board::{Board, Cell, Column, Judgement, Role, Unit},
    ground::{Echo, drive},
    options::Common,
    ours::{
        self,
        balance::{BalanceSettings, balance},
    },
    peers::{
        self,
        balance::{fixed, peak_ewma, pending},
    },
};

/// Options of n14.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) common: Common,
    /// How many breakers and endpoints are built; the figures are means.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// The most keys that the rate limit keeps; it is filled.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    keys: u32,
}

pub(crate) const TITLE: &str = "n14: memory";

/// Bytes that the state of a breaker or an endpoint may take; the services around it are as many as there are clones.
const LIMIT: f64 = 256.0;
/// Bytes that a key may take, with its place in the table.
const KEY_LIMIT: f64 = 64.0;

/// Runs the experiment. Must be called inside a runtime.
pub(crate) fn run(options: &Options) -> Vec<Board> {
    let columns =
        ["state on the heap", "in the service", "together"].map(|title| Column::new(title, Unit::Bytes));
    let mut board =
        Board::new(format!("{TITLE} of a breaker"), columns.into_iter().map(Column::plotted).collect());
    let mut row = |role, name: &str, [heap, inline]: [f64; 2]| {
        board.row(role, name, [heap, inline, heap + inline].map(Cell::from).into());
    };
    row(Role::Bare, "bare", weigh(options, || Echo));
    row(Role::Peer, peers::TOWER_RESILIENCE, weigh(options, || peers::tower_resilience(Echo)));
    row(Role::Peer, peers::FAILSAFE, weigh(options, peers::failsafe));
    row(Role::Peer, peers::RECLOSER, weigh(options, peers::recloser));
    let ours = weigh(options, || ours::breaker(Echo));
    row(Role::Ours, "ours", ours);
    board.judge(vec![Some(Judgement::at_most(LIMIT, ours[0], Unit::Bytes))]);
    board.note(format!(
        "Mean of {} breakers around a service of no size, fresh from their constructors; the heap as asked for, without the allocator's own.",
        options.count
    ));
    vec![board, endpoints(options), keys(options)]
}

fn endpoints(options: &Options) -> Board {
    let columns = vec![Column::new("each endpoint", Unit::Bytes).plotted()];
    let mut board = Board::new(format!("{TITLE} of an endpoint of a balancer"), columns);
    let seed = options.common.seed;
    let endpoints = || 0..options.count;
    let mut row = |role, name: &str, bytes: f64| board.row(role, name, vec![bytes.into()]);
    row(Role::Bare, "bare", weigh_called(options, || vec![(); options.count as usize], |_| {}));
    row(
        Role::Peer,
        peers::balance::PEAK_EWMA,
        weigh_called(
            options,
            || fixed(endpoints().map(|_| peak_ewma(Echo)).collect(), seed),
            |balance| _ = drive(balance, 0),
        ),
    );
    row(
        Role::Peer,
        peers::balance::PENDING,
        weigh_called(
            options,
            || fixed(endpoints().map(|_| pending(Echo)).collect(), seed),
            |balance| _ = drive(balance, 0),
        ),
    );
    let ours = weigh_called(
        options,
        || balance(BalanceSettings::new().seed(seed), options.count as usize, |_| Echo),
        |balance| _ = drive(balance, 0),
    );
    row(Role::Ours, "ours", ours);
    board.judge(vec![Some(Judgement::at_most(LIMIT, ours, Unit::Bytes))]);
    board.note(format!(
        "A balancer over {} services of no size, after as many calls as it has endpoints, by its endpoints; keys are numbers.",
        options.count
    ));
    board
}

fn keys(options: &Options) -> Board {
    let columns = vec![Column::new("each key", Unit::Bytes).plotted(), Column::new("keys kept", Unit::Calls)];
    let mut board = Board::new(format!("{TITLE} of a key of a rate limit"), columns);
    let keys = 0..u64::from(options.keys);
    let mut governor = None;
    let weight = allocation_counter::measure(|| {
        let limiter = peers::limit::thin_keyed();
        keys.clone().for_each(|key| _ = limiter.check_key(&key));
        governor = Some(limiter);
    });
    let kept = governor.map_or(0, |limiter| limiter.len()) as f64;
    board.row(
        Role::Peer,
        peers::limit::GOVERNOR,
        vec![(weight.bytes_current as f64 / kept).into(), kept.into()],
    );
    let mut ours = None;
    let weight = allocation_counter::measure(|| {
        let (mut service, handle) = ours::limit::thin_keyed(Echo, options.keys as usize);
        keys.for_each(|key| _ = drive(&mut service, key));
        ours = Some((service, handle));
    });
    let kept = ours.map_or(0, |(_, handle)| handle.keys()) as f64;
    let each = weight.bytes_current as f64 / kept;
    board.row(Role::Ours, "ours", vec![each.into(), kept.into()]);
    board.judge(vec![
        Some(Judgement::at_most(KEY_LIMIT, each, Unit::Bytes)),
        Some(Judgement::at_least(f64::from(options.keys), kept, Unit::Calls)),
    ]);
    board.note(format!(
        "The whole of a limiter full to its cap of {} keys, all of which are in use, by the keys that it keeps. Keys are numbers; governor has no cap, and was asked by as many.",
        options.keys
    ));
    board
}

/// Bytes on the heap of what `build` builds, after so many calls, by their number.
fn weigh_called<T>(options: &Options, build: impl Fn() -> T, mut call: impl FnMut(&mut T)) -> f64 {
    drop(build());
    let mut built = None;
    let counted = allocation_counter::measure(|| {
        let mut fresh = build();
        (0..options.count).for_each(|_| call(&mut fresh));
        built = Some(fresh);
    });
    counted.bytes_current as f64 / f64::from(options.count)
}

/// Bytes on the heap and in place of what `build` builds.
fn weigh<T>(options: &Options, build: impl Fn() -> T) -> [f64; 2] {
    let mut built = Vec::with_capacity(options.count as usize);
    // What a crate allocates once for all is no breaker's.
    let first = build();
    let counted = allocation_counter::measure(|| (0..options.count).for_each(|_| built.push(build())));
    drop(first);
    [counted.bytes_current as f64 / f64::from(options.count), size_of::<T>() as f64]
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn heap_and_place_are_told_apart() {
        let Cli { options } = Cli::parse_from(["n14", "--count=10"]);
        assert_eq!(weigh(&options, || Box::new([0_u8; 100])), [100.0, size_of::<usize>() as f64]);
        assert_eq!(weigh(&options, || 7_u32), [0.0, 4.0]);
    }
}
