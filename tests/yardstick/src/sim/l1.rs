//! l1: a rate limit beside an exact token bucket.

use std::{
    sync::{
        Barrier, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use clap::Args;
use fastrand::Rng;
use tokio::{runtime::Handle, time::Instant};

use super::{
    bucket::Bucket,
    clock, crew, dice,
    limiters::{Answer, Hand, Rate, Who},
    windows,
};
use crate::{
    board::{Board, Cell, Column, Judgement, Role, Unit},
    options::{Common, positive},
    progress,
};

/// Options of l1.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Calls of each run at each limit.
    #[arg(long, default_value_t = 170_000, value_parser = positive)]
    calls: usize,
    /// Threads that race.
    #[arg(long, default_value_t = 4, value_parser = positive)]
    threads: usize,
    /// Limits, as tokens a second and at once.
    #[arg(long, value_delimiter = ',', default_values = ["5/5", "1000/100", "700000/300"])]
    limits: Vec<Rate>,
    /// Limits on the machine's own clock.
    #[arg(long, value_delimiter = ',', default_values = ["50000/50", "1000000/1000"])]
    live: Vec<Rate>,
}

pub(crate) const TITLE: &str = "l1: rate limit, decision by decision";

/// Runs the experiment: two tables on a clock that is paused, and one on the machine's.
pub(crate) fn run(options: &Options) -> Vec<Board> {
    // The machine's clock first: once paused, tokio's takes a lock.
    let live = crate::inside(|| live(options));
    vec![racing(options), alone(options), live]
}

/// What was found in one run.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    calls: u64,
    /// Decisions that differ from the bucket's.
    wrong: u64,
    /// Refusals that tell another wait.
    waits: u64,
    /// By how many calls a window exceeded burst + rate × W at worst.
    excess: u64,
}

impl Tally {
    fn sum(tallies: &[Self]) -> Self {
        tallies.iter().fold(Self::default(), |sum, tally| Self {
            calls: sum.calls + tally.calls,
            wrong: sum.wrong + tally.wrong,
            waits: sum.waits + tally.waits,
            excess: sum.excess.max(tally.excess),
        })
    }
}

const WRONG: &str = "decisions that differ";
const WAITS: &str = "told waits that differ";
const EXCESS: &str = "above burst + rate × W";

/// Threads that race for the tokens of one instant, many instants.
fn racing(options: &Options) -> Board {
    let bar = progress::bar(TITLE, Who::ALL.len() * options.limits.len() * options.common.runs() as usize);
    let found = each(options, &options.limits, |who, rate, seed| {
        bar.inc(1);
        clock::paused(|| race(who, rate, options.threads, options.calls, seed))
    });
    bar.finish_and_clear();
    let mut board =
        board("threads on one paused clock", options, &options.limits, &found, &[WRONG, WAITS, EXCESS]);
    board.note(format!(
        "{} threads call at each instant, all for one token, so that it is certain how many of them pass whoever is first; the next instant is the same, the nanosecond of the next token or of a full bucket, one beside it, a window's edge, or after a rest.",
        options.threads,
    ));
    board
}

/// One caller whose calls cost more or less.
fn alone(options: &Options) -> Board {
    let jobs: Vec<(Who, Rate, u64)> = Who::ALL
        .into_iter()
        .filter(|who| who.knows_cost())
        .flat_map(|who| options.limits.iter().map(move |rate| (who, *rate)))
        .flat_map(|(who, rate)| options.common.seeds().map(move |seed| (who, rate, seed)))
        .collect();
    let bar = progress::bar(TITLE, jobs.len());
    let tallies = crew::each(&jobs, &bar, |(who, rate, seed)| {
        clock::paused(|| one_by_one(*who, *rate, options.calls, *seed))
    });
    bar.finish_and_clear();
    let mut tallies = jobs.iter().zip(tallies);
    let found = each(options, &options.limits, |who, _, _| {
        if who.knows_cost() {
            tallies.next().map(|(_, tally)| tally).unwrap_or_default()
        } else {
            Tally::default()
        }
    });
    let found: Vec<_> = found.into_iter().filter(|(who, _)| who.knows_cost()).collect();
    let mut board = board("calls of any cost, one by one", options, &options.limits, &found, &[WRONG, WAITS]);
    board.note("A call costs from one token to one more than the burst. tower-resilience knows no cost.");
    board
}

