//! l2: a flood of keys.

use std::{sync::Arc, time::Duration};

use clap::Args;
use governor::RateLimiter;

use super::{bucket::Bucket, clock, crew, limiters::Rate};
use crate::{
    board::{Board, Cell, Column, Judgement, Role, Unit},
    ground::{Door, drive},
    options::{Common, positive},
    ours,
    peers::limit::{Keyed, Tokio, quota},
    progress, stats,
};

/// Options of l2.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Keys of the flood, all distinct.
    #[arg(long, default_value_t = 1_000_000, value_parser = positive)]
    keys: usize,
    /// The most keys that ours may keep.
    #[arg(long, default_value_t = 100_000, value_parser = positive)]
    cap: usize,
    /// Keys that were over their limit before, and go on.
    #[arg(long, default_value_t = 1000, value_parser = positive)]
    offenders: usize,
    /// The limit of each key, as tokens a second and at once.
    #[arg(long, default_value = "1/10")]
    limit: Rate,
    /// Seconds that the flood lasts, in the first case; in the second it comes in one instant.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

pub(crate) const TITLE: &str = "l2: a flood of keys";

/// Bytes that a key may take, times the cap.
const LIMIT: f64 = 64.0;
/// How often the offenders are seen to during the flood.
const CHECKS: usize = 100;

/// Who keeps buckets by key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeper {
    /// governor, which forgets nobody.
    Governor,
    /// The same, told to forget who is back at its burst whenever as many keys have come as ours may keep.
    GovernorRetaining,
    Ours,
}

impl Keeper {
    const ALL: [Self; 3] = [Self::Governor, Self::GovernorRetaining, Self::Ours];

    fn name(self) -> &'static str {
        match self {
            Self::Governor => "governor",
            Self::GovernorRetaining => "governor, retain_recent",
            Self::Ours => "ours",
        }
    }

    fn role(self) -> Role {
        if self == Self::Ours { Role::Ours } else { Role::Peer }
    }

    /// Makes the limiter: what it returns asks for one token of a key.
    fn make(self, options: &Options) -> Box<dyn FnMut(u64) -> bool> {
        let Rate { per_second, burst } = options.limit;
        if self == Self::Ours {
            let mut limiter = ours::limit::keyed(Door, per_second, burst, options.cap);
            return Box::new(move |key| drive(&mut limiter, key).is_ok());
        }
        let quota = quota(options.limit.interval(), burst);
        let limiter: Arc<Keyed<Tokio>> = Arc::new(RateLimiter::new(
            quota,
            governor::state::keyed::DefaultKeyedStateStore::default(),
            Tokio,
        ));
        let (mut asked, cap) = (0, options.cap);
        Box::new(move |key| {
            asked += 1;
            if self == Self::GovernorRetaining && asked % cap == 0 {
                limiter.retain_recent();
                limiter.shrink_to_fit();
            }
            limiter.check_key(&key).is_ok()
        })
    }
}

/// What one flood did.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    /// The most bytes that were allocated at any time.
    bytes: f64,
    /// Calls of offenders that passed and should not have, and the reverse.
    forgiven: f64,
    wronged: f64,
    /// Keys of the flood that were refused their first call.
    refused: f64,
}

/// Runs the experiment.
pub(crate) fn run(options: &Options) -> Vec<Board> {
    let cases = [Duration::from_secs(options.seconds), Duration::ZERO];
    let jobs: Vec<(Keeper, Duration, u64)> = Keeper::ALL
        .into_iter()
        .flat_map(|keeper| cases.map(|lasts| (keeper, lasts)))
        .flat_map(|(keeper, lasts)| options.common.seeds().map(move |seed| (keeper, lasts, seed)))
        .collect();
    let bar = progress::bar(TITLE, jobs.len());
    let found = crew::each(&jobs, &bar, |(keeper, lasts, seed)| {
        clock::paused(|| flood(*keeper, options, *lasts, *seed))
    });
    bar.finish_and_clear();

    let columns = [format!("in {} s", options.seconds), "at once".into()].map(|case: String| {
        [
            Column::new(format!("{case}: bytes at worst, by the cap"), Unit::Bytes).plotted(),
            Column::new("calls forgiven", Unit::Calls),
            Column::new("calls wronged", Unit::Calls),
            Column::new("of the flood refused", Unit::Percent).less(),
        ]
    });
    let mut board = Board::new(TITLE, columns.into_iter().flatten().collect());
    let runs = options.common.runs() as usize;
    for (keeper, found) in Keeper::ALL.into_iter().zip(found.chunks(runs * cases.len())) {
        let (mut cells, mut judgements) = (Vec::new(), Vec::new());
        for found in found.chunks(runs) {
            let mean = |pick: fn(&Found) -> f64| stats::mean(&found.iter().map(pick).collect::<Vec<_>>());
            let bytes = mean(|found| found.bytes) / options.cap as f64;
            let (forgiven, wronged) = (mean(|found| found.forgiven), mean(|found| found.wronged));
            let refused = 100.0 * mean(|found| found.refused) / options.keys as f64;
            cells.extend([bytes, forgiven, wronged, refused].map(Cell::from));
            judgements.extend([
                Some(Judgement::at_most(LIMIT, bytes, Unit::Bytes)),
                Some(Judgement::at_most(0.0, forgiven, Unit::Calls)),
                Some(Judgement::at_most(0.0, wronged, Unit::Calls)),
                None,
            ]);
        }
        board.row(keeper.role(), keeper.name(), cells);
        if keeper.role() == Role::Ours {
            board.judge(judgements);
        }
    }
    board.note(format!(
        "{} distinct keys call once each, against a cap of {}; {} keys that have used their burst up (limit {}) go on calling until they are refused, at {CHECKS} times during the flood, and are held against exact buckets; {runs} runs, first seed {}.",
        options.keys, options.cap, options.offenders, options.limit, options.common.seed,
    ));
    board.note("The heap as asked for, at its highest. governor has no cap.");
    board
        .note("When all come in one instant nobody is back at its burst: new keys beyond the cap share one bucket, and are refused.");
    vec![board]
}