/// Threads that race on the machine's clock, where only what was admitted can be judged.
fn live(options: &Options) -> Board {
    let bar = progress::bar(TITLE, Who::ALL.len() * options.live.len() * options.common.runs() as usize);
    let found = each(options, &options.live, |who, rate, seed| {
        bar.inc(1);
        storm(who, rate, options.threads, options.calls, seed)
    });
    bar.finish_and_clear();
    let mut board = board("threads on the machine's clock", options, &options.live, &found, &[EXCESS]);
    board.note(format!(
        "{} threads, with rests between their bursts of calls. A call was decided at some time between the readings of the clock before and after it: it counts in the windows that hold both.",
        options.threads,
    ));
    board
}

/// What each run of everybody found at each limit.
fn each(
    options: &Options,
    limits: &[Rate],
    mut run: impl FnMut(Who, Rate, u64) -> Tally,
) -> Vec<(Who, Vec<Tally>)> {
    let mut found = Vec::new();
    for who in Who::ALL {
        let of_limit = |rate: &Rate| {
            Tally::sum(&options.common.seeds().map(|seed| run(who, *rate, seed)).collect::<Vec<_>>())
        };
        found.push((who, limits.iter().map(of_limit).collect()));
    }
    found
}

fn board(
    part: &str,
    options: &Options,
    limits: &[Rate],
    found: &[(Who, Vec<Tally>)],
    shown: &[&str],
) -> Board {
    let columns = limits.iter().flat_map(|rate| {
        shown.iter().enumerate().map(move |(place, what)| {
            let title = if place == 0 { format!("{rate}: {what}") } else { (*what).into() };
            Column::new(title, Unit::Calls)
        })
    });
    let mut board = Board::new(format!("{TITLE}: {part}"), columns.collect());
    let figure = |tally: &Tally, what: &str| match what {
        WRONG => tally.wrong as f64,
        WAITS => tally.waits as f64,
        _ => tally.excess as f64,
    };
    let mut calls = 0;
    for (who, tallies) in found {
        let figures: Vec<(f64, bool)> = tallies
            .iter()
            .flat_map(|tally| {
                shown.iter().map(|what| (figure(tally, what), *what == WAITS && !who.knows_cost()))
            })
            .collect();
        // tower-resilience tells no wait.
        let cells =
            figures.iter().map(|(figure, untold)| if *untold { Cell::Empty } else { Cell::from(*figure) });
        board.row(who.role(), who.name(), cells.collect());
        if who.role() == Role::Ours {
            calls = tallies.iter().map(|tally| tally.calls).sum();
            board.judge(
                figures
                    .iter()
                    .map(|(figure, _)| Some(Judgement::at_most(0.0, *figure, Unit::Calls)))
                    .collect(),
            );
        }
    }
    board.note(format!(
        "{calls} calls of each in {} runs, first seed {}.",
        options.common.runs(),
        options.common.seed,
    ));
    board
}

/// How the next instant is found.
struct Steps {
    dice: Rng,
    rate: Rate,
}

impl Steps {
    fn new(seed: u64, rate: Rate) -> Self {
        Self { dice: dice::of(seed, u64::from(rate.per_second), u64::from(rate.burst)), rate }
    }

    /// How far off the next instant is: at an edge, beside one, or after a rest.
    fn next(&mut self, now: Duration, bucket: &mut Bucket) -> Duration {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
        let (interval, burst) = (self.rate.interval(), self.rate.burst);
        let full = interval * burst;
        let edge = match self.dice.u32(..8) {
            0 => return Duration::ZERO,
            1 => bucket.next(now),
            2 => bucket.next(now) + interval * self.dice.u32(..burst),
            3 => full - Duration::from_nanos((now.as_nanos() % full.as_nanos()) as u64),
            4 => interval,
            5 => return interval.mul_f64(2.0 * self.dice.f64()),
            6 => full,
            // A year's rest in a thousand, so that a run stays within the centuries that 64 bits of nanoseconds have.
            _ if self.dice.u32(..8_000) == 0 => return YEAR,
            _ => full.mul_f64(3.0 * self.dice.f64()),
        };
        match self.dice.u8(..3) {
            0 => edge.saturating_sub(Duration::from_nanos(1)),
            1 => edge,
            _ => edge + Duration::from_nanos(1),
        }
    }
}

/// Has threads race for the tokens of one instant after another. Must be called on a paused clock.
fn race(who: Who, rate: Rate, threads: usize, calls: usize, seed: u64) -> Tally {
    let limiter = who.make(rate);
    let hands: Vec<Hand> = (0..threads).map(|_| limiter()).collect();
    let mut bucket = Bucket::new(rate.interval(), rate.burst);
    let mut steps = Steps::new(seed, rate);
    let (mut tally, mut now, mut admitted) = (Tally::default(), Duration::ZERO, Vec::new());

    let barrier = Barrier::new(threads + 1);
    let done = AtomicBool::new(false);
    let asked: Vec<AtomicU32> = (0..threads).map(|_| AtomicU32::new(0)).collect();
    let answers = Mutex::new(Vec::new());
    let runtime = Handle::current();
    thread::scope(|scope| {
        for (mut hand, asked) in hands.into_iter().zip(&asked) {
            let (barrier, done, answers, runtime) = (&barrier, &done, &answers, &runtime);
            scope.spawn(move || {
                let _inside = runtime.enter();
                let mut mine: Vec<Answer> = Vec::new();
                loop {
                    barrier.wait();
                    if done.load(Ordering::Relaxed) {
                        return;
                    }
                    mine.extend((0..asked.load(Ordering::Relaxed)).map(|_| hand(1)));
                    answers.lock().unwrap_or_else(PoisonError::into_inner).append(&mut mine);
                    barrier.wait();
                }
            });
        }
        while tally.calls < calls as u64 {
            let step = steps.next(now, &mut bucket);
            clock::pass(step);
            now += step;
            let tokens = bucket.tokens(now);
            // A few, about all that there are, or about as many as there ever are.
            let most = match steps.dice.u8(..3) {
                0 => 1,
                1 => 2 * tokens / threads as u64 + 8,
                _ => 2 * u64::from(rate.burst) / threads as u64 + 8,
            };
            let most = u32::try_from(most).unwrap_or(u32::MAX);
            asked.iter().for_each(|asked| asked.store(steps.dice.u32(..=most), Ordering::Relaxed));
            barrier.wait();
            barrier.wait();
            let answers = std::mem::take(&mut *answers.lock().unwrap_or_else(PoisonError::into_inner));
            tally.calls += answers.len() as u64;
            let passed = answers.iter().filter(|answer| answer.is_ok()).count() as u64;
            let due = tokens.min(answers.len() as u64);
            tally.wrong += passed.abs_diff(due);
            (0..due).for_each(|_| _ = bucket.take(now, 1));
            // Who is refused comes when all tokens are gone: all of them have the same wait.
            let wait = bucket.next(now);
            let told = answers.iter().filter_map(|answer| answer.err().flatten());
            tally.waits += told.filter(|told| *told != wait).count() as u64;
            admitted.push(windows::Admitted { from: now, to: now, calls: passed });
        }
        done.store(true, Ordering::Relaxed);
        barrier.wait();
    });
    tally.excess = windows::excess(admitted, rate);
    tally
}