/// Floods a limiter for a while. Must be called on a paused clock.
fn flood(keeper: Keeper, options: &Options, lasts: Duration, seed: u64) -> Found {
    let full = Bucket::new(options.limit.interval(), options.limit.burst);
    let mut buckets = vec![full; options.offenders];
    let mut found = Found::default();
    let mut now = Duration::ZERO;
    let counted = allocation_counter::measure(|| {
        let mut ask = keeper.make(options);
        offend(&mut ask, options, seed, &mut buckets, now, &mut found);
        let per_check = options.keys.div_ceil(CHECKS);
        for first in (0..options.keys).step_by(per_check) {
            let keys = first..options.keys.min(first + per_check);
            found.refused += keys.filter(|&number| !ask(key(seed, number))).count() as f64;
            clock::pass(lasts / CHECKS as u32);
            now += lasts / CHECKS as u32;
            offend(&mut ask, options, seed, &mut buckets, now, &mut found);
        }
    });
    found.bytes = counted.bytes_max as f64;
    found
}

/// Has each offender call until it is refused.
fn offend(
    ask: &mut impl FnMut(u64) -> bool,
    options: &Options,
    seed: u64,
    buckets: &mut [Bucket],
    now: Duration,
    found: &mut Found,
) {
    for (offender, bucket) in buckets.iter_mut().enumerate() {
        let key = key(seed, options.keys + offender);
        let due = bucket.tokens(now);
        // Once more than it may, however many more would pass.
        let passed = (0..=due).take_while(|_| ask(key)).count() as u64;
        (0..due).for_each(|_| _ = bucket.take(now, 1));
        found.forgiven += passed.saturating_sub(due) as f64;
        found.wronged += due.saturating_sub(passed) as f64;
    }
}

/// Keys that are distinct, and look like chance.
fn key(seed: u64, number: usize) -> u64 {
    (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ seed
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

    /// The same with a hundredth of the keys.
    fn small(keeper: Keeper, lasts: Duration) -> Found {
        let Cli { options } = Cli::parse_from(["l2", "--keys=10000", "--cap=1000", "--offenders=10"]);
        clock::paused(|| flood(keeper, &options, lasts, 1))
    }

    #[test]
    fn who_forgets_nobody_grows() {
        let found = small(Keeper::Governor, Duration::from_secs(20));
        assert_eq!((found.forgiven, found.wronged, found.refused), (0.0, 0.0, 0.0));
        assert!(found.bytes > LIMIT * 1000.0, "{found:?}");
    }

    #[test]
    fn ours_keeps_who_is_over_its_limit() {
        for lasts in [Duration::from_secs(20), Duration::ZERO] {
            let found = small(Keeper::Ours, lasts);
            assert_eq!((found.forgiven, found.wronged), (0.0, 0.0), "{found:?}");
        }
    }

    #[test]
    fn a_limiter_that_forgets_is_found_out() {
        let Cli { options } = Cli::parse_from(["l2"]);
        let (mut buckets, mut found) = (vec![Bucket::new(options.limit.interval(), 10)], Found::default());
        offend(&mut |_| true, &options, 1, &mut buckets, Duration::ZERO, &mut found);
        assert_eq!(found.forgiven, 1.0);
    }
}