/// Makes calls of any cost, and compares each answer. Must be called on a paused clock.
fn one_by_one(who: Who, rate: Rate, calls: usize, seed: u64) -> Tally {
    let mut hand = who.make(rate)();
    let mut bucket = Bucket::new(rate.interval(), rate.burst);
    let mut steps = Steps::new(seed, rate);
    let (mut tally, mut now) = (Tally::default(), Duration::ZERO);
    for _ in 0..calls {
        let step = steps.next(now, &mut bucket);
        clock::pass(step);
        now += step;
        // Mostly cheap, so that the bucket is seen at every level.
        let cost = if steps.dice.u8(..4) == 0 { steps.dice.u32(1..=rate.burst.saturating_add(1)) } else { 1 };
        let (is, due) = (hand(cost), bucket.take(now, cost));
        tally.calls += 1;
        tally.wrong += u64::from(is.is_ok() != due.is_ok());
        tally.waits += u64::from(is.is_err() && due.is_err() && is != due);
    }
    tally
}

/// Has threads call in bursts, with rests between them, on the machine's clock.
fn storm(who: Who, rate: Rate, threads: usize, calls: usize, seed: u64) -> Tally {
    let start = Instant::now();
    let limiter = who.make(rate);
    let hands: Vec<Hand> = (0..threads).map(|_| limiter()).collect();
    let full = rate.interval() * rate.burst;
    let barrier = Barrier::new(threads);
    let admitted = Mutex::new(Vec::new());
    let runtime = Handle::current();
    thread::scope(|scope| {
        for (thread, mut hand) in hands.into_iter().enumerate() {
            let (barrier, admitted, runtime) = (&barrier, &admitted, &runtime);
            scope.spawn(move || {
                let _inside = runtime.enter();
                let mut dice = dice::of(seed, thread as u64, 7);
                let (mut mine, mut left) = (Vec::new(), calls / threads);
                barrier.wait();
                while left > 0 {
                    let burst = dice.usize(1..=2 * rate.burst as usize).min(left);
                    left -= burst;
                    for _ in 0..burst {
                        let from = start.elapsed_at();
                        if hand(1).is_ok() {
                            mine.push(windows::Admitted { from, to: start.elapsed_at(), calls: 1 });
                        }
                    }
                    if dice.u8(..4) == 0 {
                        let rest = Instant::now() + full.mul_f64(2.0 * dice.f64());
                        while Instant::now() < rest {
                            thread::yield_now();
                        }
                    }
                }
                admitted.lock().unwrap_or_else(PoisonError::into_inner).append(&mut mine);
            });
        }
    });
    let admitted = admitted.into_inner().unwrap_or_else(PoisonError::into_inner);
    Tally {
        calls: (calls / threads * threads) as u64,
        excess: windows::excess(admitted, rate),
        ..Tally::default()
    }
}

/// Time since an instant, by a reading of the clock that shows.
trait Since {
    fn elapsed_at(&self) -> Duration;
}

impl Since for Instant {
    fn elapsed_at(&self) -> Duration {
        Instant::now() - *self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 1000, burst: 100 };

    #[test]
    fn a_fixed_window_is_found_out() {
        let tally = clock::paused(|| race(Who::Window, RATE, 2, 5_000, 1));
        assert!(tally.wrong > 0, "{tally:?}");
        assert!(tally.excess > 0, "{tally:?}");
    }

    #[test]
    fn ours_decides_as_the_bucket_does() {
        let raced = clock::paused(|| race(Who::Ours, RATE, 4, 20_000, 1));
        assert_eq!((raced.wrong, raced.waits, raced.excess), (0, 0, 0), "{raced:?}");
        let alone = clock::paused(|| one_by_one(Who::Ours, RATE, 20_000, 1));
        assert_eq!((alone.wrong, alone.waits), (0, 0), "{alone:?}");
    }
}
